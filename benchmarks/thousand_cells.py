"""Many cells on cached features: what the engine costs for each, besides the training itself.

    python benchmarks/thousand_cells.py --data FOLDER --weights FOLDER [--cells 1000] [--workers 2]

Learning rates x seeds of MobileNetV2's head, five epochs each, recorded in full (`save: best`),
with a Prefect server running (as after `foodvision up`). The features are cached: a plan of one
cell, with a learning rate outside the grid, runs first and is not measured, so that every cell of
the grid is still trained. With `--cold` it does not: decoding, the backbone's pass over the images
and what the compiler asks torch once are then part of the time.

Overhead is the wall time of the whole process less the seconds of its epochs, per cell; with
workers, less an equal share of these seconds for each. Memory is that of the largest process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
from pathlib import Path

from grid_vs_loop import CASES, foodvision, plan_text, processor, timed

SEEDS = 10
EPOCHS = 5
OTHER_RATE = 5e-5  # of no cell of the grid
MIB = 1 << 20


def main() -> None:
    """Run the plan and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--cells", type=int, default=1000, help=f"a multiple of {SEEDS}")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, help="by default what a run chooses itself")
    parser.add_argument("--cold", action="store_true", help="begin with an empty store")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"FOODVISION_HOME": str(Path(folder) / "home")}
        up = foodvision(["up", "--detach"], environment)
        environment["PREFECT_API_URL"] = up.partition("PREFECT_API_URL=")[2].split()[0]
        try:
            if not options.cold:
                run_grid(options, [OTHER_RATE], 1, Path(folder), environment)
            rates = [round(1e-4 * 1.05**step, 8) for step in range(options.cells // SEEDS)]
            before = trained(environment) if not options.cold else (0.0, 0)
            wall = timed(lambda: run_grid(options, rates, SEEDS, Path(folder), environment))
            after = trained(environment)
        finally:
            foodvision(["down"], environment)
    seconds, epochs = after[0] - before[0], after[1] - before[1]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"{os.cpu_count()} cores, {processor()}, threads: {options.threads}", end=", ")
    begun = "an empty store" if options.cold else "cached features"
    print(f"workers: {options.workers or 'not said'}, {begun}")
    print("| cells | epochs | wall, s | training, s | overhead, ms a cell | peak memory, MiB |")
    print("|---:|---:|---:|---:|---:|---:|")
    overhead = (wall - seconds / (options.workers or 1)) / options.cells * 1000
    print(
        f"| {options.cells:,} | {epochs:,} | {wall:.1f} | {seconds:.1f} "
        f"| {overhead:.1f} | {peak / MIB:,.0f} |"
    )


def run_grid(
    options: argparse.Namespace,
    rates: list[float],
    seeds: int,
    folder: Path,
    environment: dict[str, str],
) -> None:
    """Run a plan of learning rates x seeds."""
    plan = folder / f"{len(rates) * seeds}.yaml"
    plan.write_text(grid_text(options, rates, seeds), encoding="utf-8")
    workers = ["--workers", str(options.workers)] if options.workers else []
    foodvision(["run", str(plan), "-q", *workers], environment)


def trained(environment: dict[str, str]) -> tuple[float, int]:
    """Return seconds and number of all epochs in the warehouse."""
    query = "select sum(seconds) as seconds, count(*) as epochs from epochs"
    (found,) = json.loads(foodvision(["sql", query, "--json"], environment))
    return found["seconds"], found["epochs"]


def grid_text(options: argparse.Namespace, rates: list[float], seeds: int) -> str:
    """Return a plan of learning rates x seeds."""
    plan = json.loads(plan_text(CASES["seeds-1"], options))
    plan |= {
        "name": f"cells_{len(rates) * seeds}",
        "data": {"pizza_10": plan["data"]["pizza_10"]},
        "base": plan["base"] | {"epochs": EPOCHS},
        "zip": [],
        "grid": {"model": plan["grid"]["model"], "optimizer.lr": rates},
        "seeds": seeds,
        "save": "best",
    }
    return json.dumps(plan)


if __name__ == "__main__":
    main()
