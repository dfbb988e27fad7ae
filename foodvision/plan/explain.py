"""Say before running what a run would do, and what it would cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from foodvision.plan.expand import SEPARATOR, Cell
from foodvision.plan.footprint import Footprint, footprint, output_bytes, state_bytes
from foodvision.plan.keeping import Keeping, keepings
from foodvision.plan.left_out import causes
from foodvision.plan.views import View

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from foodvision.plan.cell_schema import CellSettings
    from foodvision.plan.composite_stages import CompiledComposite
    from foodvision.plan.graph import Graph, Span
    from foodvision.plan.input_schema import DataChoice
    from foodvision.plan.work import (
        CompositeJob,
        LatencyJob,
        RowsJob,
        ScoreJob,
        TrainJob,
        ViewJob,
        Work,
    )


@dataclass(frozen=True)
class StageLine:
    """One missing stage.

    Attributes:
        kind: pixels, features, train, score, view, composite or latency.
        key: of the stage.
        what: in words: the architecture, the images, the epochs.
        cells: labels of the cells that wait for it, or are told it.
        epochs: to train.
        images: to put through it.
        bytes: to write.
        seconds: that it will take; `None`: nothing like it was measured on this device.
    """

    kind: str
    key: str
    what: str
    cells: tuple[str, ...]
    epochs: int
    images: int
    bytes: int
    seconds: float | None = None


@dataclass(frozen=True)
class Unknown:
    """Cells of which nothing can be said.

    Attributes:
        why: what cannot be had.
        labels: of the cells, and of what is made of them.
        cells: how many of these are cells.
    """

    why: str
    labels: tuple[str, ...]
    cells: int


@dataclass(frozen=True)
class Explanation:
    """What a run would do.

    Attributes:
        plan: name of the plan.
        cells: number of cells, without those that are left out.
        cells_done: of them, those that miss nothing.
        composites: number of rows that are made of these: views at test time, ensembles.
        hits: finished stages that will be used.
        stages: missing stages, in an order that they can be done in.
        work: per counted quantity, what each cell alone would take (`alone`) and what the run
            will do (`run`).
        is_bound: whether both are at most that much, because stop rules decide.
        left_out: what is not among all that, because something cannot be had: each cause once.
    """

    plan: str
    cells: int
    cells_done: int
    composites: int
    hits: int
    stages: tuple[StageLine, ...]
    work: dict[str, dict[str, int]]
    kept: tuple[Keeping, ...]
    disk: Footprint
    is_bound: bool = False
    left_out: tuple[Unknown, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def explain(
    plan: str,
    graph: Graph,
    work: Work,
    *,
    save: str = "all",
    seconds: Mapping[str, float | None] | None = None,
) -> Explanation:
    """Explain the work of a compiled plan.

    Args:
        plan: its name.
        graph: the compiled plan.
        work: the graph held against the store.
        save: which models it saves.
        seconds: that missing stages will take, by key, as far as that is known.
    """
    expected = seconds or {}
    waiting: dict[str, list[Cell]] = {}
    for compiled in graph.cells:
        for key in work.waiting[compiled.cell.cell_id]:
            waiting.setdefault(key, []).append(compiled.cell)
    stages = [_rows_line(job) for job in work.rows]
    stages += [_train_line(job, waiting.get(job.span.key, ())) for job in work.training]
    stages += [_score_line(job, waiting.get(job.score_key, ())) for job in work.scoring]
    stages += [_view_line(job, graph.composites) for job in work.views]
    stages += [_composite_line(job) for job in work.combining]
    stages += [_latency_line(job, graph) for job in work.measuring]
    naive, predicted = asdict(work.naive), asdict(work.predicted)
    return Explanation(
        plan=plan,
        cells=len(graph.cells),
        cells_done=sum(not work.waiting[compiled.cell.cell_id] for compiled in graph.cells),
        composites=len(graph.composites),
        hits=len(work.hits),
        stages=tuple(
            replace(stage, seconds=expected.get(stage.key))
            for stage in _told_apart(stages, _labels(graph, work, waiting))
        ),
        work={name: {"alone": naive[name], "run": predicted[name]} for name in naive},
        kept=keepings(graph, work),
        disk=footprint(graph, work, save),
        is_bound=work.is_bound,
        left_out=_unknown(graph),
    )


def _unknown(graph: Graph) -> tuple[Unknown, ...]:
    cells = {each.row.label for each in graph.left_out if isinstance(each.row, Cell)}
    return tuple(
        Unknown(why, tuple(labels), cells=len(cells.intersection(labels)))
        for why, labels in causes(graph.left_out).items()
    )


def _labels(
    graph: Graph, work: Work, waiting: Mapping[str, Sequence[Cell]]
) -> dict[str, list[str]]:
    """Return the labels of the cells that each missing stage is about, by its key."""
    found = {key: [cell.label for cell in cells] for key, cells in waiting.items()}
    for job in work.views:
        found[job.key] = [job.score.compiled.cell.label]
    for combined in work.combining:
        found[combined.key] = [combined.compiled.composite.label]
    for measured in work.measuring:
        found[measured.key] = [
            each.cell.label for each in graph.cells if each.latency == measured.stage
        ]
    asking: dict[str, dict[str, None]] = {}
    for compiled in graph.cells:
        for phase in compiled.chain.phases:
            for recipe in (phase.recipe, phase.recipe.pixels):
                if recipe is not None:
                    asking.setdefault(recipe.key, {})[compiled.cell.label] = None
    for composite in graph.composites:
        for view in composite.view_scores():
            asking.setdefault(view.recipe.key, {})[view.compiled.cell.label] = None
    return found | {job.recipe.key: list(asking.get(job.recipe.key, ())) for job in work.rows}


def _told_apart(
    stages: Sequence[StageLine], labels: Mapping[str, Sequence[str]]
) -> Iterable[StageLine]:
    """Add to lines that read alike what their cells' labels tell them apart by, else their keys."""
    told = list(_with_own_parts(stages, labels))
    counts = Counter((stage.kind, stage.what) for stage in told)
    for stage in told:
        is_alike = counts[stage.kind, stage.what] > 1
        yield replace(stage, what=f"{stage.what}, {stage.key[:8]}") if is_alike else stage


def _with_own_parts(
    stages: Sequence[StageLine], labels: Mapping[str, Sequence[str]]
) -> Iterable[StageLine]:
    counts = Counter((stage.kind, stage.what) for stage in stages)
    parts = {stage.key: _common(labels.get(stage.key, ())) for stage in stages}
    everywhere: dict[tuple[str, str], set[str]] = {}
    for stage in stages:
        about = (stage.kind, stage.what)
        everywhere.setdefault(about, set(parts[stage.key])).intersection_update(parts[stage.key])
    for stage in stages:
        about = (stage.kind, stage.what)
        own = [part for part in parts[stage.key] if part not in everywhere[about]]
        yield replace(stage, what=", ".join([stage.what, *own])) if counts[about] > 1 else stage


def _common(labels: Iterable[str]) -> list[str]:
    """Return the parts that all labels have, in order."""
    split = [label.split(SEPARATOR) for label in labels]
    return [part for part in split[0] if all(part in others for others in split)] if split else []


def _rows_line(job: RowsJob) -> StageLine:
    settings = job.recipe.settings
    model = settings.get("model")
    what = f"{model['arch']}, {model['size']} px" if model else f"{settings['size']} px"
    if settings.get("view"):
        what += f", {View.from_json(settings['view']).text}"
    return StageLine(
        kind=job.recipe.kind,
        key=job.recipe.key,
        what=f"{what}, run with every batch (above limits.features_bytes)" if job.live else what,
        cells=(),
        epochs=0,
        images=len(job.missing),
        bytes=job.bytes_missing,
    )


def _train_line(job: TrainJob, cells: Sequence[Cell]) -> StageLine:
    span = job.span
    settings = span.phase.settings
    epochs = f"epochs {span.first_epoch}-{span.last_epoch}{_stop_words(job)}"
    again = " again, for its curve" if job.replay else ""
    data = _names([settings.data, *(cell.settings.data for cell in cells)])
    return StageLine(
        kind="train",
        key=span.key,
        what=f"{settings.model.arch}, {data}, {epochs}{again}{_phase_words(span)}"
        f"{_random_words(settings)}",
        cells=tuple(cell.label for cell in cells),
        epochs=span.epochs,
        images=span.epochs * len(span.phase.train.images),
        bytes=state_bytes(job) + output_bytes(job.scored),
    )


def _stop_words(job: TrainJob) -> str:
    """Say that a span may end earlier, and what ends it."""
    if not job.may_end:
        return ""
    rules = dict.fromkeys(watch.words for watch in job.watches)
    return f" at most (stop: {'; '.join(rules)})"


def _phase_words(span: Span) -> str:
    """Say which phase a span is of, where there are several."""
    phases, phase = span.chain.phases, span.phase
    if len(phases) == 1:
        return ""
    return f", phase {phases.index(phase) + 1} of {len(phases)} ({phase.transform['size']} px)"


def _random_words(settings: CellSettings) -> str:
    """Name what draws anew in every epoch; what it rules out is told by `kept`."""
    steps = () if settings.augment == "none" else settings.augment
    mixes = () if settings.mix == "none" else (settings.mix,)
    words = " + ".join(each.kind for each in (*steps, *mixes))
    return f", {words}" if words else ""


def _score_line(job: ScoreJob, cells: Sequence[Cell]) -> StageLine:
    part = job.images.part
    settings = [cell.settings for cell in cells] or [job.phase.settings]
    data = _names([each.test if part == "test" else each.data for each in settings])
    return StageLine(
        kind="score",
        key=job.score_key,
        what=f"{settings[0].model.arch} on {data}, {part}",
        cells=tuple(cell.label for cell in cells),
        epochs=0,
        images=len(job.epochs) * len(job.images.images),
        bytes=output_bytes([job.images]),
    )


def _view_line(job: ViewJob, composites: Sequence[CompiledComposite]) -> StageLine:
    score, settings = job.score, job.score.compiled.cell.settings
    data = settings.test.name if score.images.part == "test" else settings.data.name
    return StageLine(
        kind="view",
        key=job.key,
        what=f"{settings.model.arch} on {data}, {score.images.part}, {score.view.text}",
        cells=tuple(each.composite.label for each in composites if score in each.view_scores()),
        epochs=0,
        images=len(score.images.images),
        bytes=output_bytes([score.images]),
    )


def _composite_line(job: CompositeJob) -> StageLine:
    composite = job.compiled.composite
    return StageLine(
        kind="composite",
        key=job.key,
        what=f"{composite.kind} of stored outputs",
        cells=(composite.label,),
        epochs=0,
        images=0,
        bytes=output_bytes(job.compiled.image_sets.values()),
    )


def _latency_line(job: LatencyJob, graph: Graph) -> StageLine:
    model = job.stage.inputs["model"]
    sizes = " and ".join(map(str, job.stage.inputs["batch_sizes"]))
    return StageLine(
        kind="latency",
        key=job.key,
        what=f"{model['arch']}, {model['size']} px, {sizes} at a time",
        cells=tuple(each.cell.label for each in graph.cells if each.latency == job.stage),
        epochs=0,
        images=0,
        bytes=0,
    )


def _names(choices: Sequence[DataChoice]) -> str:
    """Return the names of data sets, each once: several may be of the same images."""
    return " and ".join(dict.fromkeys(choice.name for choice in choices))
