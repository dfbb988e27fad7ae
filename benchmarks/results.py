"""Run the plans behind docs/results.md, and write its tables: every row is one of a plan's.

    export FOODVISION_SOURCES=FOLDER      # FashionMNIST/, cifar10_jpg.zip, pizza_steak_sushi*.zip
    export FOODVISION_MOBILENET_V2=FILE   # ImageNet weights, a state dict each
    export FOODVISION_SQUEEZENET1_0=FILE
    python benchmarks/results.py [NAME ...] [--no-run]

What is finished in `FOODVISION_HOME` is not computed again, so it may be stopped and started at any
time. Tables stand between `<!-- NAME -->` and `<!-- end -->`; all else of the page is left alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "results.md"
PICTURES = ROOT / "docs" / "pictures"

Row = dict[str, Any]
Column = tuple[str, Callable[[Row], str]]


@dataclass(frozen=True)
class Experiment:
    """A plan as it was run, and what is shown of its rows.

    Attributes:
        plan: name of a shipped plan.
        columns: of the table: title, and what to write of a row of `foodvision rank --json`.
        overrides: of the plan's values.
        together: what rows have in common that become one: seeds of one model.
        pictures: shown below the table, of those that `foodvision best` names.
    """

    plan: str
    columns: tuple[Column, ...]
    overrides: tuple[str, ...] = ()
    together: Callable[[Sequence[Row]], list[Row]] = list
    pictures: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The plan and its overrides, as a command takes them."""
        sets = [word for override in self.overrides for word in ("--set", override)]
        return [f"plans/{self.plan}.yaml", *sets]

    @property
    def command(self) -> str:
        """What to type."""
        return f"foodvision run {shlex.join(self.words)}".replace("--set", "\\\n    --set")


def share(name: str) -> Callable[[Row], str]:
    """Write an accuracy in [0, 1]."""
    return lambda row: "–" if row[name] is None else f"{row[name]:.4f}"


def number(name: str, digits: int = 1) -> Callable[[Row], str]:
    """Write a number."""
    return lambda row: "–" if row[name] is None else f"{row[name]:,.{digits}f}"


def megabytes(name: str) -> Callable[[Row], str]:
    """Write bytes as MB."""
    return lambda row: "–" if row[name] is None else f"{row[name] / 1e6:.1f}"


LABEL: Column = (
    "model",
    lambda row: f"{row['label']} (collapsed)" if row.get("is_collapsed") else str(row["label"]),
)
TEST: Column = ("test accuracy", share("test_accuracy"))
VALID: Column = ("valid accuracy", share("valid_accuracy"))
TRAIN: Column = ("train accuracy", share("train_accuracy"))
SECONDS: Column = ("seconds", number("seconds_alone"))
ANSWER: tuple[Column, ...] = (
    ("ms an image", number("latency_ms")),
    ("95 %", number("latency_p95_ms")),
    ("of 32", number("latency_32_ms")),
    ("memory, MB", megabytes("peak_memory_bytes")),
    ("file, MB", megabytes("model_bytes")),
)


def over_seeds(rows: Sequence[Row]) -> list[Row]:
    """Put the seeds of a model into one row, with median, ends and those that collapsed."""
    models: dict[str, list[Row]] = {}
    for row in rows:
        models.setdefault(str(row["label"]).rpartition(" · ")[0], []).append(row)
    return [_one_row(label, found) for label, found in models.items()]


def _one_row(label: str, rows: Sequence[Row]) -> Row:
    accuracies = [row["test_accuracy"] for row in rows]
    return {
        "label": label,
        "seeds": len(rows),
        "median": median(accuracies),
        "lowest": min(accuracies),
        "highest": max(accuracies),
        "collapsed": sum(row["is_collapsed"] for row in rows),
        "params_total": rows[0]["params_total"],
        "seconds_alone": median(row["seconds_alone"] for row in rows),
    }


EXPERIMENTS: dict[str, Experiment] = {
    "fashion_mnist": Experiment(
        "fashion_mnist",
        (
            LABEL,
            ("parameters", number("params_total", 0)),
            ("seeds", number("seeds", 0)),
            ("median test accuracy", share("median")),
            ("lowest", share("lowest")),
            ("highest", share("highest")),
            ("collapsed", number("collapsed", 0)),
            ("seconds a seed", number("seconds_alone")),
        ),
        together=over_seeds,
        pictures=("training_times", "confusion_matrix"),
    ),
    "cifar10_transfer": Experiment(
        "cifar10_transfer",
        (LABEL, ("parameters trained", number("params_trainable", 0)), TRAIN, VALID, TEST, SECONDS),
        (
            "data.cifar10.source=cifar10_jpg.zip",
            "base.model.arch=mobilenet_v2",
            "base.model.weights=${FOODVISION_MOBILENET_V2}",
            "base.transform.size=64",
            "base.epochs=3",
            "base.threads=1",
        ),
    ),
    "augmentation": Experiment(
        "augmentation",
        (
            LABEL,
            TRAIN,
            TEST,
            ("over-fitting gap", lambda row: f"{row['overfitting_gap']:+.4f}"),
            VALID,
            SECONDS,
        ),
        ("data.cifar10.source=cifar10_jpg.zip", "base.threads=1", "base.epochs=10"),
    ),
    "mobilenet": Experiment(
        "mobilenet",
        (LABEL, TEST, SECONDS, *ANSWER),
        ("base.threads=1", "evaluate.latency=true"),
    ),
    "ensemble": Experiment(
        "ensemble",
        (LABEL, VALID, TEST, SECONDS, *ANSWER),
        (
            "grid.model.mobilenet_v2.weights=${FOODVISION_MOBILENET_V2}",
            "grid.model.squeezenet1_0.weights=${FOODVISION_SQUEEZENET1_0}",
        ),
    ),
}


def main() -> None:
    """Run what is asked for and write its tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(EXPERIMENTS))
    parser.add_argument("--no-run", action="store_true", help="only write what ran already")
    options = parser.parse_args()
    for name in options.names or EXPERIMENTS:
        experiment = EXPERIMENTS[name]
        if not options.no_run:
            foodvision("run", *experiment.words, "--quiet")
        rows = json.loads(foodvision("rank", *experiment.words, "--json"))
        text = f"{section(experiment, rows)}{shown(experiment)}\n"
        print(text, flush=True)
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), name, text), encoding="utf-8")


def foodvision(*words: str) -> str:
    """Run a command of ours; return what it printed."""
    command = [str(Path(sys.executable).with_name("foodvision")), *words]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} ended with {done.returncode}")
    return done.stdout


def section(experiment: Experiment, rows: Sequence[Row]) -> str:
    """Return the command, the table, and where and how long it was computed."""
    from foodvision.report.tables import duration, markdown_table

    trained = [row for row in rows if row["kind"] == "trained"]
    seconds = duration(sum(row["seconds_alone"] or 0 for row in trained))
    cells = [[write(row) for _, write in experiment.columns] for row in experiment.together(rows)]
    table = markdown_table([title for title, _ in experiment.columns], cells, left=(0,))
    return (
        f"```\n{experiment.command}\n```\n\n{table}\n\n"
        f"{len(trained)} cells, {seconds} if each had been trained alone; {machine()}, one thread."
    )


def shown(experiment: Experiment) -> str:
    """Copy the pictures of an experiment beside the page; return what shows them there."""
    if not experiment.pictures:
        return ""
    best = json.loads(foodvision("best", *experiment.words, "--json"))
    found = {Path(picture).stem: Path(picture) for picture in best["pictures"]}
    text = ""
    for name in experiment.pictures:
        copy = PICTURES / f"{experiment.plan}_{name}.png"
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(found[name].read_bytes())
        words = name.replace("_", " ")
        text += f"\n\n![{words.capitalize()}]({copy.relative_to(PAGE.parent).as_posix()})"
    return text


def machine() -> str:
    """Return what computes, in words."""
    about = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", about.read_text()) if about.exists() else None
    return f"{found[1] if found else platform.processor()}, {os.cpu_count()} cores, no GPU"


def replaced(page: str, name: str, text: str) -> str:
    """Return the page with what stands between the marks of a name replaced."""
    begin, end = f"<!-- {name} -->\n", "<!-- end -->"
    before, mark, rest = page.partition(begin)
    if not mark or end not in rest:
        raise SystemExit(f"{PAGE.name} must have {begin.strip()} and {end}, found none")
    return f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}"


if __name__ == "__main__":
    main()
