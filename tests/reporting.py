"""Reports of made-up boards: few cells and many, whole and broken, with names of all kinds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from foodvision.plan.expand import expand
from foodvision.plan.load import load_plan
from foodvision.store import Store
from tasks.alerts import AlertBook, Finding, find_alerts
from tasks.loading import load_alerts
from tasks.ranking import rank_cells
from tasks.reporting import Reporter
from tests.boards import make_board

if TYPE_CHECKING:
    from pathlib import Path

    from foodvision.home import Home
    from foodvision.plan.expand import Cell

_PLAN = """\
name: {name}
description: Digits, hidden units x lengths x rates
data:
  digits: {{source: "sklearn:digits", split: {split}}}
base:
  data: digits
  test: digits
  model: {{arch: mlp, hidden: 8}}
  transform: {{size: 8, channels: 1}}
  batch_size: 32
  epochs: 2
  optimizer: {{kind: adam, lr: 0.003}}
grid:
  model.hidden: {hidden}
  epochs: [3, 6]
  optimizer.lr: [0.001, 0.003]
"""
EIGHT = _PLAN.format(name="eight", split=0.25, hidden="[8, 32]")
HUNDRED = _PLAN.format(name="hundred", split=0.1, hidden="[8, 16, 32, 64, 128]") + "seeds: 5\n"
ONE = _PLAN.format(name="one", split=0.1, hidden="[8]").partition("grid:")[0]

NASTY = ('"quotes" & more', "<script>alert(1)", "🍕 {{ 7 * 7 }}", "ピザ")


def accuracy_of(cell: Cell) -> float:
    """Return what a made-up cell reaches: more with more units and epochs, which add up."""
    hidden = int(cell.axes.get("model.hidden", 8))
    return 0.7 + 0.03 * hidden.bit_length() + 0.03 * (cell.axes.get("epochs") == "6")


def reporter_of(home: Home, text: str, **more: Any) -> tuple[Reporter, list[dict[str, Any]]]:
    """Make a board; return its reporter and its leaderboard."""
    plan, cells = make_board(home, text, accuracy_of, **more)
    return Reporter(plan, home, Store(home.store)), rank_cells(plan, cells, home)


def write_board_with_alerts(home: Home) -> Path:
    """Make a board whose alerts have several rules, receivers and long names; write its report."""
    hook = {"webhook": "https://hooks.example.org/services/T00000000/B00000000/XXXXXXXXXXXX"}
    rules = [
        {"when": "test.calibration_error > 0.01", "notify": ["log", hook]},
        {"when": "train.loss > 3", "on": "epochs"},
        {"when": "finished", "notify": hook},
    ]
    reporter, leaderboard = reporter_of(home, EIGHT)
    reporter = Reporter(load_plan(f"{EIGHT}alerts: {json.dumps(rules)}\n"), home, reporter.store)
    figures = {"metrics": {"test.calibration_error": 0.25}, "status": "completed"}
    found = [
        Finding(f"cell-{place}", label, about=f"result-{place}", **figures)
        for place, label in enumerate(
            ("学習率は普通の値です、とても長い名前 · 10 epochs", "x" * 60)
        )
    ]
    book = AlertBook(home)
    for alert in book.raise_new(find_alerts(reporter.plan, found, "run")):
        book.note_told(alert.alert_id, error=None if alert.channel == "log" else "it answers 500")
    load_alerts(home)
    return reporter.write(leaderboard)


def write_board(home: Home, text: str, **more: Any) -> Path:
    """Make a board and write its report."""
    reporter, leaderboard = reporter_of(home, text, **more)
    return reporter.write(leaderboard)


def hundred_with_failures(home: Home) -> Path:
    """Write the report of 100 cells, two of which have no result; three labels are wrong."""
    labels = [cell.label for cell in expand(load_plan(HUNDRED))]
    return write_board(
        home,
        HUNDRED,
        statuses={labels[3]: "failed", labels[17]: "diverged"},
        wrong_labels=frozenset({3, 50, 90}),
    )


def plan_of_photos(photos: Path, labels: tuple[str, ...]) -> str:
    """Return a plan on an image folder whose choices bear these labels."""
    models = {label: {"hidden": 4 + place} for place, label in enumerate(labels)}
    return json.dumps(
        {
            "name": "names",
            "description": "</script><script>alert(1)</script>",
            "data": {"photos": {"source": str(photos)}},
            "base": {
                "data": "photos",
                "test": "photos",
                "model": {"arch": "mlp", "hidden": 8},
                "transform": {"size": 16},
                "batch_size": 4,
                "epochs": 2,
                "optimizer": {"kind": "adam", "lr": 0.003},
            },
            "grid": {"model": models},
        },
        ensure_ascii=False,
    )
