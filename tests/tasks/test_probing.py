"""A probe tries a little, keeps the seconds and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from foodvision.errors import TrainingError
from foodvision.home import Home
from foodvision.plan.load import load_plan
from foodvision.progress import SILENT
from foodvision.store import Store
from tasks.explaining import explain_plan
from tasks.plan_data import fetch_data
from tasks.probing import _probe, probe
from tests.running import make_photos, plan_text

if TYPE_CHECKING:
    from pathlib import Path

    from foodvision.plan.schema import Plan

GRID = """grid:
  model:
    frozen: {arch: tiny_vgg, hidden: 4, freeze: backbone}
    free: {arch: mlp, hidden: 4}
  epochs: [2, 30]
"""
HARD = {
    "schedule": "{kind: multi_step, milestones: [2]}",
    "accumulate": "3",
    "valid": "0.25",
    "stop": "{metric: valid.loss, patience: 2}",
    "augment": "standard",
}


class _Watched:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def begin(self, label: str, *, total: float | None, unit: str) -> _Watched:
        self.told += [label, total]
        return self

    def advance(self, amount: float) -> None:
        self.told.append(amount)

    def close(self) -> None:
        self.told.append("end")


def _fetched(text: str, folder: Path) -> tuple[Plan, Home]:
    plan, home = load_plan(text), Home(folder / "home")
    fetch_data(plan, "photos", home, progress=SILENT)
    return plan, home


@pytest.mark.parametrize("settings", [{}, HARD], ids=["plain", "hard"])
def test_after_a_probe_the_time_is_known(settings: dict[str, str], tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", train=8, test=2)
    plan, home = _fetched(plan_text(photos, GRID, **settings), tmp_path)
    before = explain_plan(plan, home)
    assert before.forecast.unknown == len(before.forecast.stages) > 2
    tries = list(_probe(plan, home))
    assert tries == [len(tries) - 1, *range(1, len(tries))]
    after = explain_plan(plan, home)
    assert after.forecast.unknown == 0
    assert after.forecast.known > 0
    assert (
        after.explanation == before.explanation or after.explanation.work == before.explanation.work
    )
    assert Store(home.store).kinds() == ("dataset",)
    assert not list((home.store / "tmp").iterdir())


def test_a_live_prefix_is_probed_as_it_will_run(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", train=8, test=2)
    model = "{arch: tiny_vgg, hidden: 4, freeze: backbone}"
    text = plan_text(photos, "limits: {features_bytes: 1}\n", model=model)
    plan, home = _fetched(text, tmp_path)
    tries = list(_probe(plan, home))
    assert tries == [len(tries) - 1, *range(1, len(tries))]
    assert explain_plan(plan, home).forecast.unknown == 0


def test_a_probe_is_another_process(tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", train=4, test=1)
    plan, home = _fetched(plan_text(photos, model="{arch: mlp, hidden: 4}"), tmp_path)
    watched = _Watched()
    probe(plan, home, progress=watched)
    assert watched.told == ["try a little", 6.0, *[1.0] * 6, "end"]
    assert explain_plan(plan, home).forecast.unknown == 0
    (home.root / "facts").rename(home.root / "gone")
    (tmp_path / "home" / "facts").write_text("")
    with pytest.raises(TrainingError, match=r"small: a probe trains .* Leave --probe"):
        probe(plan, home, progress=SILENT)
