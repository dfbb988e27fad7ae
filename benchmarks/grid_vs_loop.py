"""The same grid by the plan and by a hand-written loop: whole processes, side by side, one run.

    python benchmarks/grid_vs_loop.py --data FOLDER --weights FOLDER [CASE ...]

FOLDER holds the course's two archives (`pizza_steak_sushi*.zip`) and the weights files. Every case
starts with an empty store, with a Prefect server running (as after `foodvision up`); the loop is
`notebook_loop.py`. Prints a table and writes the figures to `--out` as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ARCHIVES = {"pizza_10": "pizza_steak_sushi.zip", "pizza_20": "pizza_steak_sushi_20_percent.zip"}
WEIGHTS = {
    "mobilenet_v2": "mobilenet_v2-imagenet-qat.pth",
    "squeezenet1_0": "squeezenet1_0-imagenet-pruned.pth",
}
CLASSES = 3


@dataclass(frozen=True)
class Case:
    """One grid: data x models x epochs x seeds."""

    name: str
    archs: tuple[str, ...]
    epochs: tuple[int, ...] = (5, 10)
    seeds: int = 1
    data: tuple[str, ...] = ("pizza_10", "pizza_20")
    freeze: str | int = "backbone"
    pretrained: bool = True
    augment: bool = False
    batchnorm: str = "auto"
    precision: str = "float32"
    loop: bool = True
    loop_blocks: str | int = "backbone"


CASES = {
    case.name: case
    for case in (
        Case("frozen", ("mobilenet_v2", "squeezenet1_0")),
        Case("frozen-5-10-20", ("mobilenet_v2",), epochs=(5, 10, 20), data=("pizza_10",)),
        Case("efficientnet", ("efficientnet_b0", "efficientnet_b2"), pretrained=False),
        Case("seeds-1", ("mobilenet_v2",), loop=False),
        Case("seeds-10", ("mobilenet_v2",), seeds=10, loop=False),
        Case("all-seeds-10", ("mobilenet_v2", "squeezenet1_0"), seeds=10, loop=False),
        Case(
            "resnet-most",
            ("resnet18",),
            epochs=(10,),
            data=("pizza_10",),
            freeze="most",
            pretrained=False,
            loop_blocks=4,
        ),
        Case(
            "mobilenet-last-two",
            ("mobilenet_v2",),
            epochs=(10,),
            data=("pizza_10",),
            freeze=17,
            batchnorm="frozen",
            loop_blocks=17,
        ),
        Case(
            "fine-tuned",
            ("mobilenet_v2",),
            epochs=(2,),
            data=("pizza_20",),
            freeze="none",
            augment=True,
            loop_blocks="none",
        ),
        Case(
            "fine-tuned-bfloat16",
            ("mobilenet_v2",),
            epochs=(5,),
            data=("pizza_10",),
            freeze="none",
            augment=True,
            precision="bfloat16",
            loop_blocks="none",
        ),
    )
}


@dataclass
class Figures:
    """What both sides took."""

    case: str
    cells: int
    plan_seconds: float
    again_seconds: float
    empty_seconds: float
    counted: dict[str, int] = field(default_factory=dict)
    loop_seconds: float | None = None
    accuracies: list[tuple[str, float, float | None]] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """How many times as long the loop takes."""
        return self.loop_seconds / self.plan_seconds if self.loop_seconds else None


def main() -> None:
    """Run the cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "cases", nargs="*", default=["frozen"], metavar="CASE", help=", ".join(CASES)
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--no-loop", action="store_true", help="the plan's side only")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = []
    for name in options.cases:
        found.append(run_case(CASES[name], options))
        print(table(found[-1:]), flush=True)
        print(accuracy_table(found[-1]), flush=True)
    print(f"\n{os.cpu_count()} cores, {processor()}")
    print(table(found))
    if options.out:
        options.out.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")


def processor() -> str:
    """Return the processor's name."""
    about = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (about.read_text().splitlines() if about.exists() else ())
        if line.startswith("model name")
    ]
    return names[0] if names else platform.processor() or platform.machine()


def run_case(case: Case, options: argparse.Namespace) -> Figures:
    """Run a case by the plan, again by the plan, and by the loop."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        plan = place / "plan.yaml"
        plan.write_text(plan_text(case, options), encoding="utf-8")
        environment = os.environ | {"FOODVISION_HOME": str(place / "home")}
        up = foodvision(["up", "--detach"], environment)
        url = up.partition("PREFECT_API_URL=")[2].split()[0]
        environment["PREFECT_API_URL"] = url
        try:
            plan_seconds = timed(lambda: foodvision(["run", str(plan), "-q"], environment))
            empty_seconds = timed(lambda: run_empty_flow(environment))
            again_seconds = timed(lambda: foodvision(["run", str(plan), "-q"], environment))
            rows = json.loads(foodvision(["rank", str(plan), "--json"], environment))
            query = "select counted_json from runs order by started_at limit 1"
            (first,) = json.loads(foodvision(["sql", query, "--json"], environment))
        finally:
            foodvision(["down"], environment)
        figures = Figures(case.name, len(rows), plan_seconds, again_seconds, empty_seconds)
        figures.counted = json.loads(first["counted_json"])
        ours = {(row["data"], row["arch"], row["epochs"], row["seed"]): row for row in rows}
        theirs = {}
        if case.loop and not options.no_loop:
            theirs, figures.loop_seconds = run_loop(case, options, place)
        figures.accuracies = [
            (" ".join(map(str, key)), row["test_accuracy"], theirs.get(key))
            for key, row in sorted(ours.items())
        ]
        return figures


def run_loop(
    case: Case, options: argparse.Namespace, place: Path
) -> tuple[dict[tuple[Any, ...], float], float]:
    """Run the hand-written loop; return accuracies by cell and its seconds."""
    cells = [
        {
            "data": data,
            "folder": str(place / data),
            "arch": arch,
            "weights": str(options.weights / WEIGHTS[arch]) if case.pretrained else None,
            "freeze": case.loop_blocks,
            "epochs": epochs,
            "seed": 42 + seed,
            "lr": 0.001,
            "batch_size": 32,
            "size": 224,
            "augment": case.augment,
            "classes": CLASSES,
        }
        for data in case.data
        for arch in case.archs
        for epochs in case.epochs
        for seed in range(case.seeds)
    ]
    for data in case.data:
        zipfile.ZipFile(options.data / ARCHIVES[data]).extractall(place / data)
    request = json.dumps({"cells": cells, "out": str(place), "threads": options.threads})
    command = [sys.executable, str(HERE / "notebook_loop.py")]
    started = time.perf_counter()
    done = subprocess.run(command, input=request, text=True, capture_output=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(done.stderr)
    rows = json.loads(done.stdout)
    keys = ("data", "arch", "epochs", "seed")
    return {tuple(row[key] for key in keys): row["accuracy"] for row in rows}, seconds


def plan_text(case: Case, options: argparse.Namespace) -> str:
    """Return the plan of a case."""
    data = {name: {"source": str(options.data / ARCHIVES[name])} for name in case.data}
    base: dict[str, Any] = {
        "data": case.data[0],
        "test": case.data[0],
        "model": {"arch": case.archs[0], "freeze": case.freeze, "batchnorm": case.batchnorm},
        "transform": {"size": 224, "normalize": "imagenet"},
        "batch_size": 32,
        "epochs": case.epochs[0],
        "optimizer": {"kind": "adam", "lr": 0.001},
        "seed": 42,
        "threads": options.threads,
        "precision": case.precision,
    }
    if case.augment:
        base["augment"] = [{"kind": "random_crop", "padding": 28}, {"kind": "horizontal_flip"}]
    models = {
        arch: {"arch": arch}
        | ({"weights": str(options.weights / WEIGHTS[arch])} if case.pretrained else {})
        for arch in case.archs
    }
    plan: dict[str, Any] = {
        "name": "benchmark",
        "data": data,
        "base": base,
        "zip": [{"data": list(case.data), "test": list(case.data)}],
        "grid": {
            "model": [{name: value} for name, value in models.items()],
            "epochs": list(case.epochs),
        },
        "seeds": case.seeds,
    }
    return json.dumps(plan)  # JSON is YAML


def foodvision(words: list[str], environment: dict[str, str]) -> str:
    """Run a command of ours; return what it printed."""
    command = [str(Path(sys.executable).with_name("foodvision")), *words]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def run_empty_flow(environment: dict[str, str]) -> None:
    """Run a flow that does nothing, on the same server."""
    code = "from prefect import flow\nflow(lambda: None, name='empty')()"
    subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)


def timed(work: Any) -> float:
    """Return how long a call takes, in seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def table(found: list[Figures]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| grid | cells | plan, s | loop, s | ratio | again, s | empty flow, s | epochs "
        "| prefix images |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in found:
        cells = [
            one.case,
            str(one.cells),
            f"{one.plan_seconds:.1f}",
            f"{one.loop_seconds:.1f}" if one.loop_seconds else "–",
            f"{one.ratio:.1f}×" if one.ratio else "–",
            f"{one.again_seconds:.1f}",
            f"{one.empty_seconds:.1f}",
            f"{one.counted['epochs']:,}",
            f"{one.counted['prefix_images']:,}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def accuracy_table(figures: Figures) -> str:
    """Return the accuracies side by side."""
    lines = ["| cell | plan | loop |", "|---|---:|---:|"]
    for label, ours, theirs in figures.accuracies:
        lines.append(f"| {label} | {ours:.3f} | {'–' if theirs is None else f'{theirs:.3f}'} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
