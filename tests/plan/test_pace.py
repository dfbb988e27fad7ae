"""What a run will take, from what stages of the same pace took."""

from __future__ import annotations

import pytest

from foodvision.plan.pace import amount, expect_seconds, stage_paces
from foodvision.plan.work import Tally, plan_work
from tests.plan.test_graph import BASE, FakeFacts, FakeStore, compiled


def _training(*overrides: str, facts: FakeFacts | None = None) -> tuple[str, str]:
    """Return both paces of the only training, as texts."""
    graph = compiled(BASE, facts, *overrides)
    work = plan_work(graph, FakeStore(), features_bytes=10**9)
    (pace,) = [pace for pace, _ in stage_paces(work).values() if pace.alike["stage"] == "train"]
    return repr(pace.exact), repr(pace.alike)


@pytest.mark.parametrize(
    "override",
    [
        "base.seed=7",
        "base.optimizer.lr=0.1",
        "base.epochs=9",
        "base.data=twenty",
        "base.model.weights=./other.pth",
        "base.loss.label_smoothing=0.1",
    ],
)
def test_what_does_not_act_on_the_time_is_in_no_pace(override: str) -> None:
    assert _training(override) == _training()


@pytest.mark.parametrize(
    ("override", "is_alike"),
    [
        ("base.batch_size=2", True),
        ("base.optimizer.kind=adamw", True),
        ("base.augment=[{kind: vertical_flip}]", False),
        ("base.model.freeze=none", False),
        ("base.model.arch=other", False),
        ("base.transform.size=16", False),
        ("base.threads=1", False),
    ],
)
def test_what_acts_on_the_time_makes_another_pace(override: str, is_alike: bool) -> None:
    (exact, alike), (plain_exact, plain_alike) = _training(override), _training()
    assert exact != plain_exact
    assert (alike == plain_alike) is is_alike


def test_another_device_has_another_pace() -> None:
    gpu = FakeFacts(environment_facts={"device": "cuda"})
    assert _training(facts=gpu)[1] != _training()[1]


def test_a_live_prefix_has_another_pace() -> None:
    paces = []
    for limit in (1, None):
        work = plan_work(compiled(), FakeStore(), features_bytes=limit)
        paces += [p.alike for p, _ in stage_paces(work).values() if p.alike["stage"] == "train"]
    assert [pace["is_live"] for pace in paces] == [True, False]


def test_rows_of_the_same_images_have_one_pace() -> None:
    work = plan_work(compiled(BASE, None, "base.test=twenty"), FakeStore())
    ((pace, images), *_) = stage_paces(work).values()
    assert (pace.exact["data"], pace.exact["decodes"], images) == (["ten", "twenty"], True, 30.0)


def test_amounts() -> None:
    assert amount(Tally(train_images=30, scored_images=9)) == 33
    assert amount(Tally(scored_images=9)) == 9
    assert amount(Tally(prefix_images=5, decoded_images=5)) == 5
    assert amount(Tally(decoded_images=4)) == 4
    assert amount(Tally()) == 0


@pytest.mark.parametrize(
    ("observed", "wanted", "expected"),
    [
        pytest.param([], 10, None, id="nothing"),
        pytest.param([(0, 1.0)], 10, None, id="nothing that was work"),
        pytest.param([(10, 2.0)], 5, 1.0, id="one: a ratio"),
        pytest.param([(10, 2.0), (10, 4.0)], 10, 3.0, id="one size: the mean"),
        pytest.param([(10, 2.0), (20, 3.0)], 40, 5.0, id="two sizes: a line"),
        pytest.param([(10, 1.0), (20, 4.0)], 12, 2.0, id="a line from below 0: a ratio"),
        pytest.param([(10, 3.0), (20, 1.0)], 50, 2.0, id="a falling line: the mean"),
    ],
)
def test_expected_seconds(
    observed: list[tuple[float, float]], wanted: float, expected: float | None
) -> None:
    assert expect_seconds(observed, wanted) == (expected and pytest.approx(expected))
