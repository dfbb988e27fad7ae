"""Cells to stages: what shares, what does not, and what a key depends on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foodvision.errors import DataError, ModelError, PlanError, TrainingError
from foodvision.hashing import digest
from foodvision.plan.composites import composites
from foodvision.plan.expand import expand
from foodvision.plan.facts import Architecture, ImageSet, Part
from foodvision.plan.graph import Graph, compile_cells
from foodvision.plan.left_out import causes
from foodvision.plan.load import load_plan
from foodvision.plan.schema import Plan
from foodvision.plan.work import FinishedSpan, Work, plan_work

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from foodvision.plan.cell_schema import CellSettings
    from foodvision.plan.graph import Recipe

BASE = """
name: small
data:
  ten: {source: ten.zip}
  twenty: {source: twenty.zip}
base:
  data: ten
  test: ten
  model: {arch: net, weights: ./net.pth, freeze: backbone}
  transform: {size: 8, channels: 1}
  batch_size: 4
  epochs: 5
  optimizer: {kind: adam, lr: 0.001}
"""


@dataclass
class FakeFacts:
    """Ten images in `ten`, twenty in `twenty`, of which eight are also in `ten`."""

    environment_facts: dict[str, Any] = field(default_factory=lambda: {"torch": "2.14.1"})
    weights: str | None = "w" * 64
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    machine: str = "here"

    def environment(self, settings: CellSettings) -> Mapping[str, Any]:
        own = {"precision": settings.precision, "threads": settings.threads}
        return {**self.environment_facts, **own}

    def processor(self, settings: CellSettings) -> str:
        return f"{self.machine} {settings.device}"

    def decoder(self) -> Mapping[str, Any]:
        return {"pillow": "12"}

    def image_set(self, settings: CellSettings, part: Part) -> ImageSet:
        name = (settings.test if part == "test" else settings.data).name
        count, first = {"ten": (10, 0), "twenty": (20, 2)}[name]
        images = tuple(f"{part}-{number}" for number in range(first, first + count))
        if part != "test" and settings.data.count:
            images = images[: settings.data.count]
        return ImageSet(
            digest=digest(images),
            images=images,
            dataset=name,
            part=part,
            classes=self.classes.get(name, ("a", "b")),
        )

    def transform(self, settings: CellSettings) -> Mapping[str, Any]:
        chosen: Any = settings.transform
        return {
            "size": chosen.size,
            "resize_to": None,
            "interpolation": chosen.interpolation,
            "channels": chosen.channels,
            "mean": [0.0] * chosen.channels,
            "std": [1.0] * chosen.channels,
        }

    def fitted(self, settings: CellSettings) -> CellSettings:
        return settings

    def weights_digest(self, settings: CellSettings) -> str | None:
        return self.weights if settings.model.weights != "none" else None

    def architecture(self, settings: CellSettings, *, classes: int) -> Architecture:
        frozen = {"none": 0, "backbone": 2}.get(str(settings.model.freeze), 1)
        return Architecture(
            blocks=("stem", "body", "head"),
            frozen_count=frozen,
            prefix_count=0 if settings.model.batchnorm == "train" else frozen,
            feature_shape=(6,),
            params_total=100,
            params_trainable=100 - 40 * frozen,
            model_bytes=400,
            suffix_buffer_bytes=0,
        )


@dataclass
class FakeStore:
    """Finished stages, as plain sets."""

    train: dict[str, FinishedSpan] = field(default_factory=dict)
    score: dict[str, frozenset[int]] = field(default_factory=dict)
    rows: dict[str, set[str]] = field(default_factory=dict)

    def has(self, kind: str, key: str) -> bool:
        return key in (self.train if kind == "train" else self.score)

    def span(self, key: str) -> FinishedSpan:
        return self.train[key]

    def scored_epochs(self, key: str) -> frozenset[int]:
        return self.score.get(key, frozenset())

    def missing_rows(self, recipe: Recipe, images: Iterable[str]) -> list[str]:
        known = self.rows.get(recipe.key, set())
        return [image for image in dict.fromkeys(images) if image not in known]

    def run(self, work: Work, *, keeps_every_state: bool) -> None:
        """Do all the work: afterwards nothing of it is missing."""
        from foodvision.plan.graph import score_key

        for rows in work.rows:
            self.rows.setdefault(rows.recipe.key, set()).update(rows.missing)
        for job in work.training:
            span = job.span
            held = FinishedSpan(
                span.key,
                span.parent,
                span.first_epoch,
                span.last_epoch,
                keeps_every_state,
                trained_to=span.last_epoch,
            )
            inner = span.chain.states[span.first_epoch - 1 : span.last_epoch]
            for key in inner if keeps_every_state else [span.key]:
                self.train.setdefault(key, held)
            epochs = frozenset(range(span.first_epoch, span.last_epoch + 1))
            self.score |= {score_key(span.key, images.digest): epochs for images in job.scored}
        self.score |= {job.score_key: frozenset(job.epochs) for job in work.scoring}


def compiled(text: str = BASE, facts: FakeFacts | None = None, *overrides: str) -> Graph:
    plan = load_plan(text, list(overrides))
    return compile_cells(expand(plan), facts or FakeFacts())


def grid(axes: str) -> str:
    return f"{BASE}grid:\n{axes}"


def test_ten_epochs_continue_five() -> None:
    graph = compiled(grid("  epochs: [5, 10]\n"))
    five, ten = graph.cells
    assert ten.spans == (five.final, ten.final)
    assert [span.epochs for span in graph.spans.values()] == [5, 5]
    assert graph.spans[ten.final].parent == five.final


@pytest.mark.parametrize("asked", ["image_set", "weights_digest", "architecture", "environment"])
@pytest.mark.parametrize("error", [DataError, ModelError, TrainingError])
def test_a_cell_of_which_a_fact_cannot_be_had_is_left_out(
    asked: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = grid("  data: [ten, twenty]\n  epochs: [5, 10]\n")
    text += "ensembles: {few: {members: {where: {data: ten}}}, all: {kind: mean}}\n"
    plan = load_plan(text)
    cells = expand(plan)
    made = composites(plan, cells)
    whole = compile_cells(cells, FakeFacts(), made)
    honest = getattr(FakeFacts, asked)

    def answer(facts: FakeFacts, settings: CellSettings, *given: Any, **more: Any) -> Any:
        if settings.data.name == "twenty":
            raise error("twenty: nothing is there")
        return honest(facts, settings, *given, **more)

    monkeypatch.setattr(FakeFacts, asked, answer)
    graph = compile_cells(cells, FakeFacts(), made)
    assert [each.cell.label for each in graph.cells] == ["ten · 5 epochs", "ten · 10 epochs"]
    assert graph.cells == whole.cells[:2]
    assert [each.composite.label for each in graph.composites] == ["few"]
    assert graph.spans.keys() == {key for cell in whole.cells[:2] for key in cell.spans}
    assert causes(graph.left_out) == {
        "twenty: nothing is there": ["twenty · 5 epochs", "twenty · 10 epochs", "all"]
    }
    work = plan_work(graph, FakeStore())
    assert work.predicted == plan_work(compile_cells(cells[:2], FakeFacts()), FakeStore()).predicted


def test_a_bad_plan_is_no_missing_fact() -> None:
    with pytest.raises(PlanError, match="classes that it learned"):
        compiled(grid("  data: [ten, twenty]\n"), FakeFacts(classes={"twenty": ("a", "c")}))


def test_longer_cell_first_is_cut_at_the_shorter_one() -> None:
    graph = compiled(grid("  epochs: [10, 5]\n"))
    assert [(span.first_epoch, span.last_epoch) for span in graph.spans.values()] == [
        (1, 5),
        (6, 10),
    ]


def test_cells_with_other_learning_rates_share_no_epoch() -> None:
    graph = compiled(grid("  optimizer.lr: [0.1, 0.2]\n"))
    first, second = graph.cells
    assert set(first.chain.states).isdisjoint(second.chain.states)
    assert first.phase.recipe == second.phase.recipe


def test_classic_grid_does_four_passes_instead_of_sixty() -> None:
    axes = "  data: [ten, twenty]\n  epochs: [5, 10]\n  model: {a: {arch: a}, b: {arch: b}}\n"
    graph = compiled(grid(axes))
    work = plan_work(graph, FakeStore())
    assert work.naive.epochs == 60
    assert work.predicted.epochs == 40
    union = 22 + 10  # training images of both sets, and the test images of `ten`
    assert work.predicted.prefix_images == 2 * union
    assert [job.recipe.kind for job in work.rows] == ["pixels", "features", "features"]
    assert work.predicted.decoded_images == union


def test_single_reader_decodes_without_keeping_pixels() -> None:
    work = plan_work(compiled(), FakeStore())
    assert [job.recipe.kind for job in work.rows] == ["features"]
    assert work.predicted.decoded_images == 20


def test_unfrozen_cells_read_pixels() -> None:
    work = plan_work(compiled(BASE, None, "base.model.freeze=none"), FakeStore())
    assert [job.recipe.kind for job in work.rows] == ["pixels"]
    assert work.predicted.prefix_images == 0


def test_training_statistics_of_frozen_blocks_rule_features_out() -> None:
    work = plan_work(compiled(BASE, None, "base.model.batchnorm=train"), FakeStore())
    assert [job.recipe.kind for job in work.rows] == ["pixels"]


def test_augmentation_rules_features_out_and_is_in_every_setting_of_the_key() -> None:
    steps = [
        "none",
        "[{kind: horizontal_flip}]",
        "[{kind: horizontal_flip, p: 0.4}]",
        "[{kind: vertical_flip}]",
        "[{kind: vertical_flip}, {kind: horizontal_flip}]",
        "[{kind: horizontal_flip}, {kind: vertical_flip}]",
        "[{kind: random_crop, padding: 2}]",
        "[{kind: random_crop, padding: 3}]",
        "[{kind: random_resized_crop}]",
        "[{kind: random_resized_crop, scale: [0.5, 1]}]",
        "[{kind: random_crop, padding: 0.5}]",
        "[{kind: rotation, degrees: 10}]",
        "[{kind: rotation, degrees: 20}]",
        "[{kind: affine, degrees: 10}]",
        "[{kind: affine, shear: 10}]",
        "[{kind: perspective}]",
        "[{kind: perspective, distortion_scale: 0.3}]",
        "[{kind: color_jitter, hue: 0.1}]",
        "[{kind: color_jitter, brightness: 0.1}]",
        "[{kind: grayscale}]",
        "[{kind: gaussian_blur, kernel_size: 3}]",
        "[{kind: gaussian_blur, kernel_size: 5}]",
        "[{kind: random_erasing}]",
        "[{kind: random_erasing, ratio: [1, 1]}]",
        "[{kind: trivial_augment}]",
        "[{kind: rand_augment}]",
        "[{kind: rand_augment, magnitude: 10}]",
        "[{kind: auto_augment}]",
        "[{kind: auto_augment, policy: svhn}]",
        "standard",
        "strong",
    ]
    graphs = [compiled(BASE, None, f"base.augment={step}") for step in steps]
    assert len({graph.cells[0].chain.states[0] for graph in graphs}) == len(steps)
    for graph in graphs[1:]:
        work = plan_work(graph, FakeStore())
        assert [job.recipe.kind for job in work.rows] == ["pixels"]
        assert work.predicted.prefix_images == 0
        phase = graph.cells[0].phase
        assert phase.prefix_count == 0
        assert phase.inputs["frozen_blocks"] == ("stem", "body")


def test_mixing_rules_features_out_and_is_in_every_setting_of_the_key() -> None:
    ways = [
        "none",
        "{kind: mixup}",
        "{kind: cutmix}",
        "{kind: either}",
        "{kind: mixup, alpha: 0.2}",
        "{kind: mixup, p: 0.5}",
    ]
    graphs = [compiled(BASE, None, f"base.mix={way}") for way in ways]
    assert len({graph.cells[0].chain.states[0] for graph in graphs}) == len(ways)
    assert {graph.cells[0].phase.recipe.kind for graph in graphs[1:]} == {"pixels"}
    assert "mix" not in compiled().cells[0].phase.inputs  # keys are as before there was mixing


def test_mixing_one_class_is_refused() -> None:
    facts = FakeFacts(classes={"ten": ("pizza",)})
    with pytest.raises(PlanError, match=r"mix \(mixup\) needs .*, ten has one: pizza"):
        compiled(BASE, facts, "base.mix={kind: mixup}")


def test_a_preset_shares_all_stages_with_its_list_of_steps() -> None:
    steps = "[{kind: random_crop, padding: 0.125}, {kind: horizontal_flip}]"
    named, spelled = (
        compiled(BASE, None, f"base.augment={augment}") for augment in ("standard", steps)
    )
    assert named.cells[0].chain.states == spelled.cells[0].chain.states


def test_features_above_the_limit_are_run_live_under_the_same_keys() -> None:
    graph = compiled()
    live = plan_work(graph, FakeStore(), features_bytes=100)
    kept = plan_work(graph, FakeStore())
    assert [(job.recipe.kind, job.live) for job in live.rows] == [
        ("pixels", False),
        ("features", True),
    ]
    assert [job.span.key for job in live.training] == [job.span.key for job in kept.training]
    assert live.predicted.prefix_images == 5 * (10 + 10)


@pytest.mark.parametrize("keeps", [True, False], ids=["small states", "large states"])
def test_nothing_is_missing_after_a_run(keeps: bool) -> None:
    graph = compiled(grid("  epochs: [5, 10]\n  optimizer.lr: [0.1, 0.2]\n"))
    store = FakeStore()
    store.run(plan_work(graph, store), keeps_every_state=keeps)
    again = plan_work(graph, store)
    assert again.is_empty
    assert again.predicted.epochs == 0
    assert again.hits


def test_longer_plan_trains_only_what_is_new() -> None:
    store = FakeStore()
    store.run(plan_work(compiled(), store), keeps_every_state=False)
    work = plan_work(compiled(BASE, None, "base.epochs=20"), store)
    assert work.predicted.epochs == 15
    assert work.predicted.prefix_images == 0
    assert work.training[0].span.parent == compiled().cells[0].final


def test_shorter_plan_reads_kept_states() -> None:
    store = FakeStore()
    store.run(plan_work(compiled(BASE, None, "base.epochs=20"), store), keeps_every_state=True)
    work = plan_work(compiled(), store)
    assert work.predicted.epochs == 0
    assert [job.epochs for job in work.scoring] == [(5,)]


def test_shorter_plan_trains_again_where_states_were_too_large_to_keep() -> None:
    store = FakeStore()
    store.run(plan_work(compiled(BASE, None, "base.epochs=20"), store), keeps_every_state=False)
    assert plan_work(compiled(), store).predicted.epochs == 5


@pytest.mark.parametrize(("keeps", "epochs"), [(True, 0), (False, 5)])
def test_new_test_set_asks_for_scores(keeps: bool, epochs: int) -> None:
    store = FakeStore()
    store.run(plan_work(compiled(), store), keeps_every_state=keeps)
    work = plan_work(compiled(BASE, None, "base.test=twenty"), store)
    assert work.predicted.epochs == epochs
    assert work.predicted.scored_images == 5 * 20
    store.run(work, keeps_every_state=keeps)
    assert plan_work(compiled(BASE, None, "base.test=twenty"), store).is_empty


def test_cells_wait_for_what_they_need_only() -> None:
    graph = compiled(grid("  epochs: [5, 10]\n"))
    work = plan_work(graph, FakeStore())
    five, ten = (work.waiting[cell.cell.cell_id] for cell in graph.cells)
    assert five == (graph.cells[0].final,)
    assert ten == (graph.cells[0].final, graph.cells[1].final)


def test_other_classes_in_the_test_set_are_refused() -> None:
    facts = FakeFacts(classes={"twenty": ("a", "c")})
    with pytest.raises(PlanError, match=r"a, b in training and a, c in test"):
        compiled(BASE, facts, "base.test=twenty")


def test_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(PlanError, match=r"got 11 for the 10 of ten"):
        compiled(BASE, None, "base.batch_size=11")


def test_renamed_classes_are_another_result_of_the_same_training() -> None:
    before = compiled().cells[0]
    after = compiled(BASE, FakeFacts(classes={"ten": ("pizza", "steak")})).cells[0]
    assert before.final == after.final
    assert before.score_keys == after.score_keys
    assert before.result_key != after.result_key


# What the plan says around its cells, each with another value; the settings of cells are changed in
# tests/tasks/test_settings_in_keys.py.
AROUND = {
    "name": "other",
    "description": "words",
    "save": "none",
    "rank": "{by: test.loss}",
    "limits": "{cells: 5}",
    "tta": "{flips: [identity, horizontal_flip]}",
    "ensembles": "{both: {kind: mean}}",
    "evaluate": "{latency: true}",
    "record": "{steps: true, gradient_norm: true, tensorboard: false}",
    "alerts": "[{when: failed}, {when: train.loss > 3, on: epochs, stop: true}]",
}
MAKES_CELLS = {"data", "base", "grid", "zip", "exclude", "include", "when", "seeds", "search"}


def test_every_section_of_a_plan_makes_cells_or_stands_around_them() -> None:
    assert {*AROUND, *MAKES_CELLS} == set(Plan.model_fields)


@pytest.mark.parametrize(
    "override", [f"{name}={value}" for name, value in AROUND.items()] + ["data.ten.source=mirror"]
)
def test_what_is_said_around_cells_is_in_no_key(override: str) -> None:
    before = compiled(BASE, None, "seeds=2").cells[0]
    after = compiled(BASE, None, "seeds=2", override).cells[0]
    assert before.chain.states == after.chain.states
    assert before.result_key == after.result_key


def test_keys_are_those_of_earlier_versions() -> None:
    """Whoever kept results finds them again: settings that came later act only where they are set.

    These change with a stage's code version, and with nothing else.
    """
    kept = {
        (): ("62c22c17377c7e47", "c46ff1fc97e098a4"),
        ("base.optimizer={kind: sgd, lr: 0.1, momentum: 0.9}",): (
            "20bea4f5deb972b9",
            "9bd6ae322269f31f",
        ),
        ("base.augment=[{kind: horizontal_flip}]", "base.micro_batch=2"): (
            "8685ade1fc3fe50c",
            "789fa342e84ee133",
        ),
        ("base.model.freeze=none", "base.precision=bfloat16"): (
            "600d8329257df11b",
            "20121523f647997e",
        ),
    }
    for overrides, expected in kept.items():
        (cell,) = compiled(BASE, None, *overrides).cells
        assert (cell.cell.cell_id, cell.final[:16]) == expected


def shared_epochs(*schedules: str) -> int:
    """Return how many leading epochs the cells of several schedules share."""
    chains = [
        compiled(BASE, None, f"base.schedule={one}").cells[0].chain.states for one in schedules
    ]
    return sum(len(set(states)) == 1 for states in zip(*chains, strict=False))


@pytest.mark.parametrize(
    ("schedule", "shared"),
    [
        ("{kind: constant}", 5),
        ("{kind: piecewise, rates: {3: 0.1, 5: 0.001}}", 2),
        ("{kind: step, step_size: 3}", 3),
        ("{kind: multi_step, milestones: [1, 4]}", 1),
        ("{kind: cosine_restarts, t_0: 5}", 1),  # a cosine begins at the constant rate
        ("{kind: cosine, interval: step}", 0),
        ("{kind: one_cycle, cycle_momentum: false}", 0),
        ("{kind: constant, warmup: {steps: 2}}", 0),
    ],
)
def test_a_schedule_shares_the_epochs_whose_rates_are_those_of_the_constant_one(
    schedule: str, shared: int
) -> None:
    assert shared_epochs("{kind: constant}", schedule) == shared


def test_schedules_share_as_far_as_their_rates_do() -> None:
    assert (
        shared_epochs("{kind: step, step_size: 2}", "{kind: multi_step, milestones: [2, 3]}") == 3
    )
    assert (
        shared_epochs("{kind: step, step_size: 2}", "{kind: step, step_size: 2, gamma: 0.2}") == 2
    )


def test_a_plateau_is_in_the_key_of_every_epoch_with_all_that_it_watches() -> None:
    ways = [
        "{}",
        "{factor: 0.2}",
        "{patience: 3}",
        "{min_delta: 0.1}",
        "{cooldown: 1}",
        "{min_lr: 0.0001}",
        "{metric: valid.accuracy}",
        "{metric: test.loss}",
        "{metric: train.loss}",
    ]
    schedules = [way.replace("{", "{kind: plateau, ") for way in ways]
    valid = BASE.replace("epochs: 5", "epochs: 5\n  valid: 0.2")
    cells = [compiled(valid, None, f"base.schedule={one}").cells[0] for one in schedules]
    constant = compiled(valid).cells[0]
    assert len({cell.chain.states[0] for cell in [*cells, constant]}) == len(ways) + 1
    overrides = ("base.schedule={kind: plateau, metric: test.loss}", "base.test=twenty")
    other = compiled(valid, None, *overrides).cells[0]
    assert other.chain.states[0] != cells[7].chain.states[0]
    longer = compiled(valid, None, "base.schedule={kind: plateau}", "base.epochs=9").cells[0]
    assert longer.chain.states[:5] == cells[0].chain.states


def test_a_plateau_is_scored_on_what_it_watches_whatever_is_known() -> None:
    text = BASE.replace("epochs: 5", "epochs: 5\n  valid: 0.2") + "  schedule: {kind: plateau}\n"
    store = FakeStore()
    store.run(plan_work(compiled(text), store), keeps_every_state=False)
    work = plan_work(compiled(text, None, "base.test=twenty"), store)
    (job,) = work.training
    assert [images.part for images in job.scored] == ["test", "valid"]
    assert work.predicted.scored_images == 5 * (20 + 10)


def test_a_moved_momentum_is_part_of_the_key_of_every_epoch() -> None:
    still, moved, other = (
        compiled(BASE, None, f"base.schedule={{kind: one_cycle, {words}}}").cells[0].chain
        for words in ("cycle_momentum: false", "max_momentum: 0.95", "max_momentum: 0.96")
    )
    assert still.learning_rates == moved.learning_rates == other.learning_rates
    assert len({still.states[0], moved.states[0], other.states[0]}) == 3


@pytest.mark.parametrize(
    ("schedule", "is_prefix"),
    [
        ("{kind: step, step_size: 2}", True),
        ("{kind: multi_step, milestones: [2, 4]}", True),
        ("{kind: constant, warmup: {epochs: 1}}", True),
        ("{kind: cosine}", False),
        ("{kind: one_cycle}", False),
    ],
)
def test_five_epochs_are_continued_where_the_schedule_does_not_know_the_end(
    schedule: str, is_prefix: bool
) -> None:
    graph = compiled(grid("  epochs: [5, 10]\n"), None, f"base.schedule={schedule}")
    five, ten = graph.cells
    assert (five.final in ten.chain.states) is is_prefix


@pytest.mark.parametrize(
    ("overrides", "shared"),
    [
        (("base.model.lr_scale=0.5",), 0),
        (("base.model.lr_scale=1",), 5),
        (("base.model.lr_scale={backbone: 0.5}",), 0),
        (("base.model.lr_scale={stem: 1}",), 5),
    ],
)
def test_rates_of_blocks_share_what_is_the_same(overrides: tuple[str, ...], shared: int) -> None:
    plain, scaled = (
        compiled(BASE, None, "base.model.freeze=none", *more).cells[0].chain.states
        for more in ((), overrides)
    )
    assert sum(left == right for left, right in zip(plain, scaled, strict=True)) == shared


def test_equal_rates_of_every_step_and_block_are_one_key_however_they_are_written() -> None:
    first, second = (
        compiled(BASE, None, "base.model.freeze=none", f"base.model.lr_scale={scale}").cells[0]
        for scale in ("0.5", "{stem: 0.25, body: 0.5}")
    )
    assert first.cell.cell_id != second.cell.cell_id
    assert first.final == second.final


def test_blocks_that_swap_their_rates_are_another_training() -> None:
    scales = ("{stem: 0.5}", "{body: 0.5}", "{head: 0.5}", "{backbone: 0.5}")
    graphs = [
        compiled(BASE, None, "base.model.freeze=none", f"base.model.lr_scale={scale}")
        for scale in scales
    ]
    assert len({graph.cells[0].final for graph in graphs}) == 4


def test_unknown_blocks_are_told_with_those_there_are() -> None:
    with pytest.raises(
        PlanError, match=r"none called 'stm'. Did you mean 'stem'\? Blocks of net: stem, body, head"
    ):
        compiled(BASE, None, "base.model.lr_scale={stm: 0.1}")


def test_accumulated_batches_make_fewer_steps() -> None:
    work = plan_work(compiled(BASE, None, "base.accumulate=2"), FakeStore())
    assert work.predicted.steps == 5 * 2  # batches of 4, 4 and 2
    assert work.predicted.train_images == 5 * 10


def test_more_batches_than_there_are_cannot_be_accumulated() -> None:
    with pytest.raises(PlanError, match=r"accumulate must be at most .* got 4 for the 3 of ten"):
        compiled(BASE, None, "base.accumulate=4")


@pytest.mark.parametrize(
    ("facts", "same"),
    [
        (FakeFacts(environment_facts={"torch": "2.15.0"}), False),
        (FakeFacts(weights="x" * 64), False),
        (FakeFacts(), True),
    ],
    ids=["another torch", "other weights", "the same"],
)
def test_facts_act_on_keys(facts: FakeFacts, same: bool) -> None:
    before, after = compiled(), compiled(BASE, facts)
    assert (before.cells[0].final == after.cells[0].final) is same
    assert (before.cells[0].phase.recipe == after.cells[0].phase.recipe) is same


def test_random_weights_are_drawn_from_the_seed_and_so_are_features() -> None:
    axes = "  seed: [1, 2]\n"
    drawn = compiled(grid(axes), None, "base.model.weights=none")
    given_weights = compiled(grid(axes))
    assert len({cell.phase.recipe.key for cell in drawn.cells}) == 2
    assert len({cell.phase.recipe.key for cell in given_weights.cells}) == 1


@settings(max_examples=30, deadline=None)
@given(
    epochs=st.lists(st.integers(1, 12), min_size=1, max_size=5, unique=True),
    order=st.randoms(use_true_random=False),
)
def test_order_of_cells_changes_neither_keys_nor_work(epochs: list[int], order: Any) -> None:
    shuffled = list(epochs)
    order.shuffle(shuffled)
    one, two = (compiled(grid(f"  epochs: {axis}\n")) for axis in (epochs, shuffled))
    assert {cell.final for cell in one.cells} == {cell.final for cell in two.cells}
    assert set(one.spans) == set(two.spans)
    predicted = plan_work(one, FakeStore()).predicted
    assert predicted == plan_work(two, FakeStore()).predicted
    assert predicted.epochs == max(epochs)


def test_pixels_that_are_kept_already_are_not_decoded_again() -> None:
    store = FakeStore()
    store.run(
        plan_work(compiled(BASE, None, "base.model.freeze=none"), store), keeps_every_state=False
    )
    frozen = plan_work(compiled(), store)
    assert frozen.predicted.prefix_images == 20
    assert frozen.predicted.decoded_images == 0
