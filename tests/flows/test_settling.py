"""What a run decides under a lock takes no longer than deciding takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from filelock import FileLock

from flows.run_journal import RunJournal
from flows.settling import Settling
from foodvision.home import Home
from foodvision.models import facts as torch_facts
from foodvision.plan.expand import expand
from foodvision.plan.load import load_plan
from foodvision.progress import SILENT
from foodvision.store import Store
from tasks.facts import LibraryFacts
from tasks.plan_data import fetch_data
from tasks.reach import REACH_LOCK
from tests.running import make_photos, plan_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest


def test_weights_and_models_are_found_before_others_have_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home")
    photos = make_photos(tmp_path / "photos", train=4, test=2)
    text = plan_text(photos, "grid: {model.hidden: [4, 5], optimizer.lr: [0.1, 0.2]}\n")
    plan = load_plan(text.replace("tiny_vgg, hidden: 4", "mlp, weights: ./mlp.pth"))
    fetch_data(plan, "photos", home, progress=SILENT)
    lock = Store(home.store).root / "locks" / f"{REACH_LOCK}.lock"
    asked: list[str] = []

    def watched(name: str, answer: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*given: Any, **more: Any) -> Any:
            asked.append(name)
            with FileLock(lock, blocking=False):  # raises where the run holds it
                return answer(*given, **more)

        return ask

    def answer(*_: Any) -> tuple[Path, str]:
        return tmp_path, "0" * 64

    monkeypatch.setattr(torch_facts, "describe", watched("model", torch_facts.describe))
    monkeypatch.setattr(LibraryFacts, "_find_weights", watched("weights", answer))
    monkeypatch.setattr(LibraryFacts, "_require_fit", lambda *_: None)
    journal = RunJournal(home.journals / "1.jsonl")
    settling = Settling(plan, home, expand(plan), (), journal=journal, progress=SILENT)
    settling.fetch(refresh=False)
    settling.settle()
    assert asked == ["weights", "model", "model"]
