"""What kept runs reach stays; what they do not may go."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flows.run_journal import describe_compiled, describe_compiled_composite
from foodvision.plan.work import plan_work
from tasks.finished import StoreFinished
from tasks.journal import Journal
from tasks.reach import Rule, doomed, find_entries
from tests.running import Ran, make_photos, plan_text, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from foodvision.store import Store

FLIPS = "tta:\n  flips: [identity, horizontal_flip]\n"
FROZEN = "{arch: tiny_vgg, hidden: 4, freeze: backbone}"


def note(ran: Ran, run_id: str, *, plan: str = "small") -> None:
    """Write the journal of a run, as the flow does."""
    journal = Journal(ran.home.journals / f"20260101T000000-{run_id}.jsonl")
    journal.write("started", run_id=run_id, plan_name=plan)
    for compiled in ran.graph.cells:
        journal.write("dataset", key=compiled.chain.train.dataset)
    journal.write(
        "compiled",
        hits=[list(hit) for hit in ran.work.hits],
        cells=[describe_compiled(compiled) for compiled in ran.graph.cells],
        composites=[describe_compiled_composite(each) for each in ran.graph.composites],
    )


def going(
    store: Store, ran: Ran, rule: Rule | None = None, living: Sequence[str] = ()
) -> list[tuple[str, str]]:
    rule = rule or Rule(unreached=True)
    entries = find_entries(store).entries
    return [(entry.kind, entry.key) for entry in doomed(entries, rule, ran.home, store, living)]


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    photos = make_photos(tmp_path_factory.mktemp("reach") / "photos", train=4, test=1)
    return plan_text(photos, f"  valid: 0.25\n{FLIPS}grid:\n  epochs: [1, 2]\n", model=FROZEN)


def test_a_kept_run_keeps_all_that_it_needs_to_be_told_again(text: str, tmp_path: Path) -> None:
    ran = run(text, tmp_path, ["evaluate.latency=true"])
    kinds = set(ran.store.kinds())
    rows = {"features-shard", "pixels-shard"}
    assert kinds == rows | {"composite", "dataset", "latency", "score", "train", "view"}
    assert {kind for kind, _ in going(ran.store, ran)} == kinds  # no journal: nothing is kept
    note(ran, "one")
    assert going(ran.store, ran) == []


def test_only_what_the_dropped_run_alone_needs_goes(text: str, tmp_path: Path) -> None:
    first = run(text, tmp_path)
    note(first, "first")
    second = run(text, tmp_path, ["base.optimizer.lr=0.02"])
    note(second, "second")
    assert going(second.store, second) == []
    gone = going(second.store, second, Rule(unreached=True, runs=1))
    assert {kind for kind, _ in gone} == {"train", "score", "view", "composite"}
    store = second.store
    for kind, key in gone:
        store.remove(kind, key)
    assert plan_work(second.graph, StoreFinished(store)).is_empty
    assert not plan_work(first.graph, StoreFinished(store)).is_empty
    assert [row.epochs for row in plan_work(first.graph, StoreFinished(store)).rows] == []


def test_a_living_run_is_spared_by_every_rule(text: str, tmp_path: Path) -> None:
    ran = run(text, tmp_path)
    everything = Rule(older_than=0)
    assert going(ran.store, ran, everything)
    note(ran, "alive")
    assert going(ran.store, ran, everything)
    assert going(ran.store, ran, everything, living=["alive"]) == []


def test_a_run_that_goes_on_from_a_state_reaches_it(text: str, tmp_path: Path) -> None:
    run(text, tmp_path)
    longer = run(text, tmp_path, ["grid.epochs=[3]"])
    note(longer, "longer")
    for cell in longer.graph.cells:
        longer.store.remove("train", cell.final)  # as if it were still being trained
    gone = going(longer.store, longer)
    held = [key for kind, key in longer.work.hits if kind == "train"]
    assert held
    assert not {("train", key) for key in held} & set(gone)
    for kind, key in gone:
        longer.store.remove(kind, key)
    left = plan_work(longer.graph, StoreFinished(longer.store))
    assert left.predicted.epochs == 1  # and what is before it can still be told


def test_what_was_written_while_a_run_is_alive_stays(text: str, tmp_path: Path) -> None:
    ran = run(text, tmp_path)
    path = ran.home.journals / "20260101T000000-starting.jsonl"
    for hours, expected in ((1, 0), (-1, len(find_entries(ran.store).entries))):
        at = datetime.now(UTC) - timedelta(hours=hours)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"at": at.isoformat(), "event": "started", "run_id": "s"}))
        assert len(going(ran.store, ran, living=["s"])) == expected


def test_what_this_version_does_not_know_stays(text: str, tmp_path: Path) -> None:
    ran = run(text, tmp_path)
    with ran.store.writing("newer", "aa" * 32, inputs={}, code_version=1):
        pass
    assert "newer" not in {kind for kind, _ in going(ran.store, ran)}


def test_size_lets_the_oldest_go_first(text: str, tmp_path: Path) -> None:
    ran = run(text, tmp_path)
    held: dict[Any, int] = {
        (entry.kind, entry.key): entry.size_bytes for entry in find_entries(ran.store).entries
    }
    gone = going(ran.store, ran, Rule(keep=sum(held.values()) / 2))
    left = sum(size for stage, size in held.items() if stage not in gone)
    assert left <= sum(held.values()) / 2 < left + held[gone[-1]]
