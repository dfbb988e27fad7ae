"""What the courses train, by shipped plans on small shares of the real data: `make acceptance`.

The whole of it stands in docs/results.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.commands import command

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

CIFAR10 = ("data.cifar10.source=cifar10_jpg.zip", "base.threads=1")
FASHION_MNIST = (
    "base.data={name: fashion, fraction: 0.1}",
    "base.test={name: fashion, fraction: 0.1}",
    "seeds=2",
    "save=all",
)
TRANSFER = (
    *CIFAR10,
    "base.data={name: cifar10, count: 300}",
    "base.test={name: cifar10, count: 200}",
    "base.valid=0.01",
    "base.model.arch=mobilenet_v2",
    "base.model.weights=${FOODVISION_MOBILENET_V2}",
    "base.transform.size=64",
    "base.epochs=2",
)
AUGMENTATION = (
    *CIFAR10,
    "base.data={name: cifar10, count: 400}",
    "base.test={name: cifar10, count: 200}",
    "base.valid=0.01",
    "base.epochs=15",
    "grid.augment=[none, strong]",
    "include=[]",
)


def board(plan: str, overrides: tuple[str, ...], environment: dict[str, str]) -> dict[str, Any]:
    """Run a shipped plan; return its leaderboard by label."""
    words = [f"plans/{plan}.yaml"]
    for override in overrides:
        words += ["--set", override]
    done = command("foodvision", "run", *words, "--quiet", environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    ranked = command("foodvision", "rank", *words, "--json", environment=environment)
    return {row["label"]: row for row in json.loads(ranked.stdout)}


@pytest.fixture(scope="module")
def fashion(environment: dict[str, str]) -> dict[str, Any]:
    return board("fashion_mnist", FASHION_MNIST, environment)


def test_fashion_mnist_is_learned_by_the_three_networks(fashion: dict[str, Any]) -> None:
    """A tenth of the images: by a linear map always; the others may die at this rate."""
    assert len(fashion) == 6
    best: dict[str, float] = {}
    for row in fashion.values():
        best[row["arch"]] = max(best.get(row["arch"], 0), row["test_accuracy"])
    assert all(accuracy > 0.6 for accuracy in best.values()), best
    linear = [row["test_accuracy"] for row in fashion.values() if row["arch"] == "linear"]
    assert min(linear) > 0.6


def test_saved_and_loaded_models_have_the_same_loss_to_the_bit(
    fashion: dict[str, Any], environment: dict[str, str]
) -> None:
    """Weights from the file, images from the data set, the loss over all of them again."""
    import torch

    from foodvision.data.datasets import open_dataset
    from foodvision.data.selection import select
    from foodvision.evaluate.metrics import score_logits
    from foodvision.home import Home
    from foodvision.store import Store

    store = Store(Home(Path(environment["FOODVISION_HOME"])).store)
    (key,) = store.keys("dataset")
    dataset = open_dataset(store, key)
    chosen = select(dataset, "test", valid=0, fraction=0.1, count=None)
    assert len(chosen.rows) == 1000
    for label in ("linear · seed 42", "mlp_relu · seed 42", "tiny_vgg · seed 42"):
        row = fashion[label]
        logits = _logits(Path(row["model_path"]), [dataset.read(int(n)) for n in chosen.rows])
        score = score_logits(logits, torch.from_numpy(chosen.labels))
        assert (score.loss, score.accuracy) == (row["test_loss"], row["test_accuracy"]), label


def _logits(path: Path, images: list[Any]) -> Any:
    import numpy as np
    import torch

    from foodvision.data.transforms import Transform, normalize, to_pixels
    from foodvision.evaluate.predictions import predict_logits
    from foodvision.models.saved import load_saved
    from foodvision.train.determinism import deterministic
    from tests.train.toys import TensorInputs

    module, card = load_saved(path)
    transform = Transform.from_json(card["transform"])
    pixels = torch.from_numpy(np.stack([to_pixels(image, transform) for image in images]))
    with deterministic(threads=1, device="cpu"):
        return predict_logits(module, TensorInputs(normalize(pixels, transform)))


def test_more_of_a_network_may_be_trained_on_cifar10(environment: dict[str, str]) -> None:
    rows = board("cifar10_transfer", TRANSFER, environment)
    trained = {label: row["params_trainable"] for label, row in rows.items()}
    assert trained["frozen"] < trained["most"] < trained["early"] < trained["none"]
    assert trained["none"] == trained["none, one rate"] == rows["none"]["params_total"]
    assert rows["none"]["test_loss"] != rows["none, one rate"]["test_loss"]
    found = {label: row["test_accuracy"] for label, row in rows.items()}
    assert max(found.values()) > 0.2, found  # guessing: 0.1


def test_strong_augmentation_narrows_the_gap(environment: dict[str, str]) -> None:
    rows = board("augmentation", AUGMENTATION, environment)
    gaps = {label: row["overfitting_gap"] for label, row in rows.items()}
    assert gaps["strong"] < gaps["none"] - 0.1, gaps


def test_a_model_is_accurate_and_small_and_its_speed_is_known(
    environment: dict[str, str], record_property: Callable[[str, object], None]
) -> None:
    """The course's own requirements: 0.93 on the 20 % set, 100 MB; for 100 ms see the docs."""
    overrides = (
        "zip=[{data: [pizza_20], test: [pizza_20]}]",
        "grid.model={mobilenet_v2: {arch: mobilenet_v2}}",
        "grid.epochs=[10]",
        "base.threads=1",
        "evaluate.latency=true",
    )
    (row,) = board("mobilenet", overrides, environment).values()
    record_property("latency_ms", row["latency_ms"])  # told, not judged: the machine may be busy
    assert row["test_accuracy"] >= 0.93
    assert row["model_bytes"] < 100e6
    assert Path(row["model_path"]).stat().st_size < 100e6
    assert 0 < row["latency_ms"] <= row["latency_p95_ms"]
    assert row["peak_memory_32_bytes"] > row["peak_memory_bytes"] > row["model_bytes"]
