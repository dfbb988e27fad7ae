"""Many cells on cached features: what the engine costs for each, besides the training itself.

    python benchmarks/thousand_cells.py --data FOLDER --weights FOLDER [--cells 1000] [--workers 2]

Learning rates x seeds of MobileNetV2's head, five epochs each, recorded in full (`save: best`),
with a Prefect server running (as after `foodvision up`) and an empty store. Overhead is the wall
time of the whole process less the seconds of its epochs, per cell; with workers, less an equal
share of these seconds for each. Memory is that of the largest process.
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
MIB = 1 << 20


def main() -> None:
    """Run the plan and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--cells", type=int, default=1000, help=f"a multiple of {SEEDS}")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.yaml"
        plan.write_text(thousand_text(options), encoding="utf-8")
        environment = os.environ | {"FOODVISION_HOME": str(Path(folder) / "home")}
        up = foodvision(["up", "--detach"], environment)
        environment["PREFECT_API_URL"] = up.partition("PREFECT_API_URL=")[2].split()[0]
        try:
            command = ["run", str(plan), "-q", "--workers", str(options.workers)]
            wall = timed(lambda: foodvision(command, environment))
            query = "select sum(seconds) as seconds, count(*) as epochs from epochs"
            (found,) = json.loads(foodvision(["sql", query, "--json"], environment))
        finally:
            foodvision(["down"], environment)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    training = found["seconds"]
    print(f"{os.cpu_count()} cores, {processor()}, threads: {options.threads}", end=", ")
    print(f"workers: {options.workers}")
    print("| cells | epochs | wall, s | training, s | overhead, ms a cell | peak memory, MiB |")
    print("|---:|---:|---:|---:|---:|---:|")
    overhead = (wall - training / options.workers) / options.cells * 1000
    print(
        f"| {options.cells:,} | {found['epochs']:,} | {wall:.1f} | {training:.1f} "
        f"| {overhead:.1f} | {peak / MIB:,.0f} |"
    )


def thousand_text(options: argparse.Namespace) -> str:
    """Return a plan of learning rates x seeds."""
    plan = json.loads(plan_text(CASES["seeds-1"], options))
    rates = [round(1e-4 * 1.05**step, 8) for step in range(options.cells // SEEDS)]
    plan |= {
        "name": "thousand",
        "data": {"pizza_10": plan["data"]["pizza_10"]},
        "base": plan["base"] | {"epochs": EPOCHS},
        "zip": [],
        "grid": {"model": plan["grid"]["model"], "optimizer.lr": rates},
        "seeds": SEEDS,
        "save": "best",
    }
    return json.dumps(plan)


if __name__ == "__main__":
    main()
