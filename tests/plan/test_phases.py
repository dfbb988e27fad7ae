"""Phases: what a cell is in each, what chains share, what may be kept of frozen blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from foodvision.errors import PlanError
from foodvision.plan.cell_schema import CellSettings
from foodvision.plan.expand import expand
from foodvision.plan.explain import explain
from foodvision.plan.graph import CompiledCell, compile_cells
from foodvision.plan.lint import lint
from foodvision.plan.load import load_plan
from foodvision.plan.phases import phase_steps, settings_at_end
from foodvision.plan.training_schema import AdamSettings, SgdSettings
from foodvision.plan.work import plan_work
from tests.plan.test_graph import BASE, FakeFacts, FakeStore, compiled

if TYPE_CHECKING:
    from collections.abc import Iterable

WITHOUT_EPOCHS = BASE.replace("  epochs: 5\n", "")
TWO = "{epochs: 2, model.freeze: backbone}"


def cell_of(*phases: str, facts: FakeFacts | None = None) -> CompiledCell:
    text = f"{WITHOUT_EPOCHS}  phases: [{', '.join(phases)}]\n"
    (cell,) = compiled(text, facts).cells
    return cell


def shared(one: CompiledCell, other: CompiledCell) -> int:
    return len(set(one.chain.states) & set(other.chain.states))


def test_a_phase_is_the_cell_with_its_own_settings_merged_over_it() -> None:
    plan = load_plan(
        WITHOUT_EPOCHS
        + "  phases:\n"
        + "    - {epochs: 2, transform: {size: 16}}\n"
        + "    - {epochs: 1, optimizer.lr: 0.5, optimizer_state: keep}\n"
        + "    - {epochs: 3, optimizer: {kind: sgd, lr: 1}, model.freeze: none}\n"
    )
    (cell,) = expand(plan)
    first, second, third = (step.settings for step in phase_steps(cell.settings))
    assert [step.start for step in phase_steps(cell.settings)] == ["reset", "keep", "reset"]
    assert [one.epochs for one in (first, second, third)] == [2, 1, 3]
    assert first.transform == cell.settings.transform.model_copy(update={"size": 16})  # type: ignore[union-attr]
    assert second.transform == third.transform == cell.settings.transform  # not of the one before
    assert isinstance(second.optimizer, AdamSettings)
    assert second.optimizer.lr == 0.5
    assert second.model.freeze == "backbone"
    assert isinstance(third.optimizer, SgdSettings)
    assert third.model.freeze == "none"
    assert cell.settings.epochs == 6


def test_a_plan_with_phases_says_the_same_when_it_is_written_and_read_again() -> None:
    plan = load_plan(f"{WITHOUT_EPOCHS}  phases: [{TWO}, {{epochs: 1}}]\n")
    assert load_plan(plan.to_json()) == plan
    assert "epochs" not in plan.to_json()["base"]
    assert "phases" not in load_plan(BASE).to_json()["base"]
    again = CellSettings.model_validate(plan.base.model_dump(mode="json"))
    assert again == plan.base


def test_one_phase_is_a_cell_like_any_other() -> None:
    (plain,) = compiled(BASE).cells
    alone = cell_of("{epochs: 5}")
    assert alone.cell.cell_id == plain.cell.cell_id
    assert alone.chain.states == plain.chain.states
    assert alone.result_key == plain.result_key


def test_the_spelling_of_a_phase_is_no_part_of_its_identity() -> None:
    dotted = cell_of(TWO, "{epochs: 1, optimizer.lr: 0.1}")
    nested = cell_of("{epochs: 2}", "{optimizer: {lr: 0.1}, model: {freeze: backbone}, epochs: 1}")
    assert dotted.cell.cell_id == nested.cell.cell_id
    assert dotted.chain.states == nested.chain.states


@pytest.mark.parametrize(
    "change",
    [
        "transform.size: 16",
        "transform.interpolation: nearest",
        "model.freeze: none",
        "model.freeze: 1",
        "model.batchnorm: frozen",
        "model.dropout: 0.3",
        "batch_size: 5",
        "micro_batch: 2",
        "optimizer.lr: 0.1",
        "optimizer.weight_decay: 0.1",
        "optimizer: {kind: sgd, lr: 0.001}",
        "loss.label_smoothing: 0.1",
        "augment: [{kind: horizontal_flip}]",
        "optimizer_state: keep",
        "epochs: 4",
    ],
)
def test_whatever_a_phase_changes_acts_from_its_first_epoch_on(change: str) -> None:
    before = cell_of(TWO, "{epochs: 3, schedule.kind: constant}")
    after = cell_of(TWO, f"{{epochs: 3, {change}}}".replace("epochs: 3, epochs: 4", "epochs: 4"))
    assert shared(before, after) == (5 if "epochs" in change else 2)
    assert before.cell.cell_id != after.cell.cell_id
    assert len(after.chain.states) == after.phase.last_epoch == after.cell.settings.epochs


def test_phases_that_change_nothing_are_one_training_told_in_parts() -> None:
    whole = cell_of("{epochs: 5}")
    kept = cell_of("{epochs: 2}", "{epochs: 3, optimizer_state: keep}")
    reset = cell_of("{epochs: 2}", "{epochs: 3}")
    assert kept.chain.states == whole.chain.states
    assert shared(reset, whole) == 2
    assert kept.spans == (kept.chain.states[1], kept.chain.states[4])


def test_chains_share_the_leading_phases_that_they_have_in_common() -> None:
    text = f"""{WITHOUT_EPOCHS}  phases: [{{epochs: 1}}]
grid:
  phases:
    a: [{TWO}, {{epochs: 2, model.freeze: 1}}]
    b: [{TWO}, {{epochs: 2, model.freeze: 1}}, {{epochs: 3, model.freeze: none}}]
    c: [{TWO}, {{epochs: 2, model.freeze: none}}]
"""
    graph = compiled(text)
    assert [cell.cell.label for cell in graph.cells] == ["a", "b", "c"]
    assert plan_work(graph, FakeStore()).predicted.epochs == 2 + 2 + 3 + 2
    spans = [(s.first_epoch, s.last_epoch) for s in graph.spans.values()]
    assert sorted(spans) == [(1, 2), (3, 4), (3, 4), (5, 7)]
    assert all(s.phase.first_epoch == s.first_epoch for s in graph.spans.values())


def test_a_longer_last_phase_continues() -> None:
    store = FakeStore()
    graph = compiled(f"{WITHOUT_EPOCHS}  phases: [{TWO}, {{epochs: 2, model.freeze: 1}}]\n")
    store.run(plan_work(graph, store), keeps_every_state=False)
    longer = compiled(f"{WITHOUT_EPOCHS}  phases: [{TWO}, {{epochs: 5, model.freeze: 1}}]\n")
    work = plan_work(longer, store)
    assert [(job.span.first_epoch, job.span.last_epoch) for job in work.training] == [(5, 7)]
    assert not work.training[0].span.begins_phase


def kinds(cell: CompiledCell) -> list[tuple[str, int, int]]:
    return [
        (phase.recipe.kind, phase.prefix_count, phase.changed_count) for phase in cell.chain.phases
    ]


@pytest.mark.parametrize(
    ("freezes", "expected"),
    [
        (["backbone", "1", "none"], [("features", 2, 0), ("features", 1, 0), ("pixels", 0, 0)]),
        (["1", "backbone"], [("features", 1, 0), ("features", 1, 1)]),
        (["none", "backbone"], [("pixels", 0, 0), ("pixels", 0, 2)]),
        (["backbone", "none", "1"], [("features", 2, 0), ("pixels", 0, 0), ("pixels", 0, 1)]),
    ],
    ids=["thawed", "frozen later", "trained before", "frozen again"],
)
def test_rows_are_kept_of_blocks_that_no_earlier_phase_has_trained(
    freezes: list[str], expected: list[tuple[str, int, int]]
) -> None:
    cell = cell_of(*(f"{{epochs: 1, model.freeze: {freeze}}}" for freeze in freezes))
    assert kinds(cell) == expected


def test_statistics_that_followed_the_batches_rule_features_out_later_too() -> None:
    cell = cell_of("{epochs: 1, model.batchnorm: train}", "{epochs: 1}")
    assert kinds(cell) == [("pixels", 0, 0), ("pixels", 0, 2)]


def test_augmentation_leaves_frozen_blocks_as_they_were() -> None:
    cell = cell_of("{epochs: 1, augment: [{kind: horizontal_flip}]}", "{epochs: 1}")
    assert kinds(cell) == [("pixels", 0, 0), ("features", 2, 0)]


def test_equal_rows_are_shared_with_cells_without_phases() -> None:
    (plain,) = compiled(BASE).cells
    cell = cell_of(TWO, "{epochs: 1, model.freeze: none}", "{epochs: 1}")
    assert cell.chain.phases[0].recipe == plain.phase.recipe
    assert {phase.recipe.kind for phase in cell.chain.phases[1:]} == {"pixels"}


def test_explain_names_the_phase_and_what_it_cannot_keep() -> None:
    text = f"{WITHOUT_EPOCHS}  phases: [{{epochs: 2, model.freeze: none}}, {TWO}]\n"
    graph = compiled(text)
    explanation = explain("small", graph, plan_work(graph, FakeStore()))
    assert [stage.what for stage in explanation.stages if stage.kind == "train"] == [
        "net, ten, epochs 1-2, phase 1 of 2 (8 px)",
        "net, ten, epochs 3-4, phase 2 of 2 (8 px)",
    ]
    assert [[reason.text for reason in kept.reasons] for kept in explanation.kept] == [
        ["freeze: none leaves every block trainable"],
        ["an earlier phase changed stem to body, frozen only now"],
    ]


def test_every_phase_is_scored_through_its_own_transform() -> None:
    graph = compiled(f"{WITHOUT_EPOCHS}  phases: [{TWO}, {{epochs: 1, transform.size: 16}}]\n")
    store = FakeStore()
    store.run(plan_work(graph, store), keeps_every_state=True)
    new = compiled(
        f"{WITHOUT_EPOCHS}  phases: [{TWO}, {{epochs: 1, transform.size: 16}}]\n",
        None,
        "base.test=twenty",
    )
    work = plan_work(new, store)
    assert [(job.epochs, job.phase.transform["size"]) for job in work.scoring] == [
        ((3,), 16),
        ((1, 2), 8),
    ]
    assert {rows.recipe.row_shape for rows in work.rows} == {(6,)}
    assert len(work.rows) == 2


def test_an_axis_that_every_phase_overrides_changes_nothing() -> None:
    plan = load_plan(
        f"{WITHOUT_EPOCHS}  phases: [{{epochs: 1, batch_size: 3}}]\ngrid: {{batch_size: [4, 5]}}\n"
    )
    cells = expand(plan)
    assert len(cells) == 1
    assert {warning.rule for warning in lint(plan, cells)} == {"idle-axis", "unused-data"}


class _GrowingFacts(FakeFacts):
    def architecture(self, settings: CellSettings, *, classes: int) -> Any:
        found = super().architecture(settings, classes=classes)
        size: Any = settings.transform
        return type(found)(**{**vars(found), "params_total": 100 * size.size})


def test_a_model_that_grows_with_the_image_cannot_be_resized() -> None:
    with pytest.raises(PlanError, match=r"phases\[1\]: the parameters of net .*800 and then 1,600"):
        cell_of("{epochs: 1}", "{epochs: 1, transform.size: 16}", facts=_GrowingFacts())


def test_a_batch_larger_than_the_data_is_refused_in_any_phase() -> None:
    with pytest.raises(PlanError, match=r"got 11 for the 10 of ten"):
        cell_of("{epochs: 1}", "{epochs: 1, batch_size: 11}")


def test_settings_at_the_end_are_those_of_the_last_phase() -> None:
    plan = load_plan(
        f"{WITHOUT_EPOCHS}  phases: [{TWO}, {{epochs: 3, transform.size: 64, batch_size: 2}}]\n"
    )
    end = settings_at_end(plan.base.model_dump(mode="json"))
    assert (end["epochs"], end["transform"]["size"], end["batch_size"]) == (5, 64, 2)
    plain = load_plan(BASE).base.model_dump(mode="json")
    assert settings_at_end(plain) == plain


def _labels(cells: Iterable[CompiledCell]) -> list[str]:
    return [cell.cell.label for cell in cells]


def test_phases_can_be_an_axis_zipped_and_included() -> None:
    text = f"""{WITHOUT_EPOCHS}  phases: [{{epochs: 1}}]
zip:
  - seed: [1, 2]
    phases: [{{short: [{{epochs: 1}}]}}, {{long: [{TWO}, {{epochs: 9}}]}}]
include:
  - mine: {{phases: [{{epochs: 2}}, {{epochs: 3, batch_size: 2}}]}}
"""
    graph = compile_cells(expand(load_plan(text)), FakeFacts())
    assert _labels(graph.cells) == ["seed 1 · short", "seed 2 · long", "mine"]
    assert [len(cell.chain.states) for cell in graph.cells] == [1, 11, 5]


def test_a_plateau_begins_anew_with_every_phase() -> None:
    plateau = "schedule: {kind: plateau, metric: train.loss}"
    whole = cell_of(f"{{epochs: 5, {plateau}}}")
    kept = cell_of(f"{{epochs: 2, {plateau}}}", f"{{epochs: 3, optimizer_state: keep, {plateau}}}")
    assert shared(kept, whole) == 2
