"""YAML 1.2 read into plain values that know where they stood.

Only the core schema is known: `1e-3` is a number, `yes` and `2024-01-01` are texts. A tag that is
not of the core schema, a key that stands twice, an alias that contains itself and a text that is
too large, too deep or grows too much by its aliases are errors. No object is ever constructed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.tag import Tag

from foodvision.plan.messages import show
from foodvision.plan.problems import Place, PlanPath, PlanProblems, Problem, path_text

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 1 << 20
MAX_NODES = 50_000
MAX_DEPTH = 40
_MAX_DIGITS = 300

_CORE = "tag:yaml.org,2002:"
_PLAIN = "plain"
_TAGS = {
    _PLAIN,
    *(f"{_CORE}{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null")),
}
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass
class Document:
    """A value and the places of its parts.

    Attributes:
        value: mappings, lists, texts, numbers, booleans, `None`.
        places: where the value at each path begins.
        keys: where the key at each path begins.
        problems: what is wrong with the text although it could be read.
    """

    value: Any
    places: dict[PlanPath, Place] = field(default_factory=dict)
    keys: dict[PlanPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: PlanPath) -> Place:
        """Return where the value at `path` stands, or else its nearest parent."""
        for length in range(len(path), -1, -1):
            if place := self.places.get(path[:length]):
                return place
        return Place("")

    def key_place(self, path: PlanPath) -> Place:
        """Return where the key at `path` stands, or else its nearest parent's."""
        for length in range(len(path), -1, -1):
            if place := self.keys.get(path[:length]) or self.places.get(path[:length]):
                return place
        return Place("")

    def report(self, path: PlanPath, message: str, *, at_key: bool = False) -> None:
        """Keep a problem at `path`."""
        place = self.key_place(path) if at_key else self.place(path)
        self.problems.append(
            Problem(place.file, place.line, place.column, path_text(path), message)
        )

    def replace(self, path: PlanPath, value: Any, place: Place) -> None:
        """Put `value` at `path`, making mappings on the way; everything in it stands at `place`."""
        parent = self.value
        for part in path[:-1]:
            parent = parent.setdefault(part, {})
        parent[path[-1]] = value
        for known in (self.places, self.keys):
            for old in [old for old in known if old[: len(path)] == path]:
                del known[old]
            known[path] = place


def read_document(text: str, file: str) -> Document:
    """Read one YAML document.

    Args:
        text: at most `MAX_BYTES` long.
        file: what the places call it.

    Raises:
        PlanProblems: the text is no YAML, holds more than one document, or is too large.
    """
    if len(text) > MAX_BYTES:
        raise too_large(file)
    node = _compose(text, file)
    document = Document(None, places={(): Place(file)})
    if node is not None:
        _refuse_bomb(node, file)
        document.value = _Construction(document, file).build(node, ())
    return document


def too_large(file: str) -> PlanProblems:
    """Say that a plan is larger than `MAX_BYTES`."""
    return _stop(
        Place(file), f"must be at most {MAX_BYTES >> 20} MiB, this is larger: is it a plan at all?"
    )


def _stop(place: Place, message: str) -> PlanProblems:
    return PlanProblems([Problem(place.file, place.line, place.column, "", message)])


class _PlainResolver(VersionedResolver):
    """Marks unquoted scalars and leaves it to `read_scalar` what they mean."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is ScalarNode and implicit[0]:
            return Tag(suffix=_PLAIN)
        return super().resolve(kind, value, implicit)


class _BoundedComposer(Composer):
    """Stops early at a text with very many parts, and keeps quiet about an anchor set twice."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False
        self.nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _TooManyNodesError
        return super().compose_node(parent, index)


class _TooManyNodesError(Exception):
    pass


def _too_many() -> str:
    return f"must have at most {MAX_NODES:,} values, aliases counted wherever they stand"


def _compose(text: str, file: str) -> Node | None:
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _BoundedComposer
    yaml.Resolver = _PlainResolver
    yaml.max_depth = MAX_DEPTH
    try:
        return yaml.compose(text.removeprefix("\ufeff"))  # type: ignore[no-any-return]
    except _TooManyNodesError as error:
        raise _stop(Place(file), f"{_too_many()}, found more: make it smaller") from error
    except YAMLError as error:
        raise _stop(_error_place(error, text, file), _error_text(error, text)) from error


def _error_place(error: YAMLError, text: str, file: str) -> Place:
    if isinstance(error, ReaderError):
        before = text[: error.position]
        return Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    return Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)


def _error_text(error: YAMLError, text: str) -> str:
    if isinstance(error, ReaderError):
        return "must not contain control characters, found one: delete it"
    if isinstance(error, MaxDepthExceededError):
        return f"must be nested at most {MAX_DEPTH} deep, this is deeper: make it flatter"
    if not isinstance(error, MarkedYAMLError):
        return f"must be YAML: {error}"
    if "'\\t'" in str(error.problem):
        return "must be indented by spaces, found a tab: replace it by spaces"
    if error.context and "single document" in error.context:
        return "must be one YAML document, found a second one: delete the '---' line or split it"
    context = f" ({error.context})" if error.context else ""
    hint = _error_hint(str(error.problem), text)
    return f"must be YAML, {error.problem}{context}{hint}"


def _error_hint(problem: str, text: str) -> str:
    if "mapping values are not allowed" in problem:
        return ": check the indentation, and quote a text that contains ': '"
    if "cannot start any token" in problem or "undefined alias" in problem:
        return ": quote the text"
    return ": close every bracket and quote" if text else ""


def _children(node: Node) -> Iterator[Node]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, SequenceNode):
        yield from node.value


def _refuse_bomb(root: Node, file: str) -> None:
    """Refuse a text that aliases make larger than `MAX_NODES`, or endless."""
    sizes: dict[int, int] = {}

    def size(node: Node) -> int:
        known = sizes.get(id(node))
        if known == 0:
            raise _stop(_place(node, file), "must not contain itself: write this alias out")
        if known is None:
            sizes[id(node)] = 0
            known = sizes[id(node)] = 1 + sum(size(child) for child in _children(node))
            if known > MAX_NODES:
                raise _stop(
                    _place(node, file), f"{_too_many()}, found {known:,}: use fewer aliases"
                )
        return known

    size(root)


def _is_merge(key: Node) -> bool:
    return isinstance(key, ScalarNode) and str(key.tag) == _PLAIN and key.value == "<<"


def _place(node: Node, file: str) -> Place:
    return Place(file, node.start_mark.line + 1, node.start_mark.column + 1)


class _Construction:
    """Builds the plain value of a node, noting places and what is wrong."""

    def __init__(self, document: Document, file: str) -> None:
        self._document = document
        self._file = file

    def build(self, node: Node, path: PlanPath) -> Any:
        is_empty = isinstance(node, ScalarNode) and not node.value and node.style is None
        place = _place(node, self._file)
        # Nothing stands in the next line: its key is where people look.
        self._document.places[path] = self._document.keys.get(path, place) if is_empty else place
        if str(node.tag) not in _TAGS:
            self._document.report(path, f"must have no tag, found {node.tag}: delete it")
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path) if isinstance(node, ScalarNode) else None

    def _mapping(self, node: MappingNode, path: PlanPath) -> dict[str, Any]:
        value: dict[str, Any] = {}
        first: dict[str, Node] = {}
        for key, item in node.value:
            if _is_merge(key):
                continue
            name = self._key(key, path)
            here = (*path, name)
            if name in first:
                self._repeated(key, here, first[name])
                continue
            first[name] = key
            self._document.keys[here] = _place(key, self._file)
            value[name] = self.build(item, here)
        for name, item in self._merged(node, path):
            if name not in value:
                value[name] = self.build(item, (*path, name))
        return value

    def _repeated(self, key: Node, path: PlanPath, first: Node) -> None:
        place = _place(key, self._file)
        message = f"stands twice (first in line {first.start_mark.line + 1}): keep one"
        self._report_at(place, path, message)

    def _merged(self, node: MappingNode, path: PlanPath) -> Iterator[tuple[str, Node]]:
        """Yield what `<<: *alias` adds to a mapping, nearest first."""
        for key, item in node.value:
            if not _is_merge(key):
                continue
            for source in item.value if isinstance(item, SequenceNode) else [item]:
                if not isinstance(source, MappingNode):
                    message = "'<<' takes a mapping or a list of mappings: name an alias of one"
                    self._report_at(_place(key, self._file), path, message)
                    continue
                for name, part in source.value:
                    if not _is_merge(name):
                        yield self._key(name, path), part
                yield from self._merged(source, path)

    def _key(self, key: Node, path: PlanPath) -> str:
        if isinstance(key, ScalarNode):
            return str(key.value)
        message = "must have texts as keys, found a list or a mapping: quote it"
        self._report_at(_place(key, self._file), path, message)
        return "?"

    def _scalar(self, node: ScalarNode, path: PlanPath) -> Any:
        text = str(node.value)
        if node.style is not None or str(node.tag) == f"{_CORE}str":
            return text
        value = read_scalar(text)
        if isinstance(value, float) and not math.isfinite(value):
            self._document.report(path, f"must be a finite number, got {show(value)}")
        return value

    def _report_at(self, place: Place, path: PlanPath, message: str) -> None:
        self._document.problems.append(
            Problem(place.file, place.line, place.column, path_text(path), message)
        )


def read_scalar(text: str) -> Any:
    """Return what an unquoted YAML 1.2 scalar means: null, boolean, number or text."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        base = {"0o": 8, "0x": 16}.get(text[:2], 10)
        return int(text, base) if len(text) <= _MAX_DIGITS else text
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", "").lower())
    return text
