"""What TensorBoard's files cost beside the training that they tell of.

    python benchmarks/tensorboard_cost.py PLAN [--set base.epochs=20 ...] [--rounds 5]

The plan runs once in a home of its own. Then its cells are published again and again, with files
for TensorBoard and without (`record.tensorboard`), in turns, each in a fresh process that has torch
already, as a run has when it gets there; model files are not written, and graphs are found out
anew each time. What is told is the difference of the medians, with the imports that it needs,
against the seconds of the stages.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_RUN = "from flows.cli import main; main()"


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("plan", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--publish", type=Path, help=argparse.SUPPRESS)  # in this home: a child
    options = parser.parse_args()
    if options.publish:
        print(publish(options.plan, options.set, options.publish))
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(options, Path(folder) / "home")


def measure(options: argparse.Namespace, home: Path) -> None:
    """Run the plan, publish it in turns, and print a table."""
    environment = os.environ | {"FOODVISION_HOME": str(home)}
    overrides = [f"--set={each}" for each in (*options.set, "save=none")]
    command = [sys.executable, "-c", _RUN, "run", str(options.plan), "-q", "--json", *overrides]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    (found,) = _ask(
        "select sum(seconds) as seconds, sum(epochs) as epochs from stages where not is_hit",
        environment,
    )
    (cells,) = _ask("select count(*) as cells from cells", environment)
    (steps,) = _ask("select count(*) as steps from steps", environment)
    seconds: dict[str, list[float]] = {"true": [], "false": []}
    for _ in range(options.rounds):
        for switch, taken in seconds.items():
            child = [sys.executable, __file__, str(options.plan), "--publish", str(home)]
            child += [*overrides, f"--set=record.tensorboard={switch}"]
            done = subprocess.run(
                child, env=environment, check=True, capture_output=True, text=True
            )
            taken.append(float(done.stdout))
    with_files, without = (statistics.median(taken) for taken in seconds.values())
    share = (with_files - without) / found["seconds"]
    print(f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}")
    print("| cells | epochs | noted steps | stages, s | TensorBoard, s | share |")
    print("|---:|---:|---:|---:|---:|---:|")
    print(
        f"| {cells['cells']:,} | {found['epochs']:,} | {steps['steps']:,} "
        f"| {found['seconds']:.1f} | {with_files - without:.3f} | {share:.2%} |"
    )


def publish(path: Path, overrides: Sequence[str], folder: Path) -> float:
    """Publish all cells of a plan that has run; return the seconds that it took."""
    from foodvision.home import Home
    from foodvision.store import Store
    from tasks.compiling import compile_plan
    from tasks.plans import open_plan
    from tasks.publishing import Publisher

    home = Home(folder)
    plan = open_plan(path, overrides)
    cells = compile_plan(plan, home).graph.cells
    shutil.rmtree(home.runs, ignore_errors=True)
    shutil.rmtree(home.facts)  # the graphs are found out again, as in a new home
    import_module("foodvision.stages.training")
    started = time.perf_counter()
    publisher = Publisher(plan, home, Store(home.store))
    publisher.publish(publisher.missing(cells))
    return time.perf_counter() - started


def _ask(sql: str, environment: dict[str, str]) -> list[dict[str, Any]]:
    command = [sys.executable, "-c", _RUN, "sql", sql, "--json"]
    rows: list[dict[str, Any]] = json.loads(_output(command, environment))
    return rows


def _output(command: Sequence[str], environment: dict[str, str]) -> str:
    return subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


if __name__ == "__main__":
    main()
