from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from flows.display import (
    LiveDisplay,
    PlainDisplay,
    describe_amount,
    describe_seconds,
    watching,
)
from foodvision.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = "train mobilenet_v2 · pizza_20 · batch_size 64 · a label that is much too long for a line"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("done", "total", "unit", "text"),
    [
        (3, 8, "epochs", "3/8 epochs"),
        (1234, None, "images", "1,234 images"),
        (12_500_000, 35_200_000, "bytes", "12.5/35.2 MB"),
        (12_500_000, None, "bytes", "12.5 MB"),
        (0, 0, "cells", "0/0 cells"),
    ],
)
def test_describe_amount(done: float, total: float | None, unit: str, text: str) -> None:
    assert describe_amount(done, total, unit) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_describe_seconds(seconds: float, text: str) -> None:
    assert describe_seconds(seconds) == text


def test_plain_lines_come_now_and_then_and_at_the_end() -> None:
    clock, out = Clock(), io.StringIO()
    bar = PlainDisplay(Console(file=out), clock=clock, every=5).begin(
        "train [mlp]", total=10, unit="epochs"
    )
    for second in range(1, 11):
        clock.now = float(second)
        bar.advance(1)
    bar.close()
    bar.close()
    assert out.getvalue().splitlines() == [
        "train [mlp]: 5/10 epochs, about 5.0 s left",
        "train [mlp]: 10/10 epochs in 10 s",
    ]


def test_plain_says_nothing_about_what_was_quick() -> None:
    clock, out = Clock(), io.StringIO()
    bar = PlainDisplay(Console(file=out), clock=clock, every=5).begin("x", total=2, unit="cells")
    bar.advance(2)
    bar.close()
    assert out.getvalue() == ""


def test_plain_does_not_guess_the_end_of_what_has_none() -> None:
    clock, out = Clock(), io.StringIO()
    bar = PlainDisplay(Console(file=out), clock=clock, every=5).begin("x", total=None, unit="bytes")
    clock.now = 6.0
    bar.advance(2e6)
    assert out.getvalue() == "x: 2.0 MB\n"


def test_live_bars_fit_into_80_columns() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    sheet = Console(file=io.StringIO(), width=80)
    with LiveDisplay(console) as display:
        cells = display.begin("cells", total=8, unit="cells")
        for label, unit in ((LONG, "epochs"), ("http://host/a_very_long_name.zip", "bytes")):
            display.begin(label, total=35e6, unit=unit).advance(12e6)
        cells.advance(3)
        sheet.print(display._bars.get_renderable())
    lines = sheet.file.getvalue().splitlines()
    assert len(lines) == 3
    assert all(len(line) <= 80 for line in lines)
    assert "3/8 cells" in lines[0]
    assert lines[1].startswith("train mobilenet_v2")
    assert "12.0/35.0 MB" in lines[2]


def test_closed_bars_go() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with LiveDisplay(console) as display:
        bar = display.begin("x", total=1, unit="cells")
        bar.close()
        bar.close()
        assert display._bars.task_ids == []


@pytest.fixture
def prefect_logger() -> Iterator[logging.Logger]:
    """The root logger as Prefect leaves it: with a console handler of its own."""
    from prefect.logging.handlers import PrefectConsoleHandler

    root = logging.getLogger()
    handler = PrefectConsoleHandler(stream=io.StringIO())
    root.addHandler(handler)
    logger = logging.getLogger("prefect.test_display")
    logger.setLevel(logging.INFO)
    yield logger
    root.removeHandler(handler)
    assert handler.console.file.getvalue() == "after\n"


def test_prefects_lines_stay_off_the_display(prefect_logger: logging.Logger) -> None:
    out = io.StringIO()
    with watching(console=Console(file=out)):
        prefect_logger.info("Created flow run")
        prefect_logger.warning("sources [old] are slow")
        try:
            raise ValueError("no")
        except ValueError:
            prefect_logger.exception("Task run failed")
    prefect_logger.warning("after")
    assert out.getvalue() == "warning: sources [old] are slow\nerror: Task run failed\n"


def test_quiet_is_silent() -> None:
    out = io.StringIO()
    with watching(quiet=True, console=Console(file=out)) as progress:
        assert progress is SILENT
        logging.getLogger("foodvision").warning("but this")
    assert out.getvalue() == "warning: but this\n"


def test_a_pipe_gets_plain_lines() -> None:
    with watching(console=Console(file=io.StringIO())) as progress:
        assert isinstance(progress, PlainDisplay)
