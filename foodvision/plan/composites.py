"""Composites: models made of trained ones, by averaging what those say.

A TTA row is one cell that sees every image in several views; an ensemble is several cells that
answer together. Neither trains anything. Pure, as `expand` is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from foodvision.errors import PlanError
from foodvision.hashing import digest
from foodvision.plan.expand import CELL_ID_LENGTH, SEPARATOR
from foodvision.plan.messages import suggestion
from foodvision.plan.phases import phase_steps
from foodvision.plan.problems import path_text
from foodvision.plan.sections import read_axes, read_pattern
from foodvision.plan.views import IDENTITY, single_views

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from foodvision.plan.combination import EnsembleSettings
    from foodvision.plan.expand import Cell
    from foodvision.plan.problems import PlanPath
    from foodvision.plan.schema import Plan
    from foodvision.plan.sections import Report
    from foodvision.plan.views import View

CompositeKind = Literal["tta", "mean", "weighted", "vote"]
_FEWEST = 2


@dataclass(frozen=True)
class Composite:
    """A model made of trained ones.

    Attributes:
        plan: the plan's name.
        cell_id: 16 hex digits of the digest of `settings`; names and labels do not count.
        kind: `tta`, or how an ensemble combines.
        label: as the leaderboard calls it.
        position: in the leaderboard's order, behind the cells.
        candidates: the cells that it is made of, or with `top`: chosen from; in the plan's order.
        views: that each member sees.
        top: so many of the best candidates; `None`: all.
        by: what the best are chosen by; `None` without `top`.
        settings: what it is, as JSON values: all that `cell_id` covers.
    """

    plan: str
    cell_id: str
    kind: CompositeKind
    label: str
    position: int
    candidates: tuple[Cell, ...]
    views: tuple[View, ...]
    top: int | None
    by: str | None
    settings: Mapping[str, Any]

    @property
    def needs_valid(self) -> bool:
        """Whether it depends on what its members score on the validation images."""
        return self.kind == "weighted" or (self.by or "").startswith("valid.")


def composites(plan: Plan, cells: Sequence[Cell]) -> list[Composite]:
    """Return the composites of a plan: TTA rows, then ensembles, in the order of the file.

    Args:
        plan: from `load_plan`.
        cells: from `expand`.

    Raises:
        PlanError: the plan was not made by `load_plan` and breaks its rules.
    """

    def refuse(path: PlanPath, message: str, *, at_key: bool = False) -> None:  # noqa: ARG001
        raise PlanError(f"{path_text(path)}: {message}")

    return read_composites(plan, cells, refuse)


def read_composites(plan: Plan, cells: Sequence[Cell], report: Report) -> list[Composite]:
    """Read `tta` and `ensembles`, reporting every broken rule.

    Args:
        plan: whose own shape is right.
        cells: from `expand`.
        report: called with each problem; the composite concerned is left out.
    """
    if not (plan.tta or plan.ensembles):
        return []
    reader = _Reader(plan, cells, report)
    for name in plan.tta:
        reader.tta(name)
    for name, settings in plan.ensembles.items():
        reader.ensemble(name, settings)
    return reader.found


class _Reader:
    def __init__(self, plan: Plan, cells: Sequence[Cell], report: Report) -> None:
        self.found: list[Composite] = []
        self._plan = plan
        self._cells = cells
        self._report = report
        self._sections = plan.sections() | {"base": plan.base.model_dump(mode="json")}
        self._axes = read_axes(plan.sections(), _passed_over)
        self._settings = {cell.cell_id: cell.settings.model_dump(mode="json") for cell in cells}
        self._labels = {cell.label for cell in cells}
        self._views: dict[str, tuple[View, ...]] = {}
        self._covered: dict[str, set[str]] = {}

    # -- TTA ----------------------------------------------------------------------------------

    def tta(self, name: str) -> None:
        settings, where = self._plan.tta[name], ("tta", name)
        covered = self._matching(settings.where, (*where, "where"))
        self._views[name] = single_views(settings.views)
        self._covered[name] = {cell.cell_id for cell in covered}
        if not self._fits(covered, where, name):
            return
        for cell in covered:
            self._add(
                kind="tta",
                label=f"{cell.label}{SEPARATOR}{name}",
                candidates=(cell,),
                views=self._views[name],
                settings={**self._settings[cell.cell_id], "tta": _json(self._views[name])},
                identity={"cell": cell.cell_id, "tta": _json(self._views[name])},
                where=where,
            )

    def _fits(self, cells: Sequence[Cell], where: PlanPath, name: str) -> bool:
        for cell in cells:
            transform = phase_steps(cell.settings)[-1].settings.transform
            if transform == "auto":
                continue  # the compiler knows its size
            for view in self._views[name]:
                if problem := view.misfit(transform.size):
                    self._report(where, f"cell {cell.label}: {problem}")
                    return False
        return True

    # -- ensembles ----------------------------------------------------------------------------

    def ensemble(self, name: str, settings: EnsembleSettings) -> None:
        where: PlanPath = ("ensembles", name)
        members = settings.members
        candidates = self._candidates(settings, (*where, "members"))
        problems = [
            *self._too_few(candidates, members.top),
            *self._unlike(candidates),
            *self._without_valid(settings, candidates),
        ]
        for problem in problems[:1]:
            self._report((*where, "members"), problem)
        views = self._tta_views(members.tta, candidates, (*where, "members", "tta"))
        if problems or views is None:
            return
        by = members.by if members.top is not None else None
        described = {
            "ensemble": settings.kind,
            "members": sorted(cell.cell_id for cell in candidates),
            "tta": _json(views),
            "top": members.top,
            "by": by,
        }
        self._add(
            kind=settings.kind,
            label=name,
            candidates=tuple(candidates),
            views=views,
            settings=described,
            identity=described,
            where=where,
            top=members.top,
            by=by,
        )

    def _candidates(self, settings: EnsembleSettings, where: PlanPath) -> list[Cell]:
        members = settings.members
        cells = self._matching(members.where, (*where, "where"))
        if not members.labels:
            return cells
        known = {label: cell for cell in self._cells for label in (cell.label, *cell.aliases)}
        for index, label in enumerate(members.labels):
            if label not in known:
                hint = suggestion(label, known)
                self._report((*where, "labels", index), f"no cell is called {label!r}{hint}")
        wanted = {known[label].cell_id for label in members.labels if label in known}
        return [cell for cell in cells if cell.cell_id in wanted]

    def _too_few(self, candidates: Sequence[Cell], top: int | None) -> Iterator[str]:
        if len(candidates) < max(_FEWEST, top or 0):
            yield (
                f"must leave at least {max(_FEWEST, top or 0)} cells to choose from, found "
                f"{len(candidates)} of {len(self._cells)}: match more cells"
                + (", or lower top" if top else "")
            )

    def _unlike(self, candidates: Sequence[Cell]) -> Iterator[str]:
        tests = {digest(self._test(cell)): cell for cell in candidates}
        if len(tests) > 1:
            one, other, *_ = tests.values()
            yield (
                f"must all be tested on the same images, found {one.settings.test.name} "
                f"({one.label}) and {other.settings.test.name} ({other.label}): match only one, "
                f"as in where: {{test: {one.settings.test.name}}}"
            )

    def _without_valid(
        self, settings: EnsembleSettings, candidates: Sequence[Cell]
    ) -> Iterator[str]:
        members = settings.members
        is_chosen = members.top is not None and members.by.startswith("valid.")
        without = [cell for cell in candidates if cell.settings.valid == 0]
        if without and (is_chosen or settings.kind == "weighted"):
            what = f"top {members.top} by {members.by}" if is_chosen else "kind weighted"
            yield (
                f"{what} needs a score on validation images, and {len(without)} of "
                f"{len(candidates)} cells set nothing aside (valid is 0): write valid: 0.2 in base"
            )

    def _tta_views(
        self, name: str | None, candidates: Sequence[Cell], where: PlanPath
    ) -> tuple[View, ...] | None:
        if name is None:
            return (IDENTITY,)
        if name not in self._views:
            hint = suggestion(name, self._plan.tta) or "; the plan has no tta"
            self._report(where, f"must be a name in tta, got {name!r}{hint}")
            return None
        outside = [cell for cell in candidates if cell.cell_id not in self._covered[name]]
        if outside:
            self._report(
                where,
                f"must see every member, but tta.{name}.where does not match {outside[0].label}: "
                "match the same cells in both",
            )
            return None
        return self._views[name]

    def _test(self, cell: Cell) -> dict[str, Any]:
        test = cell.settings.test
        source = self._plan.data[test.name].model_dump(mode="json")
        return {**test.model_dump(mode="json"), "name": source}

    # -- both ---------------------------------------------------------------------------------

    def _matching(self, raw: Mapping[str, Any], where: PlanPath) -> list[Cell]:
        pattern = read_pattern(raw, where, self._sections, self._axes, self._report)
        if pattern is None:
            return list(self._cells)
        matching = [
            cell for cell in self._cells if pattern.matches(cell.axes, self._settings[cell.cell_id])
        ]
        if not matching:
            self._report(where, "matches no cell: correct it, or delete it to match all")
        return matching

    def _add(
        self,
        *,
        kind: CompositeKind,
        label: str,
        candidates: tuple[Cell, ...],
        views: tuple[View, ...],
        settings: Mapping[str, Any],
        identity: Mapping[str, Any],
        where: PlanPath,
        top: int | None = None,
        by: str | None = None,
    ) -> None:
        cell_id = digest({"composite": dict(identity)})[:CELL_ID_LENGTH]
        twin = next((other for other in self.found if other.cell_id == cell_id), None)
        if twin is not None:
            self._report(where, f"is the same as {twin.label!r}: delete one", at_key=True)
            return
        if label in self._labels:
            self._report(where, f"{label!r} is a row already: choose another name", at_key=True)
            return
        self._labels.add(label)
        position = len(self._cells) + len(self.found)
        self.found.append(
            Composite(
                self._plan.name,
                cell_id,
                kind,
                label,
                position,
                candidates,
                views,
                top,
                by,
                settings,
            )
        )


def _json(views: Sequence[View]) -> list[dict[str, Any]]:
    return [view.to_json() for view in views]


def _passed_over(path: PlanPath, message: str, *, at_key: bool = False) -> None:
    """Say nothing of axes here: whoever loads a plan has reported their problems."""
