"""Compare two compiled plans: what the later one reuses, continues, adds and drops.

Pure, and about the plans alone: two chains share the epochs whose states have the same keys. What
of it lies in the store, and what a run would do, is what `explain` says.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from foodvision.plan.composite_stages import CompiledComposite
    from foodvision.plan.facts import ImageSet
    from foodvision.plan.graph import CompiledCell, Graph, Recipe

Change = Literal["reused", "continued", "added"]
_TRAINED = "trained"


@dataclass(frozen=True)
class SharedRows:
    """Rows that a cell reads and that a cell of the other plan reads too.

    Attributes:
        kind: pixels or features.
        images: of the images that the cell reads, how many the other plan puts through the recipe.
        of_images: distinct images that the cell reads.
    """

    kind: Literal["pixels", "features"]
    images: int
    of_images: int


@dataclass(frozen=True)
class CellChange:
    """One cell of the later plan, held against the earlier one.

    Attributes:
        change: `reused` where a cell of the earlier plan ends in the same state; `continued` where
            one goes through the same first epochs; `added` where no epoch is shared.
        cell_id: of the cell.
        label: of the cell.
        epochs: of the cell.
        shared_epochs: its leading epochs that the earlier plan trains too; in [0, epochs].
        with_label: the cell of the earlier plan that it shares them with, `None` for `added`.
        new_scores: parts (valid, test) whose images the shared cell is not scored on; `None` where
            the final state is new and all scores are.
        rows: rows that it shares with the earlier plan, whichever the change; `None` for none.
    """

    change: Change
    cell_id: str
    label: str
    epochs: int
    shared_epochs: int
    with_label: str | None
    new_scores: tuple[str, ...] | None
    rows: SharedRows | None


@dataclass(frozen=True)
class DroppedCell:
    """One cell of the earlier plan whose final state is no result of the later one.

    Attributes:
        cell_id: of the cell.
        label: of the cell.
        epochs: of the cell.
        lives_on_in: label of a cell of the later plan that passes through its final state, if any.
    """

    cell_id: str
    label: str
    epochs: int
    lives_on_in: str | None


@dataclass(frozen=True)
class CompositeChange:
    """A row of the later plan that is made of cells, held against the earlier plan.

    Attributes:
        change: `reused` where the earlier plan makes the same of the same outputs; else `added`.
        cell_id: of the composite.
        kind: tta, mean, weighted or vote.
        label: of the composite.
        outputs: stored outputs that it is made of: of each member, in each view, on each part.
        shared_outputs: of them, those that the earlier plan makes too; in [0, outputs].
        with_label: the composite of the earlier plan that is the same, `None` for `added`.
    """

    change: Literal["reused", "added"]
    cell_id: str
    kind: str
    label: str
    outputs: int
    shared_outputs: int
    with_label: str | None


@dataclass(frozen=True)
class DroppedComposite:
    """A row of the earlier plan that is made of cells and that the later one lacks.

    Attributes:
        cell_id: of the composite.
        kind: tta, mean, weighted or vote.
        label: of the composite.
    """

    cell_id: str
    kind: str
    label: str


@dataclass(frozen=True)
class Difference:
    """A plan held against an earlier one.

    Attributes:
        cells: one per cell of the later plan, in its order.
        dropped: cells of the earlier plan that the later one lacks, in its order.
        composites: one per row of the later plan that is made of cells, in its order.
        dropped_composites: such rows of the earlier plan that the later one lacks, in its order.
        epochs: distinct epochs of the later plan (leading epochs that its own cells share count
            once).
        shared_epochs: of them, those that the earlier plan trains too.
    """

    cells: tuple[CellChange, ...]
    dropped: tuple[DroppedCell, ...]
    composites: tuple[CompositeChange, ...]
    dropped_composites: tuple[DroppedComposite, ...]
    epochs: int
    shared_epochs: int

    def count(self, change: Change) -> int:
        """Return how many cells of the later plan changed in that way."""
        return sum(cell.change == change for cell in self.cells)

    def count_composites(self, change: Change) -> int:
        """Return how many rows of the later plan that are made of cells changed in that way."""
        return sum(each.change == change for each in self.composites)

    def to_json(self) -> list[dict[str, Any]]:
        """Return JSON values: one object per row, dropped ones last."""
        cells = [{"kind": _TRAINED, **asdict(cell)} for cell in self.cells]
        gone = [{"change": "dropped", "kind": _TRAINED, **asdict(cell)} for cell in self.dropped]
        gone += [{"change": "dropped", **asdict(each)} for each in self.dropped_composites]
        return cells + [asdict(each) for each in self.composites] + gone


def diff_graphs(before: Graph, after: Graph) -> Difference:
    """Hold a compiled plan against an earlier one.

    Args:
        before: the earlier plan, whose work counts as given.
        after: the later plan.
    """
    known = _Known(before)
    ends = {compiled.final for compiled in after.cells}
    passing = _by_state(after)
    made = {each.key for each in after.composites}
    distinct = {state for compiled in after.cells for state in compiled.states}
    return Difference(
        cells=tuple(known.judge(compiled) for compiled in after.cells),
        dropped=tuple(
            _dropped(compiled, passing) for compiled in before.cells if compiled.final not in ends
        ),
        composites=tuple(known.judge_composite(each) for each in after.composites),
        dropped_composites=tuple(
            DroppedComposite(each.composite.cell_id, each.composite.kind, each.composite.label)
            for each in before.composites
            if each.key not in made
        ),
        epochs=len(distinct),
        shared_epochs=len(distinct & known.through.keys()),
    )


class _Known:
    """What the earlier plan trains, by key."""

    def __init__(self, graph: Graph) -> None:
        self.through = _by_state(graph)
        self.ends: dict[str, list[CompiledCell]] = {}
        self.images: dict[str, set[str]] = {}
        for compiled in graph.cells:
            self.ends.setdefault(compiled.final, []).append(compiled)
            for recipe in _recipes(compiled):
                self.images.setdefault(recipe.key, set()).update(_images(compiled))
        self.composites = {each.key: each.composite.label for each in graph.composites}
        self.outputs = {key for compiled in graph.cells for key in compiled.score_keys.values()}
        self.outputs.update(*map(_outputs, graph.composites))

    def judge_composite(self, compiled: CompiledComposite) -> CompositeChange:
        outputs = _outputs(compiled)
        return CompositeChange(
            change="reused" if compiled.key in self.composites else "added",
            cell_id=compiled.composite.cell_id,
            kind=compiled.composite.kind,
            label=compiled.composite.label,
            outputs=len(outputs),
            shared_outputs=len(outputs & self.outputs),
            with_label=self.composites.get(compiled.key),
        )

    def judge(self, compiled: CompiledCell) -> CellChange:
        epochs = len(compiled.states)
        shared = self._shared_epochs(compiled)
        twins = self.ends.get(compiled.final, [])
        change: Change = "reused" if twins else "continued" if shared else "added"
        partner = _namesake(twins, compiled) or (
            self.through[compiled.states[shared - 1]] if shared else None
        )
        return CellChange(
            change=change,
            cell_id=compiled.cell.cell_id,
            label=compiled.cell.label,
            epochs=epochs,
            shared_epochs=shared,
            with_label=partner.cell.label if partner else None,
            new_scores=_new_scores(compiled, twins) if twins else None,
            rows=self._shared_rows(compiled),
        )

    def _shared_epochs(self, compiled: CompiledCell) -> int:
        """Count leading epochs; keys are chained, so a shared state has only shared ones before."""
        states = compiled.states
        return next(
            (epoch for epoch in range(len(states), 0, -1) if states[epoch - 1] in self.through), 0
        )

    def _shared_rows(self, compiled: CompiledCell) -> SharedRows | None:
        """Find rows of the deepest recipe that both plans read, of the latest phase first."""
        needed = _images(compiled)
        recipes = [*reversed(_recipes(compiled))]
        pixels = [recipe.pixels for recipe in recipes if recipe.pixels is not None]
        for recipe in [*recipes, *pixels]:
            shared = len(needed & self.images.get(recipe.key, set()))
            if shared:
                return SharedRows(recipe.kind, shared, len(needed))
        return None


def _by_state(graph: Graph) -> dict[str, CompiledCell]:
    """Return for each state the first cell that passes through it."""
    found: dict[str, CompiledCell] = {}
    for compiled in graph.cells:
        for state in compiled.states:
            found.setdefault(state, compiled)
    return found


def _namesake(twins: list[CompiledCell], compiled: CompiledCell) -> CompiledCell | None:
    """Return the twin of the same label, else the first one."""
    same = [twin for twin in twins if twin.cell.label == compiled.cell.label]
    return next(iter([*same, *twins]), None)


def _new_scores(compiled: CompiledCell, twins: Iterable[CompiledCell]) -> tuple[str, ...]:
    scored = {key for twin in twins for key in twin.score_keys.values()}
    return tuple(part for part, key in compiled.score_keys.items() if key not in scored)


def _outputs(compiled: CompiledComposite) -> set[str]:
    """Return the keys of the stored outputs that a composite combines."""
    return {
        key
        for voice in compiled.voices
        for part in compiled.image_sets
        for _, key in voice.stages(part)
    }


def _images(compiled: CompiledCell) -> frozenset[str]:
    return _distinct((compiled.chain.train, *compiled.image_sets.values()))


def _recipes(compiled: CompiledCell) -> tuple[Recipe, ...]:
    """Return the recipes of a cell's phases, each once, in order."""
    return tuple(dict.fromkeys(phase.recipe for phase in compiled.chain.phases))


@lru_cache(maxsize=64)
def _distinct(sets: tuple[ImageSet, ...]) -> frozenset[str]:
    return frozenset(image for images in sets for image in images.images)


def _dropped(compiled: CompiledCell, passing: Mapping[str, CompiledCell]) -> DroppedCell:
    heir = passing.get(compiled.final)
    return DroppedCell(
        cell_id=compiled.cell.cell_id,
        label=compiled.cell.label,
        epochs=len(compiled.states),
        lives_on_in=heir.cell.label if heir else None,
    )
