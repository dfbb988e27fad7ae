"""From planned work to jobs: what to do, what each needs first, and how jobs share task runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tasks.outcomes import Job

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from foodvision.plan.composite_stages import ViewScore
    from foodvision.plan.graph import CompiledCell, Graph, Phase, Recipe
    from foodvision.plan.work import (
        CompositeJob,
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


@dataclass(frozen=True)
class TaskGroup:
    """Jobs that go into one task run.

    Attributes:
        kind: of the jobs.
        label: names the task run for people.
        jobs: in an order that they can be done in.
    """

    kind: str
    label: str
    jobs: tuple[Job, ...]


def plan_tasks(graph: Graph, work: Work, site: Site) -> list[TaskGroup]:
    """Return the task runs of a run, in an order that they can be done in."""
    maker = _JobMaker(graph, work, site)
    groups = [_alone(maker.rows(job)) for job in work.rows if not job.live]
    groups += _grouped([(job, maker.train(job)) for job in work.training])
    if work.scoring:
        scores = tuple(maker.score(job) for job in work.scoring)
        groups.append(TaskGroup("score", f"score {len(scores)} states", scores))
    groups += _grouped_views([(job, maker.view(job)) for job in work.views])
    if work.combining:
        made = tuple(maker.combine(job) for job in work.combining)
        label = made[0].label if len(made) == 1 else f"combine members, {len(made)} times"
        groups.append(TaskGroup("composite", label, made))
    return groups


class _JobMaker:
    def __init__(self, graph: Graph, work: Work, site: Site) -> None:
        self._site = site
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
        from foodvision.stages.rows import compute_rows, describe

        cells, viewers = self._askers(job.recipe), self._viewers(job.recipe)
        phase = (
            _asking(cells[0], job.recipe) if cells else next(iter(viewers.values())).compiled.phase
        )
        pixels = job.recipe.pixels
        return Job(
            kind=job.recipe.kind,
            key=job.recipe.key,
            label=describe(job),
            cells=(*_ids(cells), *viewers),
            needs=(pixels.key,) if pixels in self._rows and pixels is not None else (),
            work=partial(
                compute_rows, job, self._site, transform=phase.transform, classes=phase.classes
            ),
        )

    def train(self, job: TrainJob) -> Job:
        from foodvision.stages.training import describe, train_span

        span, recipe = job.span, job.span.phase.recipe
        cells = self._by_key.get(span.key, [])
        parent = (span.parent,) if span.parent in self._trained and span.parent else ()
        return Job(
            kind="train",
            key=span.key,
            label=f"{describe(span)}, {_place(cells)}",
            cells=_ids(cells),
            needs=(*parent, *self._row_needs(recipe)),
            work=partial(train_span, job, self._site, live=recipe in self._live),
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
            work=partial(_score, job, self._site, phase.recipe in self._live),
        )

    def view(self, job: ViewJob) -> Job:
        from foodvision.stages.views import score_view

        score, cell = job.score, job.score.compiled.cell
        arch = score.compiled.phase.settings.model.arch
        return Job(
            kind="view",
            key=job.key,
            label=f"view {arch}, {score.view.text}, {score.images.part}",
            cells=tuple(cell_id for cell_id, views in self._views.items() if score in views),
            needs=(*self._waiting[cell.cell_id], *self._row_needs(score.recipe)),
            work=partial(score_view, job, self._site, live=score.recipe in self._live),
        )

    def combine(self, job: CompositeJob) -> Job:
        from foodvision.stages.composites import combine_members

        composite = job.compiled.composite
        waiting = self._waiting[composite.cell_id]
        return Job(
            kind="composite",
            key=job.key,
            label=f"combine {composite.label.replace(' · ', ', ')}",
            cells=(composite.cell_id,),
            needs=tuple(key for key in waiting if key != job.key),
            work=partial(combine_members, job, self._site),
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


def _score(job: ScoreJob, site: Site, live: bool) -> Tally:
    from foodvision.stages.training import score_states

    return score_states(job, site, live=live)


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


def _grouped(training: Sequence[tuple[TrainJob, Job]]) -> list[TaskGroup]:
    """Put small siblings, heads on the same features, into one task run."""
    groups: list[TaskGroup] = []
    held: list[Job] = []
    held_bytes, held_recipe = 0, None
    for planned, job in training:
        recipe, cost = planned.span.phase.recipe, _row_bytes(planned)
        small = recipe.kind == "features" and cost < GROUP_BYTES
        if held and (not small or recipe != held_recipe or held_bytes + cost > GROUP_BYTES):
            groups.append(_group(held))
            held, held_bytes = [], 0
        if small:
            held.append(job)
            held_bytes, held_recipe = held_bytes + cost, recipe
        else:
            groups.append(_alone(job))
    return [*groups, _group(held)] if held else groups


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


def _row_bytes(planned: TrainJob) -> int:
    phase = planned.span.phase
    images = len(phase.train.images) + sum(len(scored.images) for scored in planned.scored)
    return phase.recipe.row_bytes * images * planned.span.epochs


def _group(jobs: Sequence[Job]) -> TaskGroup:
    if len(jobs) == 1:
        return _alone(jobs[0])
    arch = jobs[0].label.split(", ")[0]
    return TaskGroup(jobs[0].kind, f"{arch}, {len(jobs)} heads", tuple(jobs))
