"""What is told of addresses, and rules with many who are to know."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from pydantic_core import PydanticCustomError

from foodvision.plan.alerts import mask_address, mask_links, read_condition
from foodvision.plan.load import load_plan
from foodvision.plan.problems import PlanProblems
from tests.running import plan_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_addresses_are_told_by_their_host_and_told_apart() -> None:
    one, other = (mask_address(f"https://hooks.example.org:8080/{name}?k=v") for name in "ab")
    assert one != other
    assert one.startswith("https://hooks.example.org:8080/…")
    assert mask_address(one) == one
    assert mask_address("${TOKEN}") == "${TOKEN}"
    for tricky in ("https://x.org/${A}/SECRET", "${A}://u:SECRET@x.org/", "http://x.org/…/SECRET"):
        assert "SECRET" not in mask_address(tricky)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("see (https://x.org/a/b).", "see (https://x.org/…)."),
        ("{a: https://x.org/a?b=c#d, e: 1}", "{a: https://x.org/…, e: 1}"),
        ("https://x.org?token=SECRET", "https://x.org/…"),
        ("https://x.org#SECRET", "https://x.org/…"),
        ("https://me:SECRET@x.org", "https://…@x.org"),
        ("https://SECRET@x.org/a.git", "https://…@x.org/…"),
        ("postgres://me:SEC'RET@x.org:5432/a", "postgres://…@x.org:5432/…"),
        ("postgres://me:SEC/RET@x.org/a", "postgres://…"),
        (f"https://me:{'SECRET' * 100}@x.org/a", "https://…"),
        ('{"a":"https:\\/\\/x.org\\/SECRET"}', '{"a":"https:\\/\\/x.org/…"}'),
        ("b?next=https%3A%2F%2Fx.org%2FSECRET&c", "b?next=https%3A%2F%2Fx.org/…"),
        ("http://[::1]:8000/SECRET", "http://[::1]:8000/…"),
        ("f'https://{host}/SECRET'", "f'https://…'"),
        ("http://x.org/…/SECRET", "http://x.org/…"),
        ("https://a.org/SECRET,https://b.org/SECRET", "https://a.org/…"),
    ],
)
def test_a_text_tells_of_addresses_the_host_alone(text: str, told: str) -> None:
    assert mask_links(text) == told
    assert mask_links(told) == told


@pytest.mark.parametrize(
    "text",
    ["https://x.org, http://localhost:4200/", "https://x.org/…0123abcd: a", "file:///a/b?c=d@e",
     "a: b // c", "${HOOK}", "x[::2]", "{a://}"],
)  # fmt: skip
def test_what_holds_no_secret_address_stays(text: str) -> None:
    assert mask_links(text) == text


def test_an_override_that_is_refused_is_quoted_without_its_address(tmp_path: Path) -> None:
    override = "alerts=[{when: failed, notfy: {webhook: 'https://x.org/SECRET'}}]"
    with pytest.raises(PlanProblems) as caught:
        load_plan(plan_text(tmp_path), [override])
    (problem,) = map(str, caught.value.problems)
    assert problem.startswith("--set alerts=[{when: failed, notfy: {webhook: 'https://x.org/…'}}]:")
    assert "SECRET" not in problem


def _growth(work: Callable[[int], Callable[[], object]], size: int) -> float:
    """Return how many times as long work of eight times the size takes."""

    def seconds(size: int) -> float:
        doing, found = work(size), []
        for _ in range(3):
            started = time.process_time()
            doing()
            found.append(time.process_time() - started)
        return min(found)

    return seconds(8 * size) / seconds(size)


@pytest.mark.parametrize("unit", ["://", "%3A%2F%2F'", "a://b'", "x", "https://u:p", "@"])
def test_masking_a_long_line_takes_time_in_proportion(unit: str) -> None:
    growth = _growth(lambda size: lambda: mask_links(unit * size), 2_000)
    assert growth < 24  # 8 in proportion, 64 with its square


def test_who_is_told_costs_time_in_proportion_to_their_number(tmp_path: Path) -> None:
    def reading(count: int) -> Callable[[], object]:
        hooks = [{"webhook": f"https://x.org/{number}"} for number in range(count)]
        rules = json.dumps([{"when": "finished", "notify": hooks}])
        text = plan_text(tmp_path, f"alerts: {rules}\n")
        return lambda: load_plan(text)

    assert _growth(reading, 100) < 24


@pytest.mark.parametrize(
    ("number", "value"),
    [("0.8", 0.8), (".8", 0.8), ("8e-1", 0.8), ("+1", 1.0), ("1.", 1.0), ("0.08E1", 0.8)],
)
def test_a_bound_is_a_number_as_yaml_writes_it(number: str, value: float) -> None:
    assert read_condition(f"test.accuracy < {number}").threshold == value
    for unit in ("s", " s"):
        assert read_condition(f"slower  than {number}{unit}").threshold == value


@pytest.mark.parametrize(
    "number",
    [
        pytest.param("１", id="full width"),
        pytest.param("٠.٨", id="Arabic digits"),
        *("1_0", "0x1", "1e", "e1", ".", "1,5", "inf", ".inf", "nan", "1e999", "--1", "½"),
    ],
)
def test_what_yaml_takes_for_no_number_is_none(number: str) -> None:
    for text in (f"train.loss > {number}", f"slower than {number} s"):
        with pytest.raises(PydanticCustomError, match=r"finite number|positive time"):
            read_condition(text)


def test_a_large_time_has_its_seconds() -> None:
    assert read_condition("slower than 1e3 s").name == "slower than 1000 s"
    assert read_condition("slower than 1.5e1 min").threshold == 900
