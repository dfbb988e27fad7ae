"""From planned work to jobs: what to do, what each needs first, and how jobs share task runs.

Nothing here imports torch: where other processes do the work, this one need not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from foodvision.plan.cell_schema import CellSettings
from foodvision.plan.labels import rows_label, span_label
from tasks.outcomes import Job

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from foodvision.plan.composite_stages import ViewScore
    from foodvision.plan.graph import CompiledCell, Graph, Phase, Recipe
    from foodvision.plan.schema import RecordSettings
    from foodvision.plan.work import (
        CompositeJob,
        LatencyJob,
        RowsJob,
        ScoreJob,
        Tally,
        TrainJob,
        ViewJob,
        Work,
    )
    from foodvision.stages.site import Site

# Heads on cached rows train in milliseconds: so many bytes of rows may pass through them in one
# task run, which makes a task run worth about a second.
GROUP_BYTES = 1 << 30

Devices = Callable[[CellSettings], tuple[str, ...]]


@dataclass(frozen=True)
class TaskGroup:
    """Jobs that go into one task run.

    Attributes:
        kind: of the jobs.
        label: names the task run for people.
        jobs: in an order that they can be done in.
        after: keys of jobs that must have ended before, well or badly: it is to be alone.
    """

    kind: str
    label: str
    jobs: tuple[Job, ...]
    after: frozenset[str] = frozenset()

    @property
    def devices(self) -> tuple[str, ...]:
        """Torch's names of the devices that may do the jobs, the same for all of them."""
        return self.jobs[0].devices

    @property
    def needs(self) -> frozenset[str]:
        """Keys of jobs outside the group that must have been tried before."""
        own = {job.key for job in self.jobs}
        return frozenset(need for job in self.jobs for need in job.needs if need not in own)


def plan_tasks(
    graph: Graph,
    work: Work,
    *,
    devices: Devices,
    workers: int = 1,
    record: RecordSettings | None = None,
) -> list[TaskGroup]:
    """Return the task runs of a run, in an order that they can be done in.

    Args:
        graph: the compiled plan.
        work: what is missing of it.
        devices: tells torch's names of the devices that may do the work of a cell.
        workers: that will do it at the same time: siblings are shared out among them.
        record: what trainings note beside their epochs; `None`: nothing.
    """
    maker = _JobMaker(graph, work, devices, record)
    groups = [_alone(maker.rows(job)) for job in work.rows if not job.live]
    groups += _grouped([(job, maker.train(job)) for job in work.training], workers)
    groups += _scoring([maker.score(job) for job in work.scoring], workers)
    groups += _grouped_views([(job, maker.view(job)) for job in work.views])
    if work.combining:
        made = tuple(maker.combine(job) for job in work.combining)
        label = made[0].label if len(made) == 1 else f"combine members, {len(made)} times"
        groups.append(TaskGroup("composite", label, made))
    return groups + _measuring([maker.latency(job) for job in work.measuring], groups)


class _JobMaker:
    def __init__(
        self, graph: Graph, work: Work, devices: Devices, record: RecordSettings | None
    ) -> None:
        self._devices = devices
        self._record = record
        self._waiting = work.waiting
        self._live = {job.recipe for job in work.rows if job.live}
        self._rows = {job.recipe for job in work.rows if not job.live}
        self._trained = {job.span.key for job in work.training}
        self._by_recipe: dict[Recipe, list[CompiledCell]] = {}
        self._by_key: dict[str, list[CompiledCell]] = {}
        for compiled in graph.cells:
            keys = work.waiting[compiled.cell.cell_id]
            if keys:
                for recipe in dict.fromkeys(phase.recipe for phase in compiled.chain.phases):
                    self._by_recipe.setdefault(recipe, []).append(compiled)
            for key in keys:
                self._by_key.setdefault(key, []).append(compiled)
        missing = {job.key for job in work.views}
        self._views: dict[str, list[ViewScore]] = {}  # by composite
        for composite in graph.composites:
            views = [view for view in composite.view_scores() if view.key in missing]
            self._views[composite.composite.cell_id] = views

    def rows(self, job: RowsJob) -> Job:
        cells, viewers = self._askers(job.recipe), self._viewers(job.recipe)
        phase = (
            _asking(cells[0], job.recipe) if cells else next(iter(viewers.values())).compiled.phase
        )
        pixels = job.recipe.pixels
        return Job(
            kind=job.recipe.kind,
            key=job.recipe.key,
            label=rows_label(job),
            cells=(*_ids(cells), *viewers),
            needs=(pixels.key,) if pixels in self._rows and pixels is not None else (),
            devices=self._devices(phase.settings),
            work=partial(_compute_rows, job, phase),
        )

    def train(self, job: TrainJob) -> Job:
        span, phase = job.span, job.span.phase
        cells = self._by_key.get(span.key, [])
        parent = (span.parent,) if span.parent in self._trained and span.parent else ()
        return Job(
            kind="train",
            key=span.key,
            label=f"{span_label(span)}, {_place(cells)}",
            cells=_ids(cells),
            needs=(*parent, *self._row_needs(phase.recipe)),
            devices=self._devices(phase.settings),
            work=partial(_train, job, phase.recipe in self._live, self._record),
        )

    def score(self, job: ScoreJob) -> Job:
        phase = job.phase
        cells = self._by_key.get(job.score_key, [])
        return Job(
            kind="score",
            key=job.score_key,
            label=f"score {phase.settings.model.arch}, {_place(cells)}",
            cells=_ids(cells),
            needs=self._row_needs(phase.recipe),
            devices=self._devices(phase.settings),
            work=partial(_score, job, phase.recipe in self._live),
        )

    def view(self, job: ViewJob) -> Job:
        score, cell = job.score, job.score.compiled.cell
        arch = score.compiled.phase.settings.model.arch
        return Job(
            kind="view",
            key=job.key,
            label=f"view {arch}, {score.view.text}, {score.images.part}",
            cells=tuple(cell_id for cell_id, views in self._views.items() if score in views),
            needs=(*self._waiting[cell.cell_id], *self._row_needs(score.recipe)),
            devices=self._devices(score.compiled.phase.settings),
            work=partial(_score_view, job, score.recipe in self._live),
        )

    def combine(self, job: CompositeJob) -> Job:
        composite = job.compiled.composite
        waiting = self._waiting[composite.cell_id]
        return Job(
            kind="composite",
            key=job.key,
            label=f"combine {composite.label.replace(' · ', ', ')}",
            cells=(composite.cell_id,),
            needs=tuple(key for key in waiting if key != job.key),
            devices=self._devices(job.compiled.voices[0].compiled.phase.settings),
            work=partial(_combine, job),
        )

    def latency(self, job: LatencyJob) -> Job:
        settings = job.stage.phase.settings
        shape = job.stage.inputs["model"]
        return Job(
            kind="latency",
            key=job.key,
            label=f"latency {shape['arch']}, {shape['size']} px",
            cells=(),
            needs=(),
            devices=self._devices(settings),
            work=partial(_measure, job),
        )

    def _viewers(self, recipe: Recipe) -> dict[str, ViewScore]:
        """Return the composites that miss a view of a recipe's rows, each with such a view."""
        return {
            cell_id: view
            for cell_id, views in self._views.items()
            for view in views
            if recipe in (view.recipe, view.recipe.pixels)
        }

    def _askers(self, recipe: Recipe) -> list[CompiledCell]:
        asking = {
            compiled.cell.cell_id: compiled
            for asked, cells in self._by_recipe.items()
            if recipe in (asked, asked.pixels)
            for compiled in cells
        }
        return list(asking.values())

    def _row_needs(self, recipe: Recipe) -> tuple[str, ...]:
        sources = (recipe, recipe.pixels) if recipe in self._live else (recipe,)
        return tuple(source.key for source in sources if source and source in self._rows)


# Functions of a module, so that they can be named in another process.


def _compute_rows(job: RowsJob, phase: Phase, site: Site) -> Tally:
    from foodvision.stages.rows import compute_rows

    return compute_rows(job, site, transform=phase.transform, classes=phase.classes)


def _train(job: TrainJob, live: bool, record: RecordSettings | None, site: Site) -> Tally:
    from foodvision.stages.training import train_span

    return train_span(job, site, live=live, record=record)


def _score(job: ScoreJob, live: bool, site: Site) -> Tally:
    from foodvision.stages.training import score_states

    return score_states(job, site, live=live)


def _score_view(job: ViewJob, live: bool, site: Site) -> Tally:
    from foodvision.stages.views import score_view

    return score_view(job, site, live=live)


def _combine(job: CompositeJob, site: Site) -> Tally:
    from foodvision.stages.composites import combine_members

    return combine_members(job, site)


def _measure(job: LatencyJob, site: Site) -> Tally:
    from foodvision.stages.latency import measure_model

    return measure_model(job, site)


def _asking(compiled: CompiledCell, recipe: Recipe) -> Phase:
    """Return the phase of a cell that reads a recipe's rows, or pixels for its own rows."""
    return next(
        phase for phase in compiled.chain.phases if recipe in (phase.recipe, phase.recipe.pixels)
    )


def _ids(cells: Iterable[CompiledCell]) -> tuple[str, ...]:
    return tuple(compiled.cell.cell_id for compiled in cells)


def _place(cells: Sequence[CompiledCell]) -> str:
    """Name the cell that a job is for, or how many share it."""
    if len(cells) == 1:
        return cells[0].cell.label.replace(" · ", ", ")
    names = {compiled.cell.settings.data.name for compiled in cells}
    return f"{', '.join(sorted(names))}, {len(cells)} cells"


def _alone(job: Job) -> TaskGroup:
    return TaskGroup(job.kind, job.label, (job,))


# -- grouping -----------------------------------------------------------------------------------


@dataclass
class _Line:
    """Spans that follow one another and go into one task run: heads on one set of rows, or one.

    Attributes:
        recipe: of the rows that they read.
        devices: that may train them.
        small: whether other lines may go into the same task run.
        depth: lines on the way to it. Task runs hold lines of one depth, so that no two of them
            can wait for each other.
        jobs: in order.
        bytes: of rows that pass through them.
    """

    recipe: Recipe
    devices: tuple[str, ...]
    small: bool
    depth: int
    jobs: list[Job]
    bytes: int

    def takes(self, other: _Line) -> bool:
        """Say whether what follows can be done in the same task run."""
        alike = (self.recipe, self.devices) == (other.recipe, other.devices)
        return alike and self.small and other.small


def _grouped(training: Sequence[tuple[TrainJob, Job]], workers: int) -> list[TaskGroup]:
    """Put small siblings, heads on the same features, into one task run."""
    shelves: dict[Any, list[_Line]] = {}
    for line in _lines(training):
        alike = (line.recipe, line.devices) if line.small else line.jobs[0].key
        shelves.setdefault((line.depth, alike), []).append(line)
    in_order = sorted(shelves.values(), key=lambda lines: lines[0].depth)
    return [group for lines in in_order for group in _shared_out(lines, workers)]


def _lines(training: Sequence[tuple[TrainJob, Job]]) -> list[_Line]:
    lines: list[_Line] = []
    line_of: dict[str, _Line] = {}
    for planned, job in training:
        recipe, cost = planned.span.phase.recipe, _row_bytes(planned)
        small = recipe.kind == "features" and cost < GROUP_BYTES
        line = _Line(recipe, job.devices, small, 0, [job], cost)
        above = line_of.get(planned.span.parent or "")
        if above and above.takes(line):
            above.jobs.append(job)
            above.bytes += cost
            line = above
        else:
            line.depth = above.depth + 1 if above else 0
            lines.append(line)
        line_of[job.key] = line
    return lines


def _shared_out(lines: Sequence[_Line], workers: int) -> Iterator[TaskGroup]:
    """Fill task runs with lines: none too long, and enough of them for every worker."""
    limit = min(GROUP_BYTES, -(-sum(line.bytes for line in lines) // workers))
    held: list[Job] = []
    held_bytes = 0
    for line in lines:
        if held and held_bytes + line.bytes > limit:
            yield _group(held)
            held, held_bytes = [], 0
        held += line.jobs
        held_bytes += line.bytes
    yield _group(held)


def _grouped_views(views: Sequence[tuple[ViewJob, Job]]) -> list[TaskGroup]:
    """Put heads that see kept rows into one task run, and other models into one each."""
    groups: dict[str, list[Job]] = {}
    names: dict[str, str] = {}
    for planned, job in views:
        cell = planned.score.compiled.cell
        is_head = planned.score.recipe.kind == "features"
        name = planned.score.compiled.phase.settings.model.arch if is_head else cell.label
        group = f"heads on {name}" if is_head else cell.cell_id
        names[group] = name.replace(" · ", ", ")
        groups.setdefault(group, []).append(job)
    return [
        TaskGroup("view", f"views of {names[group]}, {len(jobs)}", tuple(jobs))
        for group, jobs in groups.items()
    ]


def _measuring(jobs: Sequence[Job], before: Sequence[TaskGroup]) -> list[TaskGroup]:
    """Measure models one after the other, when nothing else is going on."""
    groups: list[TaskGroup] = []
    ended = {job.key for group in before for job in group.jobs}
    for devices in dict.fromkeys(job.devices for job in jobs):
        alike = tuple(job for job in jobs if job.devices == devices)
        groups.append(
            TaskGroup("latency", f"latency, {len(alike)} models", alike, frozenset(ended))
        )
        ended |= {job.key for job in alike}
    return groups


def _row_bytes(planned: TrainJob) -> int:
    phase = planned.span.phase
    images = len(phase.train.images) + sum(len(scored.images) for scored in planned.scored)
    return phase.recipe.row_bytes * images * planned.span.epochs


def _group(jobs: Sequence[Job]) -> TaskGroup:
    if len(jobs) == 1:
        return _alone(jobs[0])
    arch = jobs[0].label.split(", ")[0]
    return TaskGroup(jobs[0].kind, f"{arch}, {len(jobs)} heads", tuple(jobs))


def _scoring(jobs: Sequence[Job], workers: int) -> Iterator[TaskGroup]:
    """Score kept states in as many task runs as there are workers."""
    alike: dict[tuple[str, ...], list[Job]] = {}
    for job in jobs:
        alike.setdefault(job.devices, []).append(job)
    for found in alike.values():
        size = -(-len(found) // workers)
        for first in range(0, len(found), size):
            part = tuple(found[first : first + size])
            yield TaskGroup("score", f"score {len(part)} states", part)
