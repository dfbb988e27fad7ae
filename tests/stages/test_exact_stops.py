"""The exactness contract over stop rules: they choose a state and change none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from foodvision.plan.graph import score_key
from foodvision.stages import training
from tasks.records import chain_epochs, read_logits
from tests.killing import Nursery
from tests.running import Ran, make_photos, plan_text, run

if TYPE_CHECKING:
    from pathlib import Path

    from foodvision.plan.graph import CompiledCell

# A rate at which the loss soon rises, so that rules of little patience end a training of ten.
SETTINGS = {"epochs": 10, "valid": 0.25, "optimizer": "{kind: sgd, lr: 0.3, momentum: 0.9}"}
WHOLE = "{arch: tiny_vgg, hidden: 4, freeze: none}"
HEAD = "{arch: tiny_vgg, hidden: 4, freeze: backbone}"
PHASES = (
    "  phases: [{epochs: 6}, {epochs: 5, optimizer.lr: 0.2, stop.restore: last, "
    "optimizer_state: keep}]\n"
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos") / "photos")


@pytest.fixture(params=[True, False], ids=["kept states", "large states"])
def keeps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(training, "KEPT_SNAPSHOT_BYTES", 1 << 30 if request.param else 0)
    return bool(request.param)


def text_of(photos: Path, stop: str, rest: str = "", **settings: object) -> str:
    return plan_text(photos, rest, **{"model": WHOLE, "stop": stop} | SETTINGS | settings)


def only_cell(ran: Ran) -> CompiledCell:
    (cell,) = ran.graph.cells
    return cell


def losses(ran: Ran, cell: CompiledCell) -> list[float]:
    digest = cell.image_sets["valid"].digest
    epochs = chain_epochs(ran.store, cell.curve_key, last_epoch=cell.curve_end)
    found = {}
    for held in dict.fromkeys(held for held, _ in epochs):
        key = score_key(held, digest)
        found |= {row["epoch"]: row["loss"] for row in ran.store.get("score", key).notes["rows"]}
    return [found[epoch] for epoch in range(1, cell.curve_end + 1)]


@pytest.mark.usefixtures("keeps")
@pytest.mark.parametrize("model", [WHOLE, HEAD], ids=["whole network", "head on features"])
def test_a_rule_ends_training_and_restores_the_best_epoch(
    model: str, photos: Path, tmp_path: Path
) -> None:
    ran = run(text_of(photos, "{patience: 2}", model=model), tmp_path / "stopped")
    cell = only_cell(ran)
    decision = cell.decision
    assert decision is not None
    values = losses(ran, cell)
    assert decision.epoch == values.index(min(values)) + 1
    assert decision.last_epoch == decision.epoch + 2 == ran.counted.epochs < 10
    assert ran.counted.epochs < ran.work.predicted.epochs == 10
    text = text_of(photos, "null", model=model, epochs=decision.epoch)
    plain = run(text, tmp_path / "plain")
    ours, theirs = (
        training.read_snapshot(each.store, only_cell(each).final) for each in (ran, plain)
    )
    assert ours.epoch == theirs.epoch == decision.epoch
    assert all((ours.model[name] == theirs.model[name]).all() for name in theirs.model)
    for part, key in only_cell(plain).score_keys.items():
        stored = ran.store.get("score", cell.score_keys[part])
        assert (read_logits(stored) == read_logits(plain.store.get("score", key))).all()
    assert run(text_of(photos, "{patience: 2}", model=model), tmp_path / "stopped").work.is_empty


def test_alone_equals_in_company(photos: Path, tmp_path: Path, keeps: bool) -> None:
    axes = (
        "grid:\n  stop:\n    none: null\n    short: {patience: 1}\n    long: {patience: 3}\n"
        "    last: {patience: 2, restore: last, metric: train.loss}\n  epochs: [3, 10]\n"
    )
    text = text_of(photos, "null", axes)
    together = run(text, tmp_path / "together")
    assert not together.ledger.failures
    assert together.counted.epochs == 10
    for label in ("short · 10 epochs", "long · 10 epochs", "last · 10 epochs", "long · 3 epochs"):
        alone = run(text, tmp_path / label, only=[label])
        assert alone.result(label) == together.result(label)
    assert run(text, tmp_path / "together").work.is_empty


@pytest.mark.usefixtures("keeps")
def test_more_patience_and_more_epochs_continue(photos: Path, tmp_path: Path) -> None:
    short, long = "base.stop={patience: 1}", "base.stop={patience: 4}"
    text = text_of(photos, "{patience: 1}")
    first = run(text, tmp_path / "bit by bit", [short, "base.epochs=4"])
    second = run(text, tmp_path / "bit by bit", [long, "base.epochs=6"])
    third = run(text, tmp_path / "bit by bit", [long, "base.epochs=10"])
    at_once = run(text, tmp_path / "at once", [long, "base.epochs=10"])
    assert third.results() == at_once.results()
    again = (second.counted + third.counted).epochs
    assert first.counted.epochs + again >= at_once.counted.epochs
    for ran in (first, second, third):
        assert ran.counted.epochs <= ran.work.predicted.epochs


def test_a_rule_that_comes_later_reads_the_curve_that_is_there(
    photos: Path, tmp_path: Path, keeps: bool
) -> None:
    run(text_of(photos, "null"), tmp_path / "later")
    later = run(text_of(photos, "{patience: 2}"), tmp_path / "later")
    at_once = run(text_of(photos, "{patience: 2}"), tmp_path / "at once")
    assert later.results() == at_once.results()
    decision = only_cell(later).decision
    assert decision is not None
    assert later.counted == later.work.predicted
    assert later.counted.epochs == (0 if keeps else decision.epoch)


def test_new_test_images_score_the_whole_curve(photos: Path, tmp_path: Path, keeps: bool) -> None:
    text = text_of(photos, "{patience: 2}")
    run(text, tmp_path / "later", ["base.test={name: photos, count: 6}"])
    later = run(text, tmp_path / "later")
    at_once = run(text, tmp_path / "at once")
    assert later.counted == later.work.predicted
    assert (later.counted.epochs == 0) == keeps
    assert later.results() == at_once.results()


@pytest.mark.usefixtures("keeps")
def test_phases_end_one_after_the_other(photos: Path, tmp_path: Path) -> None:
    text = text_of(photos, "{patience: 1}", PHASES).replace("  epochs: 10\n", "")
    ran = run(text, tmp_path / "stopped")
    assert not ran.ledger.failures
    first, second = only_cell(ran).watches
    assert first.decision is not None
    assert second.decision is not None
    assert first.decision.last_epoch < 6
    assert second.first_epoch == first.decision.epoch + 1
    assert ran.counted.epochs <= ran.work.predicted.epochs == 11
    epochs = (first.decision.epoch, second.decision.epoch - first.decision.epoch)
    plain = run(
        text.replace("stop.restore: last, ", ""),
        tmp_path / "plain",
        ["base.stop=null", f"base.phases=[{{epochs: {epochs[0]}}}, {{epochs: {epochs[1]}, "
         "optimizer.lr: 0.2, optimizer_state: keep}]"],
    )  # fmt: skip
    assert ran.results().keys() != plain.results().keys()
    assert [*ran.results().values()] == [*plain.results().values()]


def test_a_training_that_diverges_is_diverged_whatever_its_rule_says(
    photos: Path, tmp_path: Path
) -> None:
    text = text_of(photos, "{patience: 3}", optimizer="{kind: sgd, lr: 1.0e+38}")
    ran = run(text, tmp_path)
    cell = only_cell(ran)
    assert cell.decision is None
    assert ran.store.get("train", cell.final).notes["diverged"]
    assert run(text, tmp_path).work.is_empty


def test_killed_at_any_moment_equals_undisturbed(photos: Path, tmp_path: Path) -> None:
    axes = "grid: {stop: {none: null, short: {patience: 1}, long: {patience: 3}}, epochs: [3, 8]}\n"
    small = make_photos(tmp_path / "photos", train=4, test=2)
    text = text_of(small, "null", axes, model=HEAD)
    with Nursery() as nursery:
        undisturbed = nursery.run(text, tmp_path / "undisturbed")
        assert not undisturbed.failures
        for number in range(1, 6):
            home, moment = tmp_path / f"home {number}", undisturbed.moments * number // 6
            assert nursery.run(text, home, die_at=moment).killed
            again = nursery.run(text, home)
            assert not again.failures
            assert again.results == undisturbed.results


def test_an_alert_ends_cells_alone_as_in_company_and_trains_nothing_beyond(
    photos: Path, tmp_path: Path, keeps: bool
) -> None:
    plain = run(text_of(photos, "null"), tmp_path / "plain")
    curve = [row["train_loss"] for _, row in chain_epochs(plain.store, only_cell(plain).final)]
    end = next(epoch for epoch, loss in enumerate(curve, start=1) if loss <= curve[3])
    alert = f"alerts: [{{when: train.loss <= {curve[3]!r}, stop: true}}]\n"
    alone = run(text_of(photos, "null", alert), tmp_path / "alone")
    cell = only_cell(alone)
    assert cell.decision is not None
    assert (cell.decision.last_epoch, cell.decision.is_halted) == (end, True)
    assert alone.counted.epochs == end < alone.work.predicted.epochs == 10
    assert cell.final == only_cell(plain).chain.states[end - 1]

    axes = "grid:\n  stop:\n    none: null\n    short: {patience: 1}\n  epochs: [3, 10]\n"
    text = text_of(photos, "null", axes + alert)
    together = run(text, tmp_path / "together")
    assert not together.ledger.failures
    assert together.counted.epochs <= max(end, 3)
    assert together.result("none · 10 epochs") == alone.results()[cell.cell.cell_id]
    single = run(text, tmp_path / "single", only=["short · 10 epochs"])
    assert single.result("short · 10 epochs") == together.result("short · 10 epochs")
    assert run(text, tmp_path / "together").work.is_empty

    on = run(text_of(photos, "null"), tmp_path / "alone")  # without the alert it goes on from there
    assert on.counted.epochs == 10 - end
    assert on.results() == plain.results()
    later = run(text_of(photos, "null", alert), tmp_path / "plain")  # one that comes later
    assert later.results() == alone.results()
    assert later.counted.epochs == (0 if keeps else end)


@pytest.mark.usefixtures("keeps")
def test_a_cell_that_an_alert_ended_has_no_later_phase(photos: Path, tmp_path: Path) -> None:
    alert = "alerts: [{when: train.loss > 0, stop: true}]\n"
    text = text_of(photos, "null", PHASES + alert).replace("  epochs: 10\n", "")
    ran = run(text.replace("stop.restore: last, ", ""), tmp_path / "ended")
    assert not ran.ledger.failures
    assert ran.counted.epochs == 1
    assert ran.work.predicted.epochs == 11
    static = run(text_of(photos, "null", epochs=1), tmp_path / "static")
    assert [*ran.results().values()] == [*static.results().values()]
