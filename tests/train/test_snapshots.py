from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from foodvision.errors import StoreError, TrainingError
from foodvision.train.engine import TrainSettings, train_epochs
from foodvision.train.optimizers import ClipSettings
from foodvision.train.snapshots import (
    Snapshot,
    changing_names,
    load_snapshot,
    save_snapshot,
    save_snapshots,
)
from tests.train.toys import (
    OPTIMIZERS,
    assert_equal_snapshots,
    toy_data,
    toy_network,
    train_toy,
    without_seconds,
)


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder with 'quotes' and スペース"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_ten_epochs_are_five_a_file_and_five_more(optimizer: str, odd_folder: Path) -> None:
    whole, at_ten = train_toy(toy_network(), optimizer=optimizer, last_epoch=10)
    first, at_five = train_toy(toy_network(), optimizer=optimizer, last_epoch=5)
    save_snapshot(odd_folder / "five.safetensors", at_five)
    torch.rand(3)
    second, again = train_toy(
        toy_network(),
        optimizer=optimizer,
        first_epoch=6,
        last_epoch=10,
        snapshot=load_snapshot(odd_folder / "five.safetensors"),
    )
    assert without_seconds(first + second) == without_seconds(whole)
    assert_equal_snapshots(again, at_ten)


@pytest.mark.parametrize(
    "settings",
    [
        {"ema_decay": 0.9},
        {"accumulate": 2, "ema_decay": 0.5},
        {"clip": ClipSettings(norm=0.1)},
        {"accumulate": 3, "clip": ClipSettings(value=0.01), "micro_batch": 3},
        {"lr_factors": {"1.weight": 0.1, "7.bias": 2.0}},
    ],
    ids=str,
)
def test_four_epochs_are_two_a_file_and_two_more(settings: Any, tmp_path: Path) -> None:
    whole, at_four = train_toy(toy_network(), last_epoch=4, **settings)
    first, at_two = train_toy(toy_network(), last_epoch=2, **settings)
    save_snapshot(tmp_path / "two", at_two)
    second, again = train_toy(
        toy_network(),
        first_epoch=3,
        last_epoch=4,
        snapshot=load_snapshot(tmp_path / "two"),
        **settings,
    )
    assert without_seconds(first + second) == without_seconds(whole)
    assert_equal_snapshots(again, at_four)
    assert bool(at_four.moved) is ("ema_decay" in settings)


def test_a_phase_that_keeps_its_optimizer_goes_on_beside_the_average() -> None:
    whole = train_toy(toy_network(), last_epoch=4, ema_decay=0.9)[1]
    half = train_toy(toy_network(), last_epoch=2, ema_decay=0.9)[1]
    rest: dict[str, Any] = {"first_epoch": 3, "last_epoch": 4, "snapshot": half}
    kept = train_toy(toy_network(), optimizer_start="keep", ema_decay=0.9, **rest)[1]
    assert_equal_snapshots(kept, whole)
    bare = train_toy(toy_network(), optimizer_start="keep", **rest)[1]
    assert all(torch.equal(bare.model[name], whole.moved[name]) for name in bare.model)
    assert bare.moved == {}


def test_a_phase_with_a_fresh_optimizer_begins_from_the_average() -> None:
    half = train_toy(toy_network(), last_epoch=2, ema_decay=0.9)[1]
    averaged = Snapshot(half.epoch, half.model, half.optimizer)
    rest: dict[str, Any] = {"first_epoch": 3, "last_epoch": 3, "optimizer_start": "reset"}
    for decay in (0.9, None):
        fresh = train_toy(toy_network(), snapshot=half, ema_decay=decay, **rest)[1]
        expected = train_toy(toy_network(), snapshot=averaged, ema_decay=decay, **rest)[1]
        assert_equal_snapshots(fresh, expected)


def test_between_epochs_the_module_holds_the_average() -> None:
    inputs, labels = toy_data()
    network = toy_network()
    epochs = train_epochs(
        network,
        inputs,
        labels,
        settings=TrainSettings(8, 5, OPTIMIZERS["adam"], 0.1, ema_decay=0.9),
        learning_rates=[[0.01] * 5] * 2,
        first_epoch=1,
        snapshot=None,
        enter_train_mode=nn.Module.train,
    )
    for _, take in epochs:
        snapshot = take()
        state = network.state_dict()
        assert all(torch.equal(state[name], snapshot.model[name]) for name in snapshot.model)
    moved = network.state_dict()
    assert all(torch.equal(moved[name], snapshot.moved[name]) for name in snapshot.moved)
    assert not torch.equal(snapshot.model["7.weight"], snapshot.moved["7.weight"])


def test_another_process_goes_on_to_the_bit(odd_folder: Path) -> None:
    begin, end = odd_folder / "begin", odd_folder / "end"
    save_snapshot(begin, train_toy(toy_network(), last_epoch=2)[1])
    found = subprocess.run(
        [sys.executable, "-m", "tests.train.toys", begin, end, "adam"],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert_equal_snapshots(load_snapshot(end), train_toy(toy_network(), last_epoch=5)[1])
    assert found.stdout.strip() == "without torch's compiler", "which takes seconds to import"


def test_channels_last_weights_go_on_to_the_bit() -> None:
    def network() -> nn.Module:
        return toy_network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    whole = train_toy(network(), last_epoch=4)[1]
    half = train_toy(network(), last_epoch=2)[1]
    resumed = network()
    rest = train_toy(resumed, first_epoch=3, last_epoch=4, snapshot=half)[1]
    assert_equal_snapshots(rest, whole)
    assert resumed[1].weight.is_contiguous(memory_format=torch.channels_last)


def test_a_snapshot_keeps_what_training_changes_and_nothing_else() -> None:
    snapshot = train_toy(toy_network(), optimizer="adam", last_epoch=1)[1]
    trained = ["1.weight", "1.bias", "2.weight", "2.bias", "7.weight", "7.bias"]
    buffers = ["2.running_mean", "2.running_var", "2.num_batches_tracked"]
    assert sorted(snapshot.model) == sorted(trained + buffers)
    assert sorted(snapshot.optimizer) == sorted(
        f"{name}.{state}" for name in trained for state in ("step", "exp_avg", "exp_avg_sq")
    )
    assert snapshot.optimizer["7.weight.step"].item() == 5


def test_tied_parameters_are_kept_under_both_names() -> None:
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    assert changing_names(tied) == ("0.weight", "0.bias", "1.weight", "1.bias")
    tied[0].weight.requires_grad_(False)
    assert changing_names(tied) == ("0.bias", "1.bias")


def test_a_snapshot_is_a_copy(tmp_path: Path) -> None:
    network = toy_network()
    snapshot = train_toy(network, last_epoch=1)[1]
    before = {name: tensor.clone() for name, tensor in snapshot.model.items()}
    train_toy(network, last_epoch=1)
    assert all(torch.equal(snapshot.model[name], before[name]) for name in before)


def test_going_on_leaves_the_snapshot_as_it_was() -> None:
    snapshot = train_toy(toy_network(), last_epoch=1)[1]
    before = {name: tensor.clone() for name, tensor in snapshot.optimizer.items()}
    train_toy(toy_network(), first_epoch=2, last_epoch=3, snapshot=snapshot)
    assert all(torch.equal(snapshot.optimizer[name], before[name]) for name in before)


def test_equal_snapshots_are_equal_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_snapshot(tmp_path / name, train_toy(toy_network(), last_epoch=1)[1])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_files_are_those_of_the_library_itself(tmp_path: Path) -> None:
    tensors = {
        "weight": torch.arange(6, dtype=torch.float32).view(2, 3),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "steps": torch.tensor(7),
        "nothing": torch.zeros(0, 4),
        "flags": torch.tensor([True, False]),
    }
    save_snapshot(tmp_path / "ours", Snapshot(2, tensors, {}))
    about = {"foodvision": '{"epochs": [2], "format": "foodvision-snapshot-2"}'}
    named = {f"2.model.{name}": tensor for name, tensor in tensors.items()}
    save_file(named, tmp_path / "theirs", metadata=about)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_several_epochs_share_a_file(tmp_path: Path) -> None:
    kept = {last: train_toy(toy_network(), last_epoch=last)[1] for last in (1, 2)}
    save_snapshots(tmp_path / "states", kept)
    assert_equal_snapshots(load_snapshot(tmp_path / "states", 1), kept[1])
    assert_equal_snapshots(load_snapshot(tmp_path / "states"), kept[2])
    with pytest.raises(StoreError, match="the snapshot of epoch 3, found those of 1, 2"):
        load_snapshot(tmp_path / "states", 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "must be a whole safetensors file, found: .*No such file"),
        (b"", "must be a whole safetensors file.*Remove the entry"),
        (b"\x80\x04pickle", "must be a whole safetensors file"),
    ],
)
def test_files_that_are_no_snapshots(content: bytes | None, message: str, odd_folder: Path) -> None:
    path = odd_folder / "snapshot"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=message):
        load_snapshot(path)


def test_a_cut_file_is_no_snapshot(tmp_path: Path) -> None:
    save_snapshot(tmp_path / "whole", train_toy(toy_network(), last_epoch=1)[1])
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:-7])
    with pytest.raises(StoreError, match="must be a whole safetensors file"):
        load_snapshot(tmp_path / "cut")


def test_tensors_of_others_are_no_snapshot(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "other")
    with pytest.raises(StoreError, match="must have the format foodvision-snapshot-2, found None"):
        load_snapshot(tmp_path / "other")


def _without(snapshot: Snapshot, name: str) -> Snapshot:
    model = {key: value for key, value in snapshot.model.items() if key != name}
    return Snapshot(snapshot.epoch, model, snapshot.optimizer)


def _with(snapshot: Snapshot, name: str, shape: tuple[int, ...]) -> Snapshot:
    return Snapshot(snapshot.epoch, snapshot.model | {name: torch.zeros(shape)}, snapshot.optimizer)


def _with_state(snapshot: Snapshot, name: str, shape: tuple[int, ...]) -> Snapshot:
    return Snapshot(snapshot.epoch, snapshot.model, snapshot.optimizer | {name: torch.zeros(shape)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: _without(s, "7.bias"), "found no 7.bias, which the model trains"),
        (lambda s: _with(s, "9.weight", (2,)), "found 9.weight, which the model does not have"),
        (
            lambda s: _with(s, "7.bias", (4,)),
            r"7.bias has the shape \(3,\), the snapshot.s has \(4,\)",
        ),
        (
            lambda s: _with_state(s, "0.bias.step", ()),
            "found 0.bias, which the model does not have or does not train",
        ),
        (
            lambda s: _with_state(s, "7.bias.exp_avg", (4,)),
            r"adam needs the states .*found .*'exp_avg': \(4,\)",
        ),
    ],
)
def test_snapshots_of_other_models(change: object, message: str) -> None:
    snapshot = train_toy(toy_network(), last_epoch=1)[1]
    with pytest.raises(TrainingError, match=message):
        train_toy(
            toy_network(),
            first_epoch=2,
            last_epoch=2,
            snapshot=change(snapshot),  # type: ignore[operator]
        )
