"""The main job on real photos and weights: `make acceptance`, where they are.

The figures to be near to were measured with a hand-written loop (frozen backbone in eval mode,
Adam 0.001, batch 32, 224 px); other random numbers and 75 test images explain the tolerance.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.commands import WEIGHTS, command

if TYPE_CHECKING:
    import subprocess

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
PLAN = ROOT / "plans" / "mobilenet.yaml"
KNOWN = {
    ("mobilenet_v2", "pizza_10", 5): 0.853,
    ("mobilenet_v2", "pizza_10", 10): 0.893,
    ("mobilenet_v2", "pizza_20", 5): 0.920,
    ("mobilenet_v2", "pizza_20", 10): 0.933,
    ("squeezenet1_0", "pizza_10", 5): 0.760,
    ("squeezenet1_0", "pizza_10", 10): 0.867,
    ("squeezenet1_0", "pizza_20", 5): 0.893,
    ("squeezenet1_0", "pizza_20", 10): 0.907,
}
TOLERANCE = 0.08
ARCHIVES = {"pizza_10": "pizza_steak_sushi.zip", "pizza_20": "pizza_steak_sushi_20_percent.zip"}


@pytest.fixture(scope="module")
def ran(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = command("foodvision", "run", str(PLAN), environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def leaderboard(
    ran: subprocess.CompletedProcess[str], environment: dict[str, str]
) -> list[dict[str, Any]]:
    done = command("foodvision", "rank", str(PLAN), "--json", environment=environment)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def test_run_is_clean(ran: subprocess.CompletedProcess[str]) -> None:
    said = ran.stdout + ran.stderr
    assert "Traceback" not in said
    assert "ERROR" not in said


def test_eight_cells_land_near_the_known_figures(leaderboard: list[dict[str, Any]]) -> None:
    found = {(row["arch"], row["data"], row["epochs"]): row["test_accuracy"] for row in leaderboard}
    assert found.keys() == KNOWN.keys()
    far = {cell: found[cell] for cell in KNOWN if abs(found[cell] - KNOWN[cell]) > TOLERANCE}
    assert not far
    assert max(found.values()) >= 0.90


def test_shared_work_is_what_was_predicted(
    leaderboard: list[dict[str, Any]], environment: dict[str, str]
) -> None:
    done = command(
        "foodvision",
        "sql",
        "select predicted_json, counted_json from runs",
        "--json",
        environment=environment,
    )
    (run,) = json.loads(done.stdout)
    predicted, counted = json.loads(run["predicted_json"]), json.loads(run["counted_json"])
    assert predicted == counted
    assert counted["epochs"] == 40  # instead of 60
    assert counted["decoded_images"] == 691  # instead of 27,000


def test_accuracies_are_those_of_a_plain_loop(
    leaderboard: list[dict[str, Any]], shared: Path
) -> None:
    """The same mathematics without sharing, with the same random numbers: two images at most."""
    far = {}
    for arch, weights in WEIGHTS.items():
        for data, archive in ARCHIVES.items():
            plain, images = _plain_loop(
                arch, shared / "weights" / weights, shared / "data" / archive
            )
            for row in leaderboard:
                if (row["arch"], row["data"]) == (arch, data):
                    different = abs(plain[row["epochs"]] - row["test_accuracy"]) * images
                    if different > 2.01:
                        far[row["label"]] = (row["test_accuracy"], plain[row["epochs"]])
    assert not far


def _plain_loop(arch: str, weights: Path, archive: Path) -> tuple[dict[int, float], int]:
    """Train a stock model's head for ten epochs; return test accuracies by epoch, test images."""
    import torch
    import torchvision
    from torch.nn import functional

    from foodvision.models.architectures import make_head_layer, seeded
    from foodvision.plan.schedules import batch_sizes
    from foodvision.train.dropout import portable_dropout
    from foodvision.train.generators import epoch_generator

    model = getattr(torchvision.models, arch)(weights=None).eval()
    model.load_state_dict(torch.load(weights, weights_only=True))
    with seeded(42, "head"):
        layer = make_head_layer(model.classifier[1], 3)
    model.classifier[1] = layer
    rows = {}
    for split in ("train", "test"):
        images, labels = _images(archive, split)
        with torch.inference_mode():
            rows[split] = torch.cat([model.features(part) for part in images.split(32)]), labels
    pool = arch.startswith("mobilenet")

    def head(features: torch.Tensor) -> torch.Tensor:
        pooled = features.mean(dim=(2, 3)) if pool else features
        return model.classifier(pooled).flatten(1)

    optimizer = torch.optim.Adam(layer.parameters(), lr=0.001)
    features, labels = (rows["train"][0].clone(), rows["train"][1])
    found = {}
    for epoch in range(1, 11):
        model.train()
        order = torch.randperm(len(labels), generator=epoch_generator(42, epoch, "shuffle"))
        with portable_dropout(model, 42, epoch):
            for batch in order.split(list(batch_sizes(len(labels), 32))):
                optimizer.zero_grad()
                functional.cross_entropy(head(features[batch]), labels[batch]).backward()
                optimizer.step()
        model.eval()
        with torch.inference_mode():
            right = head(rows["test"][0]).argmax(1) == rows["test"][1]
        found[epoch] = right.double().mean().item()
    return found, len(rows["test"][1])


def test_saved_models_load_into_stock_torchvision(
    leaderboard: list[dict[str, Any]], shared: Path
) -> None:
    """Nothing of FoodVision is used to load and score: what a user would write."""
    import torch
    import torchvision

    sets = {name: _images(shared / "data" / file, "test") for name, file in ARCHIVES.items()}
    for row in leaderboard:
        model = getattr(torchvision.models, row["arch"])(num_classes=3)
        model.load_state_dict(torch.load(row["model_path"], weights_only=True))
        images, labels = sets[row["data"]]
        with torch.inference_mode():
            predicted = torch.cat([model.eval()(part) for part in images.split(32)]).argmax(1)
        accuracy = (predicted == labels).double().mean().item()
        assert accuracy == pytest.approx(row["test_accuracy"], abs=1e-12), row["label"]


def _images(archive: Path, split: str) -> tuple[Any, Any]:
    """Return images [N, 3, 224, 224] and labels [N], in the order of the files' digests."""
    import tempfile
    import zipfile

    import torch
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.Resize((224, 224)),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(archive).extractall(folder)
        found = ImageFolder(Path(folder) / split, transform)
        found.samples.sort(key=lambda one: hashlib.sha256(Path(one[0]).read_bytes()).digest())
        pairs = list(found)
    return torch.stack([image for image, _ in pairs]), torch.tensor([label for _, label in pairs])


def test_best_model_names_photos_from_outside(
    leaderboard: list[dict[str, Any]], environment: dict[str, str], shared: Path, tmp_path: Path
) -> None:
    photos = [str(shared / "data" / name) for name in ("sushi.jpg", "pizza-dad.jpeg")]
    done = command("foodvision", "predict", *photos, "--json", environment=environment)
    assert done.returncode == 0, done.stderr
    assert [row["class"] for row in json.loads(done.stdout)] == ["sushi", "pizza"]


def test_unchanged_plan_costs_nothing(
    leaderboard: list[dict[str, Any]], environment: dict[str, str]
) -> None:
    done = command("foodvision", "run", str(PLAN), environment=environment)
    assert done.returncode == 0
    query = "select counted_json from runs order by started_at desc limit 1"
    (run,) = json.loads(
        command("foodvision", "sql", query, "--json", environment=environment).stdout
    )
    assert set(json.loads(run["counted_json"]).values()) == {0}


def test_same_through_prefect_deployment_run(
    leaderboard: list[dict[str, Any]],
    environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A server, a served deployment, and Prefect's own command; everything is computed anew."""
    home = tmp_path_factory.mktemp("served home")
    served = environment | {"FOODVISION_HOME": str(home)}
    up = command("foodvision", "up", "--detach", environment=served)
    assert up.returncode == 0, up.stdout + up.stderr
    try:
        url = up.stdout.partition("PREFECT_API_URL=")[2].split()[0]
        done = command(
            "prefect",
            "deployment",
            "run",
            "foodvision/grid",
            "--param",
            "plan=plans/mobilenet.yaml",
            "--watch",
            environment=served | {"PREFECT_API_URL": url},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        rows = json.loads(
            command("foodvision", "rank", str(PLAN), "--json", environment=served).stdout
        )
    finally:
        command("foodvision", "down", environment=served)
    exact = [(row["label"], row["result_key"], row["test_loss"]) for row in rows]
    assert exact == [(row["label"], row["result_key"], row["test_loss"]) for row in leaderboard]
