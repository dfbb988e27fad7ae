"""Stop rules: when they want no more, and what they mean for keys and for planned work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foodvision.plan.composites import composites
from foodvision.plan.expand import expand
from foodvision.plan.explain import explain
from foodvision.plan.graph import Graph, compile_cells
from foodvision.plan.load import load_plan
from foodvision.plan.stopping import Curve, Judge, StopSettings
from foodvision.plan.work import plan_work, predict_training
from tests.plan.test_graph import BASE, FakeFacts, FakeStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foodvision.plan.facts import ImageSet

LONG = BASE.replace("epochs: 5", "epochs: 10\n  valid: 0.2")
STOP = LONG + "  stop: {patience: 2}\n"


@dataclass
class Known:
    """Curves by the key of their first state, in spans that end with some epochs or with each."""

    values: dict[str, Sequence[float | None]] = field(default_factory=dict)
    diverged: bool = False
    ends: tuple[int, ...] = tuple(range(1, 100))
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def curve(
        self, states: Sequence[str], metric: str, images: ImageSet | None, *, first_epoch: int
    ) -> Curve:
        self.asked.append((metric, images.part if images else None))
        values = tuple(self.values.get(states[first_epoch - 1], ()))
        epochs = range(first_epoch, first_epoch + len(values))
        held = [next(end for end in self.ends if end >= epoch) for epoch in epochs]
        return Curve(values, tuple(states[end - 1] for end in held), self.diverged)


def compiled(text: str, known: Known | None = None, *overrides: str) -> Graph:
    plan = load_plan(text, list(overrides))
    cells = expand(plan)
    return compile_cells(cells, FakeFacts(), composites(plan, cells), curves=known)


def judged(values: Sequence[float | None], **settings: Any) -> Judge:
    judge = Judge(StopSettings(**{"patience": 2} | settings), first_epoch=1)
    judge.observe(values)
    return judge


@pytest.mark.parametrize(
    ("values", "settings", "chosen", "last"),
    [
        pytest.param([3, 2, 1], {}, 3, None, id="it improves"),
        pytest.param([3, 2, 2, 2], {}, 2, 4, id="equal is no improvement"),
        pytest.param([3, 2, 4, 1, 5, 6, 0], {}, 4, 6, id="what comes after the end counts nothing"),
        pytest.param([3, 2, 4, 4], {"restore": "last"}, 4, 4, id="the last state"),
        pytest.param([3, 2, 4], {"patience": 1}, 2, 3, id="no patience"),
        pytest.param([3, 2.95, 2.92], {"min_delta": 0.1}, 1, 3, id="too small an improvement"),
        pytest.param([3, 2.85, 2.8], {"min_delta": 0.1}, 2, None, id="measured from the best"),
        pytest.param([0.5, 0.4, 0.3], {"metric": "valid.accuracy"}, 1, 3, id="more is better"),
        pytest.param([None, None], {}, 2, 2, id="never a number"),
        pytest.param([float("nan"), 2, float("inf"), None], {}, 2, 4, id="numbers that are none"),
    ],
)
def test_a_rule_ends_after_so_many_epochs_without_improvement(
    values: Sequence[float | None], settings: dict[str, Any], chosen: int, last: int | None
) -> None:
    judge = judged(values, **settings)
    assert judge.chosen == chosen
    assert (judge.epoch if judge.is_over else None) == last


@given(
    values=st.lists(st.floats(-1, 1), min_size=1, max_size=20),
    patience=st.integers(1, 5),
    cut=st.integers(0, 20),
)
def test_a_rule_says_the_same_however_the_curve_is_cut(
    values: list[float], patience: int, cut: int
) -> None:
    whole, parts = judged(values, patience=patience), judged(values[:cut], patience=patience)
    parts.observe(values[cut:])
    assert (whole.is_over, whole.epoch, whole.chosen) == (parts.is_over, parts.epoch, parts.chosen)
    if not whole.is_over:
        assert whole.epoch == len(values)
    assert values[whole.chosen - 1] == min(values[: whole.epoch])


def test_a_rule_is_in_no_key_and_another_cell() -> None:
    plain, stopped = compiled(LONG).cells[0], compiled(STOP).cells[0]
    assert plain.chain.states == stopped.chain.states
    assert plain.cell.cell_id != stopped.cell.cell_id
    assert stopped.open_watch is not None


def test_a_decided_cell_is_that_of_so_many_epochs_with_a_longer_curve() -> None:
    first = compiled(STOP).cells[0].chain.states[0]
    (cell,) = compiled(STOP, Known({first: [3.0, 2.0, 1.0, 4.0, 4.0]})).cells
    (three,) = compiled(LONG, None, "base.epochs=3").cells
    assert (cell.final, cell.score_keys) == (three.final, three.score_keys)
    assert (cell.curve_end, cell.curve_key) == (5, cell.chain.states[4])
    assert cell.result_key != three.result_key
    assert not Graph((cell,), {}).is_open


def test_the_last_state_is_the_result_of_so_many_epochs() -> None:
    first = compiled(STOP).cells[0].chain.states[0]
    known = Known({first: [3.0, 2.0, 4.0, 4.0]})
    (cell,) = compiled(STOP, known, "base.stop.restore=last").cells
    assert cell.result_key == compiled(LONG, None, "base.epochs=4").cells[0].result_key


def test_a_training_that_diverged_ends_where_it_is() -> None:
    first = compiled(STOP).cells[0].chain.states[0]
    (cell,) = compiled(STOP, Known({first: [3.0, 2.0]}, diverged=True)).cells
    assert cell.open_watch is None
    assert cell.final == cell.chain.states[-1]


@pytest.mark.parametrize(
    ("metric", "part"), [("valid.loss", "valid"), ("test.accuracy", "test"), ("train.loss", None)]
)
def test_a_rule_looks_at_the_images_of_its_metric(metric: str, part: str | None) -> None:
    known = Known()
    compiled(STOP, known, f"base.stop.metric={metric}")
    assert known.asked == [(metric, part)]


PHASES = LONG.replace("  epochs: 10\n", "") + (
    "  stop: {patience: 2}\n  phases: [{epochs: 6}, {epochs: 4, batch_size: 5}]\n"
)


def test_a_phase_begins_from_the_state_that_the_one_before_was_ended_with() -> None:
    first = compiled(PHASES).cells[0].chain.states[0]
    known = Known({first: [3.0, 1.0, 2.0, 2.0]})
    (waiting,) = compiled(PHASES, known).cells
    (static,) = compiled(PHASES, None, "base.stop=null", "base.phases=[{epochs: 2}, "
                         "{epochs: 4, batch_size: 5}]").cells  # fmt: skip
    assert waiting.chain.states == static.chain.states
    assert [(each.first_epoch, each.last_epoch) for each in waiting.watches] == [(1, 6), (3, 6)]
    known.values[waiting.chain.states[2]] = [5.0, 4.0, 4.0, 4.0]
    (cell,) = compiled(PHASES, known).cells
    assert cell.final == static.chain.states[3]
    assert cell.curve_end == 6


def test_a_phase_may_have_a_rule_of_its_own_or_none() -> None:
    text = PHASES.replace("{epochs: 6}", "{epochs: 6, stop: null}")
    text = text.replace("batch_size: 5}", "batch_size: 5, stop.patience: 1}")
    (cell,) = compiled(text).cells
    (watch,) = cell.watches
    assert watch.rule is not None
    assert (watch.first_epoch, watch.rule.patience) == (7, 1)


# -- alerts that end a cell ---------------------------------------------------------------------

HIGH = LONG + "alerts: [{when: train.loss > 3, stop: true}]\n"
BOTH = STOP + "alerts: [{when: train.loss > 3, stop: true}, {when: valid.loss > 9, stop: true}]\n"


@dataclass
class KnownByMetric(Known):
    """Curves by metric, and by the key of their first state."""

    by_metric: dict[str, dict[str, Sequence[float | None]]] = field(default_factory=dict)

    def curve(
        self, states: Sequence[str], metric: str, images: ImageSet | None, *, first_epoch: int
    ) -> Curve:
        self.values = self.by_metric[metric]
        return super().curve(states, metric, images, first_epoch=first_epoch)


def test_an_alert_that_ends_cells_is_in_no_key_and_names_another_cell() -> None:
    plain, stopped = compiled(LONG).cells[0], compiled(HIGH).cells[0]
    assert plain.chain.states == stopped.chain.states
    assert plain.cell.cell_id != stopped.cell.cell_id
    assert stopped.open_watch is not None
    told = compiled(HIGH.replace("stop: true", "notify: log")).cells[0]
    assert told.cell.cell_id == plain.cell.cell_id
    (other,) = compiled(HIGH.replace("> 3", ">3.00")).cells
    assert other.cell.cell_id == stopped.cell.cell_id


@pytest.mark.parametrize(
    ("values", "epoch"),
    [
        pytest.param([2.0, 3.0, 3.5, 1.0], 3, id="the first epoch beyond the bound"),
        pytest.param([2.0, None], 2, id="a loss that is no finite number is beyond any"),
        pytest.param([2.0] * 10, 10, id="never"),
        pytest.param([2.0, 3.0], None, id="not known so far"),
    ],
)
def test_a_bound_ends_a_cell_with_the_epoch_that_crosses_it(
    values: Sequence[float | None], epoch: int | None
) -> None:
    first = compiled(HIGH).cells[0].chain.states[0]
    (cell,) = compiled(HIGH, Known({first: values})).cells
    assert (cell.decision.epoch if cell.decision else None) == epoch
    if epoch:
        (static,) = compiled(LONG, None, f"base.epochs={epoch}").cells
        assert cell.result_key == static.result_key
        assert cell.curve_end == epoch


def test_whoever_ends_a_training_the_stop_rule_chooses_the_state() -> None:
    (waiting,) = compiled(BOTH).cells
    first = waiting.chain.states[0]
    curves = {
        "valid.loss": {first: [3.0, 1.0, 2.0, 0.5, 4.0]},
        "train.loss": {first: [1.0, 1.0, 3.5]},
    }
    (cell,) = compiled(BOTH, KnownByMetric(by_metric=curves)).cells
    assert cell.decision is not None
    assert (cell.decision.epoch, cell.decision.last_epoch, cell.decision.is_halted) == (2, 3, True)
    curves["train.loss"][first] = [1.0] * 5
    (cell,) = compiled(BOTH, KnownByMetric(by_metric=curves)).cells
    assert cell.decision is None  # improving: epoch 4 was the best so far
    curves["valid.loss"][first] = [3.0, 1.0, 2.0, 2.0, 4.0]
    (cell,) = compiled(BOTH, KnownByMetric(by_metric=curves)).cells
    assert cell.decision is not None
    assert (cell.decision.epoch, cell.decision.last_epoch, cell.decision.is_halted) == (2, 4, False)


def test_no_phase_follows_one_that_an_alert_ended() -> None:
    text = PHASES.replace("  stop: {patience: 2}\n", "") + HIGH.removeprefix(LONG)
    first = compiled(text).cells[0].chain.states[0]
    (ended,) = compiled(text, Known({first: [1.0, 2.0, 3.5]})).cells
    assert (len(ended.chain.phases), len(ended.states), ended.curve_end) == (1, 3, 3)
    (static,) = compiled(LONG, None, "base.epochs=3").cells
    assert ended.final == static.final
    (later,) = compiled(text, Known({first: [1.0] * 6})).cells
    assert len(later.chain.phases) == 2
    assert later.open_watch is not None


def test_explain_says_what_ends_a_cell() -> None:
    graph = compiled(BOTH)
    (what,) = [
        stage.what
        for stage in explain("small", graph, plan_work(graph, FakeStore())).stages
        if "at most" in stage.what
    ]
    assert what.endswith("at most (stop: valid.loss, patience 2; train.loss > 3; valid.loss > 9)")


# -- work ---------------------------------------------------------------------------------------


def test_cells_with_and_without_a_rule_share_epochs_and_the_longer_one_is_at_most() -> None:
    axes = "grid: {stop: {none: null, short: {patience: 1}, long: {patience: 3}}, epochs: [4, 10]}"
    graph = compiled(LONG + axes)
    work = plan_work(graph, FakeStore())
    assert work.is_bound
    assert work.predicted.epochs == 10
    assert work.naive.epochs == 3 * 14
    first, second = work.training
    assert not first.may_end
    assert not second.may_end
    assert [watch.rule.patience for watch in first.watches if watch.rule] == [1, 1, 3, 3]


def test_a_span_that_only_rules_want_may_end() -> None:
    graph = compiled(LONG + "grid: {stop: {none: null, some: {patience: 3}}}\n"
                     "include: [{epochs: 4}]\nexclude: [{stop: none}]\n")  # fmt: skip
    work = plan_work(graph, FakeStore())
    assert [(job.span.last_epoch, job.may_end) for job in work.training] == [
        (4, False),
        (10, True),
    ]


def test_a_decided_cell_asks_for_no_more() -> None:
    graph = compiled(STOP)
    store = FakeStore()
    store.run(plan_work(graph, store), keeps_every_state=True)
    states = graph.cells[0].chain.states
    work = plan_work(compiled(STOP, Known({states[0]: [2.0, 1.0, 3.0, 3.0]})), store)
    assert not work.is_bound
    assert not work.training
    assert [job.epochs for job in work.scoring] == [(2,), (2,)]  # its outputs, on two lists


def test_a_chosen_state_that_was_too_large_to_keep_is_trained_again_within_the_bound() -> None:
    store = FakeStore()
    store.run(plan_work(compiled(LONG, None, "base.epochs=6"), store), keeps_every_state=False)
    states = compiled(STOP).cells[0].chain.states
    known = Known({states[0]: [6.0, 5.0, 4.0, 3.0, 2.0, 3.0]}, ends=(6, 7))
    bound = plan_work(compiled(STOP, known), store)
    assert bound.training[0].span.first_epoch == 7
    assert bound.predicted.epochs == 4 + 5
    store.run(plan_work(compiled(LONG, None, "base.epochs=7"), store), keeps_every_state=False)
    known.values[states[0]] = [6.0, 5.0, 4.0, 3.0, 2.0, 3.0, 3.0]
    after = plan_work(compiled(STOP, known), store)
    assert after.predicted.epochs == 5


VIEWS = """
tta: {flips: [identity, vertical_flip]}
ensembles: {all: {kind: weighted, members: {tta: flips}}}
"""
ONE_EACH = """seed: [1, 2]
  stop: {never: null, patient: {patience: 2}}
exclude: [{seed: 1, stop: never}, {seed: 2, stop: patient}]
"""


@pytest.mark.parametrize(
    "axis",
    [
        pytest.param("stop.patience: [1, 2]", id="two rules that end one training elsewhere"),
        pytest.param("stop: {never: null, patient: {patience: 2}}", id="a rule, and none"),
        pytest.param(ONE_EACH, id="a rule for one training, and none for the other"),
    ],
)
def test_views_are_foreseen_for_each_cell_whose_rule_may_choose_another_state(axis: str) -> None:
    text = f"{STOP}grid:\n  {axis}\n{VIEWS}"
    graph, store = compiled(text), FakeStore()
    curve = [3.0, 2.0, 4.0, 1.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0]
    known = Known({cell.chain.states[0]: curve for cell in graph.cells})
    bound = plan_work(graph, store)
    store.run(bound, keeps_every_state=True)
    decided = plan_work(compiled(text, known), store)
    trained = sum(predict_training(job).scored_images for job in bound.training)
    in_views = sum(len(job.score.images.images) for job in decided.views)
    assert len(decided.views) == 2 * 2  # two states, on valid and on test
    assert bound.predicted.scored_images == trained + in_views


def test_later_phases_are_predicted_and_planned_when_the_first_has_ended() -> None:
    graph = compiled(PHASES)
    work = plan_work(graph, FakeStore())
    assert work.predicted.epochs == 10
    assert [job.span.last_epoch for job in work.training] == [6]
    assert graph.cells[0].open_watch is not None


def test_explain_says_at_most() -> None:
    graph = compiled(STOP)
    work = plan_work(graph, FakeStore())
    told = explain("small", graph, work)
    assert told.stages[-1].what == "net, ten, epochs 1-10 at most (stop: valid.loss, patience 2)"
    assert told.is_bound
