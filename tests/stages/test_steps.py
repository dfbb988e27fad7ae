"""Steps in the store: noted where a plan asks, shared with the span, never a reason to train."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from foodvision.stages.steps import chain_steps, has_steps
from tasks.step_rows import step_columns
from tests.running import Ran, make_photos, plan_text, run

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "{arch: tiny_vgg, hidden: 4, freeze: backbone}"
NOTING = "record.steps=true"
STEPS = 5  # in an epoch of 24 images in batches of 5


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos") / "photos")


def steps_of(ran: Ran, label: str | None = None) -> pa.Table:
    (cell,) = (each for each in ran.graph.cells if label in (None, each.cell.label))
    return chain_steps(ran.store, cell.curve_key, last_epoch=cell.curve_end)


def epoch_rows(ran: Ran) -> dict[int, dict[str, float]]:
    rows = [row for entry in ran.store.entries("train") for row in entry.notes["epochs"]]
    return {row["epoch"]: row for row in rows}


def test_cells_share_the_steps_of_the_epochs_that_they_share(photos: Path, tmp_path: Path) -> None:
    text = plan_text(photos, "grid: {epochs: [2, 4]}\n", model=HEAD)
    ran = run(text, tmp_path, [NOTING])
    long, short = steps_of(ran, "4 epochs"), steps_of(ran, "2 epochs")
    assert long.column("step").to_pylist() == [*range(1, 4 * STEPS + 1)]
    assert short.equals(long.slice(0, 2 * STEPS))
    assert long.column("gradient_norm").null_count == len(long)
    means = long.append_column("sum", pa.compute.multiply(long["loss"], long["images"]))
    for row in means.group_by("epoch").aggregate([("sum", "sum"), ("images", "sum")]).to_pylist():
        mean = row["sum_sum"] / row["images_sum"]
        assert mean == pytest.approx(epoch_rows(ran)[row["epoch"]]["train_loss"])


def test_what_is_in_the_store_without_steps_is_not_trained_again(
    photos: Path, tmp_path: Path
) -> None:
    text = plan_text(photos, model=HEAD)
    plain = run(text, tmp_path, ["base.epochs=2"])
    noted = run(text, tmp_path, ["base.epochs=2", NOTING])
    assert noted.work.is_empty
    assert len(steps_of(noted)) == 0
    assert step_columns("key", plain.graph.cells[0].final, None, plain.store) is None
    longer = run(text, tmp_path, ["base.epochs=4", NOTING])
    assert longer.counted.epochs == 2
    assert steps_of(longer).column("step").to_pylist() == [*range(2 * STEPS + 1, 4 * STEPS + 1)]
    assert [has_steps(entry) for entry in longer.store.entries("train")].count(True) == 1


def test_a_rule_that_cuts_a_span_cuts_its_steps(photos: Path, tmp_path: Path) -> None:
    stop = "base.stop={metric: train.loss, patience: 1, min_delta: 100}"
    ran = run(
        plan_text(photos, model=HEAD, epochs=6), tmp_path, [stop, "record.gradient_norm=true"]
    )
    (cell,) = ran.graph.cells
    assert cell.decision is not None
    assert (cell.decision.epoch, cell.curve_end) == (1, 2)
    assert steps_of(ran).column("epoch").to_pylist() == [1] * STEPS + [2] * STEPS
    assert steps_of(ran).column("gradient_norm").null_count == 0
    for entry in ran.store.entries("train"):
        assert has_steps(entry)


def test_groups_and_losses_that_are_not_finite(photos: Path, tmp_path: Path) -> None:
    model = "{arch: tiny_vgg, hidden: 4, freeze: 1, lr_scale: 0.5}"
    wild = "{kind: sgd, lr: 1.0e+38}"
    ran = run(plan_text(photos, model=model, optimizer=wild), tmp_path, [NOTING])
    table = steps_of(ran)
    assert not all(map(math.isfinite, table.column("loss").to_pylist()))
    rates = json.loads(table.column("group_rates_json")[0].as_py())
    assert sorted(rates.values()) == [0.5e38, 1e38]
    (cell,) = ran.graph.cells
    rows = step_columns("key", cell.final, None, ran.store)
    assert rows is not None
    assert set(rows.column("result_key").to_pylist()) == {"key"}
