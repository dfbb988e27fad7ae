from __future__ import annotations

import gzip
import hashlib
import json
import struct
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import torchvision.datasets

from foodvision.data import downloads
from foodvision.data.torchvision_sets import SETS
from foodvision.errors import DataError
from tests.data.makers import picture

_TRAIN, _TEST = 30, 20


def _idx_files(seed: int = 1) -> dict[str, bytes]:
    random = np.random.default_rng(seed)
    files = {}
    for name, count in (("train", _TRAIN), ("t10k", _TEST)):
        images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        files[f"{name}-images-idx3-ubyte"] = (
            struct.pack(">4B3I", 0, 0, 8, 3, count, 28, 28) + images.tobytes()
        )
        files[f"{name}-labels-idx1-ubyte"] = (
            struct.pack(">4BI", 0, 0, 8, 1, count) + labels.tobytes()
        )
    return files


@pytest.fixture
def mirror(place, monkeypatch):
    path = place.root / "mirror"
    path.mkdir()
    monkeypatch.setenv("FOODVISION_SOURCES", str(path))
    return path


def _write_fashion(mirror, seed=1):
    raw = mirror / "FashionMNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for name, content in _idx_files(seed).items():
        (raw / name).write_bytes(content)


def test_a_set_in_the_mirror_needs_no_network(place, mirror, monkeypatch):
    monkeypatch.setattr(torchvision.datasets.MNIST, "download", None)
    _write_fashion(mirror)
    dataset = place.fetch("torchvision:FashionMNIST")
    published = torchvision.datasets.FashionMNIST(mirror, train=False)
    assert dataset.classes == tuple(sorted(published.classes))
    assert dataset.table.column("split").to_pylist() == ["test"] * _TEST + ["train"] * _TRAIN
    for row in range(_TEST):
        image = dataset.read(row)
        number = int(dataset.table.column("path")[row].as_py().rpartition("/")[2]) - _TRAIN
        expected, label = published[number]
        assert image.mode == "L"
        np.testing.assert_array_equal(np.asarray(image), np.asarray(expected))
        assert (
            dataset.classes[dataset.table.column("label")[row].as_py()] == published.classes[label]
        )
    assert "test/T-shirt-top/000030" in dataset.table.column("path").to_pylist()


def test_a_set_in_the_mirror_is_watched(place, mirror):
    _write_fashion(mirror)
    key = place.fetch("torchvision:FashionMNIST").key
    assert place.known("torchvision:FashionMNIST").key == key
    _write_fashion(mirror, seed=2)
    assert place.known("torchvision:FashionMNIST") is None
    assert place.fetch("torchvision:FashionMNIST").key != key


def test_a_set_of_files_keeps_its_files(place, mirror):
    base = mirror / "food-101"
    for split, seeds in (("train", (1, 2)), ("test", (3,))):
        names = {name: [f"{name}/{seed}" for seed in seeds] for name in ("sushi", "apple_pie")}
        (base / "meta").mkdir(parents=True, exist_ok=True)
        (base / "meta" / f"{split}.json").write_text(json.dumps(names))
        for offset, (name, images) in enumerate(names.items()):
            (base / "images" / name).mkdir(parents=True, exist_ok=True)
            for image in images:
                seed = int(image.rpartition("/")[2]) + 10 * offset
                picture(seed, (20 + seed, 30)).save(base / "images" / f"{image}.jpg")
    dataset = place.fetch("torchvision:Food101")
    assert dataset.classes == ("apple_pie", "sushi")
    paths = dataset.table.column("path").to_pylist()
    assert paths[0] == "test/apple_pie/3.jpg"
    original = (base / "images" / "apple_pie" / "3.jpg").read_bytes()
    assert dataset.table.column("sha256")[0].as_py() == hashlib.sha256(original).hexdigest()
    assert dataset.read(0).size == (33, 30)
    assert (base / "images" / "sushi" / "1.jpg").is_file()


def test_a_set_without_files_of_its_own_is_written_without_loss(place, mirror):
    base = mirror / "caltech101" / "101_ObjectCategories"
    for name in ("crab", "BACKGROUND_Google", "Faces"):
        (base / name).mkdir(parents=True)
        (mirror / "caltech101" / "Annotations" / name).mkdir(parents=True)
        for number in range(1, 5):
            picture(number, (20 + number, 16)).save(base / name / f"image_{number:04d}.jpg")
    with pytest.raises(DataError, match="Set `split"):
        place.fetch("torchvision:Caltech101")
    dataset = place.fetch("torchvision:Caltech101", split=0.25)
    published = torchvision.datasets.Caltech101(mirror)
    assert dataset.classes == ("Faces", "crab")
    assert len(dataset) == len(published) == 8
    row = dataset.table.column("path").to_pylist().index("crab/000007.png")
    np.testing.assert_array_equal(np.asarray(dataset.read(row)), np.asarray(published[7][0]))


@pytest.fixture
def publisher():
    """Serves files by name."""
    files: dict[str, bytes] = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.rpartition("/")[2]
            asked.append(name)
            self.send_response(200 if name in files else 404)
            self.send_header("Content-Length", str(len(files.get(name, b""))))
            self.end_headers()
            self.wfile.write(files.get(name, b""))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", files, asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def published_fashion(publisher, monkeypatch):
    address, files, asked = publisher
    packed = {f"{name}.gz": gzip.compress(content) for name, content in _idx_files().items()}
    resources = [
        (name, hashlib.md5(content, usedforsecurity=False).hexdigest())
        for name, content in packed.items()
    ]
    monkeypatch.setattr(torchvision.datasets.FashionMNIST, "mirrors", [address])
    monkeypatch.setattr(torchvision.datasets.FashionMNIST, "resources", resources)
    monkeypatch.setattr(downloads, "RetryPolicy", lambda: _IMPATIENT)
    return packed, files, asked


_IMPATIENT = downloads.RetryPolicy(attempts=1, first_wait_seconds=0, longest_wait_seconds=0)


def test_a_set_is_downloaded_once(place, published_fashion):
    packed, files, asked = published_fashion
    files.update(packed)
    key = place.fetch("torchvision:FashionMNIST").key
    assert sorted(asked) == sorted(packed)
    assert place.fetch("torchvision:FashionMNIST", refresh=True).key == key
    place.store.remove("dataset", key)
    assert place.fetch("torchvision:FashionMNIST").key == key
    assert sorted(asked) == sorted(packed)


def test_packed_files_in_the_mirror_are_used_too(place, mirror, published_fashion):
    packed, _, asked = published_fashion
    for name, content in packed.items():
        (mirror / name).write_bytes(content)
    assert len(place.fetch("torchvision:FashionMNIST")) == _TRAIN + _TEST
    assert asked == []
    assert sorted(path.name for path in mirror.iterdir()) == sorted(packed)


def test_a_set_that_cannot_be_had_says_what_to_do(place, published_fashion):
    with pytest.raises(DataError, match="answered 404"):
        place.fetch("torchvision:FashionMNIST")


@pytest.mark.parametrize(
    ("file", "content", "match"),
    [
        ("t10k-images-idx3-ubyte", b"", "answered 404"),
        ("t10k-images-idx3-ubyte", b"no images at all", "answered 404"),
        ("t10k-images-idx3-ubyte", struct.pack(">4B3I", 0, 0, 8, 3, 20, 28, 28), "answered 404"),
        (
            "train-labels-idx1-ubyte",
            struct.pack(">4BI", 0, 0, 8, 1, 2) + b"\0\1",
            "every image must have its label",
        ),
    ],
    ids=["empty", "junk", "cut short", "too few labels"],
)
def test_a_damaged_set_in_the_mirror_is_none(
    place, mirror, published_fashion, file, content, match
):
    _write_fashion(mirror)
    (mirror / "FashionMNIST" / "raw" / file).write_bytes(content)
    with pytest.raises(DataError, match=match):
        place.fetch("torchvision:FashionMNIST")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("FashionMnist", r"Did you mean torchvision:FashionMNIST\?"),
        ("Kinetics", "Known: MNIST"),
        ("__doc__", "no classification set of that name"),
        ("", "no classification set of that name"),
    ],
)
def test_unknown_sets_are_refused(place, name, match):
    with pytest.raises(DataError, match=match):
        place.fetch(f"torchvision:{name}")


@pytest.mark.parametrize("name", SETS)
def test_every_set_is_asked_as_torchvision_wants(name, folder):
    """Wrong argument names would raise TypeError, wrong values ValueError."""
    published = getattr(torchvision.datasets, name)
    for options in SETS[name].values():
        with pytest.raises((RuntimeError, OSError)):
            published(root=folder / "empty", **options)
