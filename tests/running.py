"""Run plans in tests without Prefect: the same jobs, one after the other."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from foodvision.home import Home
from foodvision.plan.composites import composites
from foodvision.plan.expand import expand
from foodvision.plan.graph import Graph, compile_cells
from foodvision.plan.load import load_plan
from foodvision.plan.work import Tally, Work, plan_work
from foodvision.progress import SILENT
from foodvision.store import Store
from tasks.facts import LibraryFacts
from tasks.finished import StoreFinished
from tasks.jobs import plan_tasks
from tasks.journal import Journal
from tasks.outcomes import Ledger
from tasks.plan_data import fetch_data
from tasks.results import read_result
from tasks.runners import InProcess, Workplace, do_jobs
from tasks.schedule import run_groups
from tasks.soundness import set_damaged_aside

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from foodvision.plan.cell_schema import CellSettings
    from foodvision.plan.expand import Cell
    from foodvision.plan.schema import Plan
    from tasks.jobs import TaskGroup
    from tasks.runners import Runner

COLOURS = {"pizza": (200, 60, 40), "steak": (110, 60, 50), "sushi": (230, 230, 220)}


def make_photos(
    folder: Path, *, train: int = 8, test: int = 4, size: int = 20, seed: int = 0
) -> Path:
    """Draw an image folder of three colours with noise: learnable, and each image different."""
    generator = np.random.default_rng(seed)
    for split, count in (("train", train), ("test", test)):
        for name, colour in COLOURS.items():
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                noise = generator.normal(0, 60, (size, size, 3))
                pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(place / f"{number:03}.png")
    return folder


def plan_text(photos: Path, rest: str = "", **settings: Any) -> str:
    """Return a small plan on a folder of photos; one thread, so that tests can run side by side."""
    model = settings.pop("model", "{arch: tiny_vgg, hidden: 4, freeze: none}")
    optimizer = settings.pop("optimizer", "{kind: adam, lr: 0.01}")
    values = {"batch_size": 5, "epochs": 3, "seed": 7, "threads": 1} | settings
    lines = "".join(f"  {name}: {value}\n" for name, value in values.items())
    return (
        f"name: small\ndata:\n  photos: {{source: {json.dumps(photos.as_posix())}}}\n"
        "base:\n  data: photos\n  test: photos\n"
        f"  model: {model}\n"
        "  transform: {size: 16}\n"
        f"  optimizer: {optimizer}\n"
        f"{lines}{rest}"
    )


def digits_plan(rest: str = "", *, name: str = "small", **settings: Any) -> str:
    """Return a small plan on handwritten digits, which need no network."""
    values = {
        "valid": None,
        "model": "{arch: mlp, hidden: 8}",
        "transform": "{size: 8, channels: 1}",
        "batch_size": 32,
        "epochs": 1,
        "threads": None,
        "optimizer": "{kind: adam, lr: 0.003}",
    } | settings
    lines = "".join(f"  {key}: {value}\n" for key, value in values.items() if value is not None)
    return (
        f'name: {name}\ndata:\n  digits: {{source: "sklearn:digits", split: 0.25}}\n'
        f"base:\n  data: digits\n  test: digits\n{lines}{rest}"
    )


@dataclass(frozen=True)
class Ran:
    """What running a plan left behind."""

    plan: Plan
    graph: Graph
    work: Work
    ledger: Ledger
    store: Store
    home: Home

    @property
    def counted(self) -> Tally:
        return self.ledger.counted

    def result(self, label: str) -> str:
        """Return a digest of all that the contract is about: weights, epochs, logits of a cell."""
        (compiled,) = (cell for cell in self.graph.cells if cell.cell.label == label)
        return read_result(self.store, compiled).digest

    def results(self) -> dict[str, str]:
        return {
            compiled.cell.cell_id: read_result(self.store, compiled).digest
            for compiled in self.graph.cells
        }


def _compile(plan: Plan, cells: Sequence[Cell], home: Home) -> tuple[Graph, Work]:
    datasets = {name: fetch_data(plan, name, home, progress=SILENT) for name in plan.data}
    facts = LibraryFacts(home=home, base=plan.folder, datasets=datasets)
    made = [
        composite
        for composite in composites(plan, expand(plan))
        if {cell.cell_id for cell in composite.candidates} <= {cell.cell_id for cell in cells}
    ]
    finished = StoreFinished(Store(home.store))
    graph = compile_cells(cells, facts, made, finished)
    return graph, plan_work(
        graph,
        finished,
        features_bytes=plan.limits.features_bytes,
        latency=plan.evaluate.latency,
    )


def run(
    text: str,
    home: Path,
    overrides: Sequence[str] = (),
    *,
    only: Sequence[str] | None = None,
    runner: Runner | None = None,
) -> Ran:
    """Run a plan's jobs.

    Args:
        text: the plan.
        home: folder to keep everything in.
        overrides: as `--set`.
        only: labels of the cells to run; all by default.
        runner: does the jobs, in this home; by default this process.
    """
    place = Home(home)
    store = Store(place.store)
    store.remove_leftovers()
    plan = load_plan(text, list(overrides))
    cells = [cell for cell in expand(plan) if only is None or cell.label in only]
    graph, work = _compile(plan, cells, place)
    while set_damaged_aside(work, store, place):
        graph, work = _compile(plan, cells, place)
    ledger = Ledger(Journal(place.journals / "run.jsonl"))
    runner = runner or InProcess(Workplace(place, plan.folder))
    workers = runner.workers(_on_cpu())
    first = work
    while True:
        has_new = not all(ledger.knows(key) for key in work.keys)
        groups = plan_tasks(graph, work, devices=_on_cpu, workers=workers, record=plan.record)
        do_all(groups, ledger, runner)
        if not (graph.is_open and has_new):
            return Ran(plan, graph, first, ledger, store, place)
        graph, work = _compile(plan, cells, place)


def do_all(groups: Sequence[TaskGroup], ledger: Ledger, runner: Runner) -> None:
    """Do groups of jobs, as many at a time as the runner has workers."""

    def do(group: TaskGroup) -> None:
        do_jobs(group.jobs, ledger, runner)

    def workers(group: TaskGroup) -> int:
        return runner.workers(group.devices)

    if all(workers(group) == 1 for group in groups):
        for group in groups:
            do(group)
        return
    with ThreadPoolExecutor() as threads:
        ends: list[Future[None]] = []

        def start(group: TaskGroup) -> Future[None]:
            ends.append(threads.submit(do, group))
            return ends[-1]

        run_groups(groups, workers=workers, start=start, ended=lambda _: None)
        for end in ends:
            end.result()


def _on_cpu(_: CellSettings | None = None) -> tuple[str, ...]:
    return ("cpu",)
