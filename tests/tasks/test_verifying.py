"""Verify: equal where the contract holds, and sure to notice where it does not."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import warehouse
from foodvision.errors import DataError, PlanError, StoreError
from foodvision.hashing import file_sha256
from foodvision.plan.load import load_plan
from foodvision.progress import SILENT
from foodvision.stages import training
from foodvision.train.snapshots import load_snapshot, save_snapshot
from tasks.compiling import compile_plan
from tasks.loading import rebuild
from tasks.verifying import Certificate, choose_cells, verify_plan
from tests.running import Ran, make_photos, plan_text, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from foodvision.store import Entry

GRID = "grid:\n  epochs: [1, 3]\n  optimizer.lr: [0.01, 0.02]\n"
HEAD = "{arch: tiny_vgg, hidden: 4, freeze: backbone}"
WHOLE = "{arch: tiny_vgg, hidden: 4, freeze: none}"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("it's here") / "photos", train=4, test=2)


@pytest.fixture(scope="module")
def template(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("a home")
    run(plan_text(photos, GRID, model=HEAD), home)
    return home


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    """A home of its own in which the grid has been run."""
    return shutil.copytree(template, tmp_path / "it's a home", symlinks=True)


def verify(
    text: str, ran: Ran, *, cells: int | None = None, overrides: Sequence[str] = ()
) -> list[Certificate]:
    plan = load_plan(text, list(overrides))
    return verify_plan(plan, ran.home, cells=cells, seed=3, progress=SILENT)


def rewrite(entry: Entry) -> None:
    """Make a manifest fit its files again, as somebody who hides a change would."""
    manifest = json.loads((entry.path / "manifest.json").read_text())
    for name in manifest["files"]:
        path = entry.path / name
        manifest["files"][name] = {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
    (entry.path / "manifest.json").write_text(json.dumps(manifest))


def poison_rows(ran: Ran, kind: str) -> None:
    (entry,) = ran.store.entries(f"{kind}-shard")
    rows = np.load(entry.path / "rows.npy")
    rows.flat[0] += 1
    np.save(entry.path / "rows.npy", rows)
    rewrite(entry)
    assert ran.store.verify(f"{kind}-shard", entry.key) == []


def change_note(ran: Ran, kind: str, key: str, change: Any) -> None:
    path = ran.store.get(kind, key).path / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest["notes"])
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize("model", [HEAD, WHOLE], ids=["head", "whole"])
def test_every_cell_of_a_shared_grid_is_equal_alone(
    model: str, photos: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = plan_text(photos, GRID, model=model, valid=0.25)
    ran = run(text, home)
    monkeypatch.setattr(training, "KEPT_SNAPSHOT_BYTES", 0)
    certificates = verify(text, ran)
    assert [certificate.difference for certificate in certificates] == [None] * 4
    assert [certificate.label for certificate in certificates] == [
        compiled.cell.label for compiled in ran.graph.cells
    ]
    rows = "features" if model == HEAD else "pixels"
    for certificate in certificates:
        assert certificate.is_equal
        assert {comparison.what for comparison in certificate.compared} == {
            "weights",
            "optimizer",
            "epochs",
            "logits.valid",
            "logits.test",
            rows,
        }
        assert all(comparison.stored == comparison.again for comparison in certificate.compared)
    assert not list((ran.home.store / "tmp").iterdir())


def test_a_poisoned_features_shard_is_noticed_by_what_was_trained_on_it(
    photos: Path, home: Path
) -> None:
    text = plan_text(photos, GRID, model=HEAD)
    poison_rows(run(text, home), "features")
    later = ["base.batch_size=4"]  # heads that rest on the same, poisoned, rows
    ran = run(text, home, later)
    (certificate,) = verify(text, ran, cells=1, overrides=later)
    differing = {c.what for c in certificate.compared if not c.is_equal}
    assert differing == {"features", "weights", "optimizer", "epochs", "logits.test"}
    assert certificate.difference is not None
    assert "features: 1 of 18 images, by up to 1" in certificate.difference
    assert "epochs: from epoch 1 on, " in certificate.difference


def test_rows_poisoned_after_the_training_are_noticed_too(photos: Path, home: Path) -> None:
    text = plan_text(photos, GRID, model=HEAD)
    ran = run(text, home)
    poison_rows(ran, "features")
    (certificate,) = verify(text, ran, cells=1)
    assert certificate.difference == "features: 1 of 18 images, by up to 1"


def test_each_kind_of_difference_is_named(photos: Path, home: Path) -> None:
    text = plan_text(photos, model=HEAD)
    ran = run(text, home)
    (compiled,) = ran.graph.cells
    entry = ran.store.get("train", compiled.final)
    path = entry.path / "states.safetensors"
    snapshot = load_snapshot(path)
    name = min(name for name, tensor in snapshot.model.items() if tensor.is_floating_point())
    snapshot.model[name].view(-1)[0] += 0.5
    moment = min(name for name, tensor in snapshot.optimizer.items() if tensor.numel() > 1)
    snapshot.optimizer[moment].view(-1)[0] = float("nan")
    path.unlink()
    save_snapshot(path, snapshot)
    rewrite(entry)
    score = ran.store.get("score", compiled.score_keys["test"])
    logits = np.load(score.path / "logits.npy")
    logits[2] += 0.25
    np.save(score.path / "logits.npy", logits)
    rewrite(score)
    change_note(ran, "score", score.key, lambda notes: notes["rows"][0].update(accuracy=2.0))
    (certificate,) = verify(text, ran)
    found = {c.what: c.difference for c in certificate.compared if c.difference}
    assert found.keys() == {"weights", "optimizer", "epochs", "logits.test"}
    assert found["weights"] == f"1 of {len(snapshot.model)} tensors, {name} by up to 0.5"
    assert f"{moment} by up to nan" in found["optimizer"]
    assert found["epochs"].startswith("from epoch 2 on, test_accuracy: 2.0 and ")
    assert found["logits.test"] == "1 of 6 images, by up to 0.25"


def test_diverged_cells_are_equal_too(photos: Path, tmp_path: Path) -> None:
    text = plan_text(photos, "grid: {epochs: [1, 3]}\n", model=WHOLE)
    text = text.replace("{kind: adam, lr: 0.01}", "{kind: sgd, lr: 1.0e+30}")
    certificates = verify(text, run(text, tmp_path))
    assert [certificate.difference for certificate in certificates] == [None, None]


def test_certificates_are_loaded_and_survive_a_rebuild(photos: Path, home: Path) -> None:
    text = plan_text(photos, GRID, model=HEAD)
    ran = run(text, home)
    verify(text, ran, cells=1)
    poison_rows(ran, "features")
    verify(text, ran, cells=2)
    loaded = warehouse.query(
        ran.home.warehouse, "from certificates order by checked_at"
    ).to_pylist()
    assert [row["is_equal"] for row in loaded] == [True, False, False]
    assert {row["result_key"] for row in loaded} <= {c.result_key for c in ran.graph.cells}
    assert json.loads(loaded[0]["compared_json"])[0]["what"] == "features"
    assert json.loads(loaded[0]["environment_json"])["torch"] == torch.__version__.split("+")[0]
    assert all(row["seconds"] > 0 for row in loaded)
    ran.home.warehouse.unlink()
    (ran.home.journals / "run.jsonl").unlink()  # these tests' runner writes no whole journal
    rebuild(ran.home)
    again = warehouse.query(ran.home.warehouse, "from certificates order by checked_at").to_pylist()
    assert again == loaded


def test_cells_without_a_result_are_not_chosen(
    photos: Path, template: Path, tmp_path: Path
) -> None:
    text = plan_text(photos, GRID, model=HEAD)
    label = run(text, template).graph.cells[1].cell.label
    ran = run(text, tmp_path, only=[label])
    assert [certificate.label for certificate in verify(text, ran)] == [label]


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        pytest.param(
            ["base.seed=99"],
            PlanError,
            "none of the 4 cells has a result.*foodvision run",
            id="run",
        ),
        pytest.param(
            ["data.photos.split=0.5"], DataError, "has not been fetched yet", id="not fetched"
        ),
    ],
)
def test_a_plan_that_never_ran_is_refused(
    overrides: list[str], error: type[Exception], message: str, photos: Path, home: Path
) -> None:
    text = plan_text(photos, GRID, model=HEAD)
    ran = run(text, home)
    with pytest.raises(error, match=message):
        verify(text, ran, overrides=overrides)


@pytest.mark.parametrize(
    ("hidden", "error", "message"),
    [
        (False, DataError, "has not been fetched yet"),  # set aside: its size is another
        (True, StoreError, r"needs the images as they were fetched, but .*\.png"),
    ],
    ids=["damaged", "exchanged"],
)
def test_other_images_than_those_that_were_fetched_are_refused(
    hidden: bool, error: type[Exception], message: str, photos: Path, home: Path
) -> None:
    text = plan_text(photos, GRID, model=HEAD)
    ran = run(text, home)
    (entry,) = ran.store.entries("dataset")
    one, other = sorted(entry.path.glob("files/*/*/*.png"))[:2]
    content = other.read_bytes()
    one.unlink()
    one.write_bytes(content)
    if hidden:
        rewrite(entry)
    with pytest.raises(error, match=message):
        verify(text, ran)


def test_a_training_that_fails_is_no_equality(
    photos: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = plan_text(photos, GRID, model=HEAD)
    ran = run(text, home)

    def fail(*args: object, **kwargs: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(training, "train_epochs", fail)
    (certificate,) = verify(text, ran, cells=1)
    assert certificate.difference == "it could not be trained again: MemoryError: no room"
    assert not certificate.compared


def test_choice_depends_on_the_seed_and_on_nothing_else(photos: Path, home: Path) -> None:
    text = plan_text(photos, "grid: {optimizer.lr: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}\n", model=HEAD)
    place = run(plan_text(photos, GRID, model=HEAD), home).home
    cells = list(compile_plan(load_plan(text), place).graph.cells)
    assert choose_cells(cells, None, seed=0) == cells == choose_cells(cells, 99, seed=0)
    two, three = (choose_cells(cells, count, seed=0) for count in (2, 3))
    assert len(two) == 2
    assert all(cell in three for cell in two)
    turned = choose_cells(cells[::-1], 2, seed=0)
    assert turned[::-1] == two
    drawn = {tuple(cell.cell.label for cell in choose_cells(cells, 2, seed=s)) for s in range(20)}
    assert len(drawn) > 5
