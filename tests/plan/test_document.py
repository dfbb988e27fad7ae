"""YAML 1.2, safely, with places."""

# ruff: noqa: E501 - messages stand in one piece

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foodvision.plan import document
from foodvision.plan.document import MAX_BYTES, read_document
from foodvision.plan.problems import PlanProblems


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("1.", 1.0),
        (".5", 0.5),
        ("-.5e1", -5.0),
        ("12", 12),
        ("-7", -7),
        ("+7", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("010", 10),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("yes", "yes"),
        ("off", "off"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("'12'", "12"),
        ('"1e-3"', "1e-3"),
        ("1e+3", 1000.0),
        ("<<", "<<"),
        ("!!str 12", "12"),
        ("食べ物", "食べ物"),
        ("9" * 400, "9" * 400),
    ],
)
def test_scalars_of_the_core_schema(text: str, value: Any) -> None:
    found = read_document(f"a: {text}", "p").value["a"]
    assert found == value
    assert type(found) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_reads_back_to_the_bit(number: float) -> None:
    found = read_document(f"a: {number!r}", "p").value["a"]
    assert found == number
    assert math.copysign(1, found) == math.copysign(1, number)


def test_places_are_known() -> None:
    found = read_document("a: 1\nb:\n  - {c: [x, 'y']}\n", "p.yaml")
    path = ("b", 0, "c", 1)
    assert str(found.place(path)) == "p.yaml:3:13"
    assert str(found.key_place(("b", 0, "c"))) == "p.yaml:3:6"
    assert str(found.place((*path, "gone"))) == "p.yaml:3:13"
    assert str(found.key_place(("b", "gone"))) == "p.yaml:2:1"


def test_anchors_and_merge_keys() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {<<: *a, y: 5}\nd: {<<: [*b, *a]}\ne: *a\n"
    found = read_document(text, "p")
    assert found.value["c"] == {"y": 5, "x": 1}
    assert found.value["d"] == {"y": 3, "z": 4, "x": 1}
    assert found.value["e"] == {"x": 1, "y": 2}
    assert str(found.place(("c", "x"))) == "p:1:11"
    assert not found.problems


def test_a_directive_changes_nothing() -> None:
    assert read_document("%YAML 1.1\n---\na: [yes, 010, 1e3]\n", "p").value == {
        "a": ["yes", 10, 1000.0]
    }


def test_keys_are_texts() -> None:
    assert read_document("{18: a, true: b}", "p").value == {"18": "a", "true": "b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "p:3:1: a: stands twice (first in line 1): keep one"),
        ("a: !!python/object:os.system x", "p:1:4: a: must have no tag, found tag:yaml.org,2002:python/object:os.system: delete it"),
        ("a: !mine {b: 1}", "p:1:4: a: must have no tag, found !mine: delete it"),
        ("a: {<<: 3}", "p:1:5: a: '<<' takes a mapping or a list of mappings: name an alias of one"),
        ("[a]: 3", "p:1:1: must have texts as keys, found a list or a mapping: quote it"),
        ("a: [.nan]", "p:1:5: a[0]: must be a finite number, got .nan"),
    ],
    ids=["duplicate", "python", "tag", "merge", "key", "nan"],
)  # fmt: skip
def test_what_can_be_read_and_is_wrong(text: str, message: str) -> None:
    assert [str(problem) for problem in read_document(text, "p").problems] == [message]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n\tb: 1\n", "p:2:1: must be indented by spaces, found a tab: replace it by spaces"),
        ("a: 1\n---\nb: 2\n", "p:2:1: must be one YAML document, found a second one"),
        ("a: [1,\n", "p:2:1: must be YAML, expected the node content, but found '<stream end>'"),
        ("a: b: c", "p:1:5: must be YAML, mapping values are not allowed here: check the indent"),
        ("a: @b", "p:1:4: must be YAML, found character '@' that cannot start any token"),
        ("a: *b", "p:1:4: must be YAML, found undefined alias 'b': quote the text"),
        ("a: &a [*a]", "p:1:4: must not contain itself: write this alias out"),
        ("[" * 100, "p:1:41: must be nested at most 40 deep, this is deeper: make it flatter"),
        ("a: x\x07y", "p:1:5: must not contain control characters, found one: delete it"),
        ("x" * (MAX_BYTES + 1), "p: must be at most 1 MiB, this is larger"),
    ],
    ids=["tab", "two", "open", "colon", "at", "alias", "endless", "deep", "control", "large"],
)
def test_what_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(PlanProblems) as caught:
        read_document(text, "p")
    assert str(caught.value).startswith(message)


def test_a_bomb_of_aliases_is_refused_unexploded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(PlanProblems, match=r"p:5:\d+: must have at most 50,000 values, aliases"):
        read_document("\n".join(lines), "p")


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_NODES", 1000)
    assert len(read_document(f"[{'1,' * 999}]", "p").value) == 999
    with pytest.raises(PlanProblems, match="must have at most 1,000 values"):
        read_document(f"[{'1,' * 1000}]", "p")
