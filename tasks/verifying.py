"""Verify: train cells again, each alone and in an empty store, and compare to the bit.

What the contract promises, users need not believe. Each comparison leaves a certificate in a
journal of its own, from which the warehouse can be made again.
"""

from __future__ import annotations

import platform
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from foodvision.data.catalogue import FILES_FOLDER
from foodvision.data.datasets import open_dataset
from foodvision.errors import PlanError, StoreError
from foodvision.hashing import digest
from foodvision.home import Home
from foodvision.plan.graph import CompiledCell, compile_cells
from foodvision.plan.work import plan_work
from foodvision.store import Store
from tasks.compiling import compile_plan, warn_left_out
from tasks.finished import StoreFinished
from tasks.jobs import plan_tasks
from tasks.journal import Journal
from tasks.loading import load_certificates
from tasks.outcomes import Ledger
from tasks.results import Comparison, compare_results, compare_rows, read_result
from tasks.runners import InProcess, Workplace, do_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from foodvision.plan.expand import Cell
    from foodvision.plan.schema import Plan
    from foodvision.progress import Progress
    from tasks.compiling import CompiledPlan


@dataclass(frozen=True)
class Certificate:
    """What became of training one cell again.

    Attributes:
        certificate_id: 64 hex digits.
        result_key: of the result that was checked.
        cell_id: of the cell.
        label: what the plan calls the cell.
        plan_name: name of the plan.
        checked_at: ISO 8601, UTC.
        is_equal: whether everything compared is equal to the bit.
        compared: what was compared.
        difference: what differs, in words; `None` where nothing does.
        environment: versions and machine.
        seconds: that training and comparing took.
    """

    certificate_id: str
    result_key: str
    cell_id: str
    label: str
    plan_name: str
    checked_at: str
    is_equal: bool
    compared: tuple[Comparison, ...]
    difference: str | None
    environment: dict[str, Any]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        compared = [
            asdict(comparison) | {"is_equal": comparison.is_equal} for comparison in self.compared
        ]
        return asdict(self) | {"compared": compared}


def verify_plan(
    plan: Plan, home: Home, *, cells: int | None, seed: int, progress: Progress
) -> list[Certificate]:
    """Train cells of a plan again, each alone in an empty store, and compare with the store.

    Args:
        plan: the plan, as it was run.
        home: where it was run.
        cells: how many; `None` for all that have a result.
        seed: chooses them.
        progress: whoever watches.

    Returns:
        One certificate per cell, in the plan's order; they are in the warehouse by then.

    Raises:
        PlanError: no cell of the plan has a result yet.
        DataError: no data set that its cells use has been fetched yet.
        StoreError: a data set in the store is damaged.
        WarehouseError: the certificates cannot be loaded (they are kept in the home).
    """
    compiled = compile_plan(plan, home)
    warn_left_out(plan, compiled.graph.left_out)
    chosen = choose_cells(_with_result(compiled, home), cells, seed=seed)
    _check_datasets(chosen, Store(home.store))
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    journal = Journal(home.certificates / f"{stamp}-{uuid4().hex[:8]}.jsonl")
    import_module("foodvision.stages.training")  # its seconds are no cell's
    certificates = []
    for cell in chosen:
        certificate = _verify_cell(cell, compiled, home, progress)
        journal.write("certificate", **certificate.to_json())
        certificates.append(certificate)
    load_certificates(journal.path, home)
    return certificates


def choose_cells(
    cells: Sequence[CompiledCell], count: int | None, *, seed: int
) -> list[CompiledCell]:
    """Choose cells at random, the same ones for the same seed, whatever their order or company.

    Args:
        cells: to choose from.
        count: how many, at most; `None` for all.
        seed: decides; with one seed, more cells include the fewer.

    Returns:
        Cells in the order given.
    """
    drawn = sorted(
        cells, key=lambda compiled: digest({"seed": seed, "cell": compiled.cell.cell_id})
    )
    taken = {compiled.cell.cell_id for compiled in drawn[:count]}
    return [compiled for compiled in cells if compiled.cell.cell_id in taken]


def _with_result(compiled: CompiledPlan, home: Home) -> list[CompiledCell]:
    work = plan_work(compiled.graph, StoreFinished(Store(home.store)))
    done = [cell for cell in compiled.graph.cells if not work.waiting[cell.cell.cell_id]]
    if not done:
        raise PlanError(
            f"{compiled.plan.name}: verify compares with what a run has found, but none of the "
            f"{len(compiled.graph.cells)} cells has a result here. Run the plan first: "
            "foodvision run PLAN."
        )
    return done


def _check_datasets(chosen: Sequence[CompiledCell], store: Store) -> None:
    """Read every byte of the data sets: they are all that the two trainings share."""
    for key in sorted({key for compiled in chosen for key in _datasets(compiled)}):
        if problems := store.verify("dataset", key) or _exchanged_images(store, key):
            raise StoreError(
                f"data set {key[:12]}: verify needs the images as they were fetched, but "
                f"{problems[0]}. Remove what is damaged with `foodvision store verify`, or the "
                "folder itself, then run the plan."
            )


def _exchanged_images(store: Store, key: str) -> list[str]:
    """Hold the image files against the digests that name them in every key."""
    files = store.get("dataset", key).manifest["files"]
    table = open_dataset(store, key).table
    named = zip(table.column("path").to_pylist(), table.column("sha256").to_pylist(), strict=True)
    return [
        f"{path}: is another image than the one that was fetched"
        for path, sha256 in named
        if files.get(f"{FILES_FOLDER}/{path}", {"sha256": sha256})["sha256"] != sha256
    ]


def _verify_cell(
    stored: CompiledCell, plan: CompiledPlan, home: Home, progress: Progress
) -> Certificate:
    started = time.perf_counter()
    checked_at = datetime.now(UTC).isoformat()
    compared: list[Comparison] = []
    with empty_store(home, _datasets(stored)) as place:
        alone, problem = _train_alone(stored.cell, plan, place, progress)
        if problem is None:
            compared = _compare(stored, alone, Store(home.store), Store(place.store))
    differences = [f"{c.what}: {c.difference}" for c in compared if c.difference]
    difference = problem or "; ".join(differences) or None
    environment = {
        **plan.facts.environment(stored.cell.settings),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    return Certificate(
        certificate_id=digest([stored.result_key, checked_at, place.root.name]),
        result_key=stored.result_key,
        cell_id=stored.cell.cell_id,
        label=stored.cell.label,
        plan_name=plan.plan.name,
        checked_at=checked_at,
        is_equal=difference is None,
        compared=tuple(compared),
        difference=difference,
        environment=environment,
        seconds=time.perf_counter() - started,
    )


@contextmanager
def empty_store(home: Home, datasets: Sequence[str]) -> Iterator[Home]:
    """Give a home whose store holds the data sets and nothing else; it goes afterwards."""
    store = Store(home.store)
    store.remove_leftovers()
    with store.scratch() as folder:
        place = Home(folder)
        for key in datasets:
            link = Store(place.store).path("dataset", key)
            link.parent.mkdir(parents=True, exist_ok=True)
            target = store.path("dataset", key)
            link.symlink_to(target, target_is_directory=True)
        yield place


def _train_alone(
    cell: Cell, plan: CompiledPlan, place: Home, progress: Progress
) -> tuple[CompiledCell, str | None]:
    """Do all that one cell needs; return it, and why that failed, if it did."""
    runner = InProcess(Workplace(place, plan.plan.folder), progress)
    ledger = Ledger(Journal(place.journals / "verify.jsonl"))
    while True:
        finished = StoreFinished(Store(place.store))
        graph = compile_cells([cell], plan.facts, curves=finished)
        work = plan_work(graph, finished, features_bytes=plan.plan.limits.features_bytes)
        has_new = not all(ledger.knows(key) for key in work.keys)
        for group in plan_tasks(graph, work, devices=plan.facts.device_names):
            do_jobs(group.jobs, ledger, runner)
        (alone,) = graph.cells
        error = ledger.failure(work.waiting[cell.cell_id])
        if error or not (graph.is_open and has_new):
            return alone, f"it could not be trained again: {error}" if error else None


def _compare(
    stored: CompiledCell, alone: CompiledCell, theirs: Store, ours: Store
) -> list[Comparison]:
    """Compare rows first: where they differ, so does all that follows."""
    sets = (alone.chain.train, *alone.image_sets.values())
    images = list(dict.fromkeys(image for part in sets for image in part.images))
    read = [phase.recipe for phase in alone.chain.phases]
    recipes = dict.fromkeys(one for recipe in read for one in (recipe, recipe.pixels) if one)
    rows = [compare_rows(theirs, ours, recipe, images) for recipe in recipes]
    results = compare_results(read_result(theirs, stored), read_result(ours, alone))
    return [*(comparison for comparison in rows if comparison), *results]


def _datasets(compiled: CompiledCell) -> list[str]:
    """Return keys of the data sets that a cell reads."""
    sets = (compiled.chain.train, *compiled.image_sets.values())
    return sorted({images.dataset for images in sets})
