"""Charts in a terminal."""

from __future__ import annotations

import pytest

from flows.cli.charts import step_chart


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([1.0], ["⠉⠉"], id="constant at the top"),
        pytest.param([0.0], ["⣀⣀"], id="nothing"),
        pytest.param([1.0, 0.0], ["⠉⣇"], id="falls in the middle"),
        pytest.param([0, 1, 2, 3], ["⣠⠞"], id="rises"),
    ],
)
def test_step_chart(values: list[float], expected: list[str]) -> None:
    assert step_chart(values, width=2, height=1) == expected


def test_a_peak_of_one_step_among_thousands_is_drawn() -> None:
    values = [0.1] * 5000
    values[2500] = 1.0
    top, *_ = step_chart(values, width=60, height=6)
    assert top.strip("\u2800")
    assert len(top) == 60
