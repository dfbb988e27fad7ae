from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foodvision.report.html.scales import epoch_scale, make_scale
from foodvision.report.html.texts import short_number

_FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(_FINITE, min_size=1, max_size=20))
def test_every_value_has_its_place_and_order_is_kept(values: list[float]) -> None:
    scale = make_scale(values, 240, 10, kind="points")
    places = [scale.place(value) for value in sorted(values)]
    assert all(10 <= place <= 240 for place in places)
    assert places == sorted(places, reverse=True)
    assert all(10 <= tick.place <= 240 for tick in scale.ticks)


@pytest.mark.parametrize(
    ("values", "kind", "texts"),
    [
        pytest.param([0.0, 1.0], "share", ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]),
        pytest.param([0.91, 0.97], "share", ["92 %", "94 %", "96 %"], id="not from zero"),
        pytest.param([2_000, 9_500], "count", ["2 k", "4 k", "6 k", "8 k"]),
        pytest.param([], "share", ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"], id="none"),
    ],
)
def test_ticks_are_round(values: list[float], kind: str, texts: list[str]) -> None:
    scale = make_scale(values, 0, 100, kind=kind)  # type: ignore[arg-type]
    assert [tick.text for tick in scale.ticks] == texts


def test_shares_stay_between_nothing_and_all() -> None:
    scale = make_scale([0.0, 1.0], 0, 100, kind="share")
    assert (scale.low, scale.high) == (0.0, 1.0)
    assert scale.place(0.5) == 50


def test_values_far_apart_stand_by_their_logarithm() -> None:
    scale = make_scale([1e3, 1e5, 1e7], 0, 100, kind="count", may_be_log=True)
    assert scale.is_log
    assert scale.place(1e5) == 50
    assert [tick.text for tick in scale.ticks] == ["1 k", "10 k", "100 k", "1 M", "10 M"]
    assert not make_scale([1.0, 2.0], 0, 100, kind="loss", may_be_log=True).is_log
    assert not make_scale([0.0, 2.0], 0, 100, kind="loss", may_be_log=True).is_log


def test_equal_values_stand_in_the_middle() -> None:
    assert make_scale([0.7, 0.7], 0, 100, kind="loss").place(0.7) == pytest.approx(50)


@pytest.mark.parametrize(
    ("last", "texts"),
    [(1, ["1"]), (2, ["1", "2"]), (5, ["1", "2", "3", "4", "5"]), (60, None), (1000, None)],
)
def test_epochs_are_whole(last: int, texts: list[str] | None) -> None:
    found = [tick.text for tick in epoch_scale(last, 0, 100).ticks]
    assert texts is None or found == texts
    assert found[0] == "1"
    assert len(found) <= 9
    assert all(1 <= int(text) <= last for text in found)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (20, "20 s"), (60, "1 min"), (80, "1 min 20 s"), (3600, "1 h")],
)
def test_a_tick_of_time_says_no_nothing(seconds: float, text: str) -> None:
    assert short_number(seconds, "seconds") == text
