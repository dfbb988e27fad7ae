"""What one run took, the next one expects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from foodvision.home import Home
from foodvision.plan.latency import LatencyStage
from foodvision.plan.work import LatencyJob, Tally, plan_work
from tasks.finished import StoreFinished
from tasks.paces import PaceBook
from tests.running import Ran, make_photos, plan_text, run


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("paces")
    photos = make_photos(folder / "photos", train=4, test=1)
    more = "tta: {flips: [identity, horizontal_flip]}\ngrid:\n  epochs: [1, 2]\n"
    text = plan_text(photos, more, model="{arch: tiny_vgg, hidden: 4, freeze: backbone}")
    return run(text, folder / "home")


def test_a_run_expects_what_the_last_one_took(ran: Ran) -> None:
    book = PaceBook(ran.home)
    before = book.forecast(ran.work, cells=2)
    assert (before.known, before.unknown, before.around) == (0, len(before.stages), None)
    assert before.to_json()["stages"] is None
    kinds = {job.recipe.kind for job in ran.work.rows}
    assert kinds == {"pixels", "features"}
    book.learn(ran.work, {key: (tally, 2.0) for key, (tally, _) in ran.ledger.measured.items()})
    book.learn_around(cells=2, seconds=5.0)
    after = PaceBook(ran.home).forecast(ran.work, cells=2)
    assert list(after.stages.values()) == pytest.approx([2.0] * len(after.stages))
    assert (after.unknown, after.around) == (0, 5.0)
    assert after.known == pytest.approx(2.0 * len(after.stages))


def test_other_batches_are_expected_by_what_is_alike(ran: Ran, tmp_path: Path) -> None:
    book = PaceBook(ran.home)
    book.learn(ran.work, ran.ledger.measured)
    photos = Path(ran.plan.data["photos"].source)
    text = plan_text(
        photos, epochs=4, batch_size=3, model="{arch: tiny_vgg, hidden: 4, freeze: backbone}"
    )
    other = run(text, tmp_path)
    work = plan_work(other.graph, StoreFinished(ran.store))
    assert work.training
    assert book.forecast(work, cells=1).unknown == 0


def test_a_measurement_of_latency_is_expected_too(ran: Ran, tmp_path: Path) -> None:
    work = plan_work(ran.graph, StoreFinished(ran.store), latency=True)
    (job,) = work.measuring
    book = PaceBook(Home(tmp_path))
    assert book.forecast(work, cells=1).stages == {job.key: None}
    book.learn(work, {job.key: (Tally(), 4.5)})
    assert book.forecast(work, cells=1).stages == {job.key: 4.5}
    other = plan_work(ran.graph, StoreFinished(ran.store), latency=True)
    shape = job.stage.inputs["model"] | {"arch": "mlp"}
    stage = LatencyStage("other", {**job.stage.inputs, "model": shape}, job.stage.phase)
    other = replace(other, measuring=(LatencyJob(stage),))
    assert book.forecast(other, cells=1).stages == {"other": 4.5}


def test_what_failed_or_was_found_teaches_nothing(ran: Ran, tmp_path: Path) -> None:
    book = PaceBook(Home(tmp_path))
    book.learn(ran.work, {key: (Tally(), 1.0) for key in ran.ledger.measured})
    book.learn(ran.work, {})
    assert not (tmp_path / "paces").exists()


def test_a_damaged_file_is_as_if_it_were_not_there(ran: Ran) -> None:
    book = PaceBook(ran.home)
    book.learn(ran.work, ran.ledger.measured)
    for path in ran.home.paces.iterdir():
        path.write_text('{"observed": [["a", 1]]}')
    assert book.forecast(ran.work, cells=2).known == 0
