"""The one place that opens a plan: reads, overrides, checks, and reports all problems at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel, ValidationError

from foodvision.plan.alerts import alert_problems, mask_links
from foodvision.plan.axes import Axes, Layer, as_value
from foodvision.plan.cell_schema import CellSettings
from foodvision.plan.composites import read_composites
from foodvision.plan.document import MAX_BYTES, Document, read_document, too_large
from foodvision.plan.expand import Draft, drafts, expand
from foodvision.plan.messages import describe, nearest, show, suggestion, unknown_key
from foodvision.plan.paths import all_paths, exists, get, known_keys, with_defaults
from foodvision.plan.phases import merge_phase, read_phase, start_problem
from foodvision.plan.problems import Place, PlanPath, PlanProblems, Problem, path_text
from foodvision.plan.schema import Plan
from foodvision.plan.sections import read_axes
from foodvision.plan.values import CROSS_FIELD, Clash

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from pydantic_core import ErrorDetails

# Says what is wrong with a cell: the paths that do not go together, and why.
Judge: TypeAlias = "Callable[[CellSettings], Iterable[Clash]]"

MAX_COMBINATIONS = 100_000
_MAX_CELL_PROBLEMS = 20
_TEXT = "<plan>"
_ENDINGS = (".yaml", ".yml")
_SEARCHES = ("grid", "random")
_DATA_KEYS = {"name", "fraction", "count"}
# Stands in for the settings that are wrong while the others are checked against each other.
_SOUND: dict[str, Any] = {
    "data": {"name": "a"},
    "test": {"name": "a"},
    "model": {"arch": "a"},
    "transform": {"size": 1},
    "batch_size": 1,
    "epochs": 1,
    "optimizer": {"kind": "adam", "lr": 1},
}


def load_plan(
    source: Path | str | Mapping[str, Any],
    overrides: Sequence[str] = (),
    *,
    folder: Path | None = None,
    architectures: Collection[str] = (),
    own_networks: Mapping[str, int] = MappingProxyType({}),
    judge: Callable[[Plan], Judge] | None = None,
) -> Plan:
    """Read a plan and check all of it.

    Args:
        source: a file, the text itself (more than one line, or beginning with `{`), or values.
        overrides: like `base.epochs=3`; values are YAML, later ones win.
        folder: what relative paths start from; default: the file's folder, else the current one.
        architectures: known names; when given, others are refused.
        own_networks: those of them that are ours, with the smallest images (in pixels) that they
            take; when given, settings that go with one kind of network alone are refused elsewhere.
        judge: of a plan in which nothing else is wrong, says what more is known to be wrong with
            its cells, as they are in each of their phases.

    Raises:
        PlanProblems: every problem, in the order of the lines.
    """
    document, source_path = _open(source)
    _require_mapping(document)
    for override in overrides:
        _override(document, override)
    check = _Check(document, frozenset(architectures), own_networks)
    plan = check.run()
    if document.problems or plan is None:
        raise PlanProblems(_in_order(document.problems))
    start = folder or (source_path.parent if source_path else Path.cwd())
    placed = plan.placed(
        folder=start.absolute(),
        source_path=source_path,
        places=document.place,
        order=document.value,
    )
    if judge is not None:
        check.judge(placed, judge(placed))
        if document.problems:
            raise PlanProblems(_in_order(document.problems))
    return placed


def _in_order(problems: list[Problem]) -> list[Problem]:
    distinct = dict.fromkeys(problems)
    return sorted(distinct, key=lambda p: (p.line is None, p.line or 0, p.column or 0))


def _stop(file: str, message: str) -> PlanProblems:
    return PlanProblems([Problem(file, None, None, "", message)])


# Opening


def _open(source: Path | str | Mapping[str, Any]) -> tuple[Document, Path | None]:
    if isinstance(source, Mapping):
        return _values(source), None
    if isinstance(source, str):
        if "\n" in source or source.lstrip().startswith("{"):
            return read_document(source, _TEXT), None
        source = Path(source)
    return read_document(_read_text(source), str(source)), source.absolute()


def _values(source: Mapping[str, Any]) -> Document:
    document = Document(None)

    def copied(value: Any, path: PlanPath) -> Any:
        if isinstance(value, Mapping):
            return {str(key): copied(part, (*path, str(key))) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [copied(part, (*path, index)) for index, part in enumerate(value)]
        if isinstance(value, float) and not math.isfinite(value):
            document.report(path, f"must be a finite number, got {show(value)}")
        elif not isinstance(value, str | int | float | None):
            document.report(path, f"must be a plain value, got {type(value).__name__}: convert it")
        return value

    document.value = copied(source, ())
    return document


def _read_text(path: Path) -> str:
    try:
        with path.expanduser().open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise _stop(str(path), f"no such file{_neighbour(path)}") from error
    except IsADirectoryError as error:
        raise _stop(str(path), "must be a file, found a folder: name the plan in it") from error
    except (OSError, ValueError) as error:
        raise _stop(str(path), f"cannot be read ({error})") from error
    if len(content) > MAX_BYTES:
        raise too_large(str(path))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        message = f"must be UTF-8 text, found byte 0x{content[error.start]:02x}: save it as UTF-8"
        raise PlanProblems([Problem(str(path), line, column, "", message)]) from error


def _neighbour(path: Path) -> str:
    try:
        names = [file.name for file in path.parent.iterdir() if file.suffix in _ENDINGS]
    except OSError:
        return f": there is no folder {path.parent}"
    stem = path.stem if path.suffix in _ENDINGS else path.name
    files = [f"{stem}{ending}" for ending in _ENDINGS]
    beside = [path.parent / folder / file for folder in ("", "plans") for file in files]
    if found := [str(file) for file in beside if file.is_file()]:
        return f"; did you mean {found[0]!r}?"
    plans = {each.stem: str(each) for each in sorted((path.parent / "plans").glob("*.yaml"))}
    if nearest(path.name, names) is None and (near := nearest(stem, plans)):
        return f"; did you mean {plans[near]!r}?"
    return suggestion(path.name, sorted(names)[:20])


def _require_mapping(document: Document) -> None:
    if isinstance(document.value, dict):
        return
    what = "nothing" if document.value is None else show(document.value)
    place = document.place(())
    message = f"a plan must be a mapping, found {what}: begin with name:, data: and base:"
    raise PlanProblems(
        [*document.problems, Problem(place.file, place.line, place.column, "", message)]
    )


# Overrides


def _override(document: Document, override: str) -> None:
    """Put one `path=value` into the document."""
    told = mask_links(override) if override.startswith("alerts") else override
    place = Place(f"--set {told}")
    dotted, sign, text = override.partition("=")
    parts = dotted.strip().split(".")
    if not sign or not all(parts):
        raise _stop(place.file, "must be like base.epochs=3, found no path and value: write both")
    value = read_document(text, place.file)
    for problem in value.problems:
        inside = f"{dotted}{'.' if problem.path[:1] not in {'', '['} else ''}{problem.path}"
        document.problems.append(Problem(place.file, None, None, inside, problem.message))
    path = _override_path(document, parts)
    if isinstance(path, str):
        document.problems.append(Problem(place.file, None, None, dotted, path))
    else:
        document.replace(path, value.value, place)


def _override_path(document: Document, parts: list[str]) -> PlanPath | str:
    """Return where dotted parts lead (a key may have dots itself), or why they do not."""
    path: PlanPath = ()
    current = document.value
    while parts:
        if isinstance(current, str) and path[-1] in {"data", "test"} and parts[0] in _DATA_KEYS:
            current = {"name": current}
            document.replace(path, current, document.place(path))
        if not isinstance(current, dict):
            found = f"{path_text(path)} is {show(current)}"
            return f"must lead into a mapping, {found}: set {path_text(path)} as a whole"
        length = _key_length(current, parts, path)
        path = (*path, ".".join(parts[:length]))
        current = current.get(str(path[-1]), {})
        parts = parts[length:]
    return path


def _key_length(current: dict[str, Any], parts: list[str], path: PlanPath) -> int:
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in current:
            return length
    return len(parts) if path in {("grid",), ("when",)} else 1


# Checking


class _Check:
    """One pass over a document; problems are kept in the document."""

    def __init__(
        self,
        document: Document,
        architectures: frozenset[str],
        own_networks: Mapping[str, int],
    ) -> None:
        self._document = document
        self._architectures = architectures
        self._own_networks = own_networks
        self._raw: dict[str, Any] = dict(document.value)
        self._found: set[tuple[str, str]] = set()
        self._judge: Judge | None = None

    def judge(self, plan: Plan, judge: Judge) -> None:
        """Have every cell of a sound plan judged by somebody who knows more."""
        self._judge = judge
        axes = read_axes(plan.sections(), self._report)
        self._check_drafts(drafts(plan.base.model_dump(mode="json"), axes))

    def run(self) -> Plan | None:
        """Return the plan where nothing is wrong with it."""
        if problem := _search_problem(self._raw.get("search", "grid")):
            self._report(("search",), problem)
            del self._raw["search"]
        plan = self._validate()
        axes = read_axes(self._with_checked(plan), self._document.report)
        if isinstance(self._raw.get("base"), dict) and isinstance(self._raw.get("data"), dict):
            self._check_cells(plan, axes)
        if plan is not None and not self._document.problems:
            self._check_limit(plan, axes)
        if plan is not None and not self._document.problems:
            self._check_around(plan)
        return plan

    def _check_around(self, plan: Plan) -> None:
        """Check what is said around the cells of a sound plan, and is about them."""
        if not (plan.tta or plan.ensembles or plan.alerts):
            return
        cells = expand(plan)
        read_composites(plan, cells, self._document.report)
        for path, message in alert_problems(plan.alerts, [cell.settings for cell in cells]):
            self._report(path, message)

    def _report(self, path: PlanPath, message: str, *, at_key: bool = False) -> None:
        key = (path_text(path), message)
        if key not in self._found:
            self._found.add(key)
            self._document.report(path, message, at_key=at_key)

    def _with_checked(self, plan: Plan | None) -> dict[str, Any]:
        search = self._document.value.get("search")
        if plan and "search" in self._raw:
            search = plan.search
        return {**self._raw, "seeds": plan.seeds if plan else None, "search": search}

    # The plan's own shape

    def _validate(self) -> Plan | None:
        try:
            return Plan.model_validate(self._raw)
        except ValidationError as error:
            self._report_details(error.errors(include_url=False), Plan, self._raw)
            return None

    def _report_details(
        self,
        details: list[ErrorDetails],
        root: type[BaseModel],
        value: dict[str, Any],
        draft: Draft | None = None,
    ) -> None:
        """Report pydantic's errors of the plan, or of the cell that a draft makes.

        A key that is missing because it is misspelled is one problem, not two.
        """
        misspelled = {
            (*detail["loc"][:-1], nearest(str(detail["loc"][-1]), _known(root, detail)))
            for detail in details
            if detail["type"] == "extra_forbidden"
        }
        for detail in details:
            if detail["type"] == "missing" and detail["loc"] in misspelled:
                continue
            path = _real_path(detail, value)
            if detail["type"] == CROSS_FIELD:
                for paths, message in detail["ctx"]["clashes"]:
                    self._report(self._latest(paths, draft, path), message)
                continue
            is_unknown = detail["type"] == "extra_forbidden"
            message = _unknown(root, detail, path, value) if is_unknown else describe(detail)
            if path and path[0] == "alerts":
                message = mask_links(message)  # an address in the wrong place is a secret, too
            is_at_key = is_unknown or detail["type"] == "missing" or detail["loc"][-1] == "[key]"
            origin = path if draft is None else self._origin(path, draft)
            self._report(origin, message, at_key=is_at_key)

    # Cells

    def _check_cells(self, plan: Plan | None, axes: Axes) -> None:
        """Check every cell; a plan with broken parts or too many cells: every choice once."""
        base = _full_base(self._raw["base"]) if plan is None else plan.base.model_dump(mode="json")
        limit = max(MAX_COMBINATIONS, plan.limits.cells if plan else 0)
        is_sparse = plan is None or axes.combinations > limit
        self._check_cell(Draft((), with_defaults(base), None, None))
        if axes.search:  # what could be drawn, before what is drawn
            self._check_drafts(drafts(base, axes, is_sparse=True))
        if not (axes.search and self._found):
            self._check_drafts(drafts(base, axes, is_sparse=is_sparse))

    def _check_drafts(self, found: Iterable[Draft]) -> None:
        for draft in found:
            self._check_cell(draft)
            if len(self._found) >= _MAX_CELL_PROBLEMS:
                return

    def _check_cell(self, draft: Draft) -> None:
        self._check_settings(draft)
        self._check_phases(draft)
        self._check_names(draft)

    def _check_settings(self, draft: Draft) -> CellSettings | None:
        """Return the settings of a draft where nothing is wrong with them."""
        if draft.conflict:
            layer, error = draft.conflict
            found = f"{'.'.join(error.path)} is {show(error.found)}"
            message = f"must lead into a mapping, {found}: write it as a mapping in base"
            self._report(layer.choice.where, message)
        try:
            settings = CellSettings.model_validate(draft.settings)
            for paths, message in self._judge(settings) if self._judge else ():
                self._report(self._latest(paths, draft, ()), message)
            return settings
        except ValidationError as error:
            details = error.errors(include_url=False)
            self._report_details(details, CellSettings, draft.settings, draft)
            self._check_rest(draft, {str(detail["loc"][0]) for detail in details if detail["loc"]})
        return None

    def _check_phases(self, draft: Draft) -> None:
        """Check the cell as it is in each of its phases."""
        phases = draft.settings.get("phases")
        before: CellSettings | None = None
        for index, phase in enumerate(phases if isinstance(phases, list) else ()):
            if not isinstance(phase, dict) or "epochs" not in phase:
                continue  # its shape is reported already
            where = (*self._origin(("phases",), draft), index)
            layers = read_phase(phase, where, self._report)
            settings, conflict = merge_phase(draft.settings, layers)
            found = self._check_settings(
                Draft(draft.layers, settings, draft.label, conflict, phase=layers)
            )
            if found and (problem := start_problem(phase, before, found)):
                self._report((*where, "optimizer_state"), problem, at_key=True)
            before = found

    def _check_rest(self, draft: Draft, wrong: set[str]) -> None:
        """Check the rules across those fields that are right by themselves."""
        settings = {key: value for key, value in draft.settings.items() if key not in wrong}
        for name in CellSettings.model_fields:
            if name in wrong and name in _SOUND:
                settings[name] = _SOUND[name]
        try:
            CellSettings.model_validate(settings)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                clashes = detail.get("ctx", {}).get("clashes", ())
                for paths, message in clashes:
                    if not wrong & {path[0] for path in paths}:
                        self._report(self._latest(paths, draft, ()), message)

    def _check_names(self, draft: Draft) -> None:
        known = self._raw["data"]
        for part in ("data", "test"):
            choice = draft.settings.get(part)
            name = choice.get("name") if isinstance(choice, dict) else None
            if isinstance(name, str) and known and name not in known:
                message = f"data has no data set {name!r}{suggestion(name, known)}"
                self._report(self._origin((part, "name"), draft), message)
        self._check_model(draft)

    def _check_model(self, draft: Draft) -> None:
        arch = get(draft.settings, ("model", "arch"))
        if not isinstance(arch, str) or not self._architectures:
            return
        if arch not in self._architectures:
            hint = suggestion(arch, sorted(self._architectures))
            message = f"no architecture is called {arch!r}{hint}"
            self._report(self._origin(("model", "arch"), draft), message)
        elif self._own_networks:
            for path, message in self._misfits(arch, draft.settings):
                self._report(self._latest((path, ("model", "arch")), draft, ()), message)

    def _misfits(
        self, arch: str, settings: dict[str, Any]
    ) -> Iterator[tuple[tuple[str, str], str]]:
        """Yield settings that do not go with the architecture, and why."""
        size = get(settings, ("transform", "size"))
        if arch in self._own_networks:
            smallest = self._own_networks[arch]
            if isinstance(size, int) and size < smallest:
                yield (
                    ("transform", "size"),
                    f"must be at least {smallest} px for {arch}, got {size}: make it larger",
                )
            return
        hidden = get(settings, ("model", "hidden"))
        if isinstance(hidden, int):
            ours = ", ".join(sorted(self._own_networks))
            yield (
                ("model", "hidden"),
                f"is the width of one of our own networks ({ours}), got {hidden} for {arch}: "
                "delete it (or set it to null)",
            )
        channels = get(settings, ("transform", "channels"))
        weights = get(settings, ("model", "weights"))
        if channels == 1 and weights != "none":
            yield (
                ("transform", "channels"),
                f"must be 3, those of the weights of {arch}, got 1: write channels: 3 (grey images "
                "are then read as RGB), or weights: none",
            )

    def _origin(self, path: PlanPath, draft: Draft) -> PlanPath:
        """Return where in the plan the value at `path` of a cell comes from."""
        layer = _layer_of(path, draft.phase) or _layer_of(path, draft.layers)
        origin = ("base", *path) if layer is None else _inside(layer, path)
        if origin[-1] == "name" and isinstance(_walk(self._raw, origin[:-1]), str):
            return origin[:-1]
        return origin

    def _latest(self, paths: Sequence[PlanPath], draft: Draft | None, prefix: PlanPath) -> PlanPath:
        """Return where that one of several clashing values stands that was merged last."""
        if draft is None:
            whole = [(*prefix, *path) for path in paths]
            return next((path for path in whole if _walk(self._raw, path) is not None), whole[0])
        for layers in (draft.phase, draft.layers):
            for path in paths:
                if _layer_of(path, layers):
                    return self._origin(path, draft)
        whole = [("base", *path) for path in paths]
        return next((path for path in whole if _walk(self._raw, path) is not None), whole[0])

    # How many

    def _check_limit(self, plan: Plan, axes: Axes) -> None:
        limit = plan.limits.cells
        where: PlanPath = ("limits", "cells") if "limits" in self._raw else ("grid",)
        hint = "drop values, or raise limits.cells"
        if axes.combinations > max(MAX_COMBINATIONS, limit):
            found = f"{axes.combinations:,} combinations"
            self._report(
                where, f"must be at most {limit:,} cells, found {found}: {hint}", at_key=True
            )
            return
        base = plan.base.model_dump(mode="json")
        if not any(True for _ in drafts(base, axes)):
            message = f"must leave a cell, all {axes.combinations} combinations match: exclude less"
            self._report(("exclude",), message, at_key=True)
        elif axes.search:
            self._check_draws(base, axes, axes.search.n)
        if axes.combinations > limit and (count := len(expand(plan))) > limit:
            message = f"must be at most {limit:,} cells, found {count:,}: {hint}"
            self._report(where, message, at_key=True)

    def _check_draws(self, base: dict[str, Any], axes: Axes, wanted: int) -> None:
        drawn = drafts(base, replace(axes, include=(), seeds=None))
        if (found := sum(1 for _ in drawn)) < wanted:
            message = (
                f"must be at most {found:,}, the different cells that there are to draw, got "
                f"{wanted:,}: lower it, or write search: grid"
            )
            self._report(("search", "n"), message)


def _search_problem(search: Any) -> str | None:
    """Return what is wrong with the kind of search, if anything."""
    kind = search.get("kind") if isinstance(search, dict) else search
    if kind == "halving":
        return (
            "not yet: halving will come, this version does not know it; "
            "write {kind: random, n: 20}, or search: grid"
        )
    if kind not in _SEARCHES:
        return f"must be one of {', '.join(_SEARCHES)}, got {show(search)}"
    if isinstance(search, dict) and kind == "grid":
        return "grid has no settings: write search: grid"
    if kind == "random" and not isinstance(search, dict):
        return "random has to say how many cells: write search: {kind: random, n: 20}"
    return None


def _known(root: type[BaseModel], detail: ErrorDetails) -> tuple[str, ...]:
    return known_keys(root, detail["loc"][:-1])


def _unknown(root: type[BaseModel], detail: ErrorDetails, path: PlanPath, value: Any) -> str:
    """Say what to do about an unknown key of the plan or of a cell."""
    known = _known(root, detail)
    if root is Plan and len(path) == 1:
        return unknown_key(str(path[0]), known, [f"base.{one}" for one in all_paths()])
    if root is Plan and path[0] == "alerts":
        return unknown_key(str(path[-1]), known, ())
    in_cell = path if root is CellSettings else path[1:]
    if in_cell == ("alerts",):
        return "unknown key here; did you mean 'alerts' at the top of the plan?"
    if exists(tuple(str(part) for part in in_cell)):
        kind = _walk(value, (*path[:-1], "kind"))
        return f"kind {kind!r} has no such key; known: {', '.join(known)}"
    return unknown_key(str(path[-1]), known, all_paths())


def _walk(value: Any, path: PlanPath) -> Any:
    for part in path:
        if isinstance(value, dict):
            value = value.get(str(part))
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def _real_path(detail: ErrorDetails, value: Any) -> PlanPath:
    """Return pydantic's path without what is not in the text: kinds of unions, '[key]'."""
    path: PlanPath = ()
    loc = detail["loc"]
    for index, part in enumerate(loc):
        is_there = (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        )
        if is_there:
            value = value[part]
        if is_there or (index == len(loc) - 1 and detail["type"] == "missing"):
            path = (*path, part)
    if detail["type"].startswith("union_tag"):
        return (*path, "kind")
    return path


def _layer_of(path: PlanPath, layers: Sequence[Layer]) -> Layer | None:
    """Return the layer that the value at `path` of a cell comes from, `None` for the base."""
    for layer in sorted(layers, key=lambda layer: layer.rank, reverse=True):
        own = layer.path
        if path[: len(own)] == own and _sets(layer, path[len(own) :]):
            return layer
        if own[-1] == "kind" and path[: len(own) - 1] == own[:-1]:
            return layer
    return None


def _sets(layer: Layer, rest: PlanPath) -> bool:
    value = layer.choice.value
    if not rest or not isinstance(value, dict):
        return True
    return rest[0] in value or "kind" in value or "name" in value


def _inside(layer: Layer, path: PlanPath) -> PlanPath:
    rest = path[len(layer.path) :]
    return (
        (*layer.choice.where, *rest) if isinstance(layer.choice.value, dict) else layer.choice.where
    )


def _full_base(base: dict[str, Any]) -> dict[str, Any]:
    return {key: as_value((key,), value) for key, value in base.items()}
