from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

from foodvision.data import bank as bank_module
from foodvision.data.bank import Bank
from foodvision.data.loaders import FeatureInputs, HeldRows, PixelInputs, compute_pixels
from foodvision.data.transforms import Transform, normalize, to_pixels
from foodvision.errors import DataError
from tests.data.makers import make_folder, picture

_TRANSFORM = Transform(16, None, "bilinear", 3, (0.5,) * 3, (0.25,) * 3)
_CPU = torch.device("cpu")


class _Pictures:
    """A data set of generated pictures that records how it is read."""

    def __init__(self, count, *, broken=None, delay=0.0):
        self.count, self.broken, self.delay = count, broken, delay
        self.read_rows: list[int] = []
        self.threads: set[str] = set()

    def read(self, row):
        self.read_rows.append(row)
        self.threads.add(threading.current_thread().name)
        time.sleep(self.delay * (row % 3))
        if row == self.broken:
            raise DataError(f"{row}.jpg: an image must be whole")
        return picture(row, (20 + row % 5, 18))

    def rows(self):
        return [(self, row) for row in range(self.count)]


def _all(pictures, workers):
    return np.concatenate(list(compute_pixels(pictures.rows(), _TRANSFORM, workers=workers)))


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_pixels_do_not_depend_on_the_number_of_workers(workers):
    pictures = _Pictures(150, delay=0.001)
    expected = np.stack(
        [to_pixels(picture(row, (20 + row % 5, 18)), _TRANSFORM) for row in range(150)]
    )
    np.testing.assert_array_equal(_all(pictures, workers), expected)
    assert sorted(pictures.read_rows) == list(range(150))


def test_blocks_are_bounded_and_little_is_read_ahead():
    pictures = _Pictures(500)
    blocks = compute_pixels(pictures.rows(), _TRANSFORM, workers=2)
    first = next(blocks)
    assert first.shape == (64, 3, 16, 16)
    assert first.dtype == np.uint8
    time.sleep(0.3)  # enough to read all 500, if nothing held the threads back
    assert len(pictures.read_rows) <= 2 * 64
    blocks.close()
    assert len(pictures.read_rows) <= 2 * 64
    assert [len(block) for block in compute_pixels(pictures.rows(), _TRANSFORM, workers=2)][
        -1
    ] == 52


def test_a_broken_image_ends_it_with_its_name():
    with pytest.raises(DataError, match=r"70\.jpg"):
        _all(_Pictures(100, broken=70), 2)


def test_no_images_give_no_blocks():
    assert list(compute_pixels([], _TRANSFORM, workers=2)) == []


@pytest.fixture
def pixels(place):
    make_folder(place.root / "photos", {"train/a": 4, "train/b": 3, "test/a": 1, "test/b": 1})
    dataset = place.fetch("photos")
    sha256 = dataset.table.column("sha256").to_pylist()
    places = dict(zip(sha256, ((dataset, row) for row in range(len(dataset))), strict=True))
    bank = Bank(place.store, "pixels", "r" * 64, (3, 16, 16), "uint8")
    bank.add(
        sha256,
        lambda images: compute_pixels([places[image] for image in images], _TRANSFORM, workers=2),
        inputs={},
        code_version=1,
    )
    expected = np.stack([to_pixels(dataset.read(row), _TRANSFORM) for row in range(len(dataset))])
    return bank.open(sha256), torch.from_numpy(expected)


@pytest.mark.parametrize("in_memory", [True, False])
def test_pixel_inputs_are_normalised_rows(pixels, monkeypatch, in_memory):
    if not in_memory:
        monkeypatch.setattr(bank_module, "IN_MEMORY_BYTES", 0)
    rows, expected = pixels
    inputs = PixelInputs(HeldRows(rows, _CPU), _TRANSFORM)
    indices = np.array([8, 0, 0, 5])
    assert len(inputs) == 9
    for _ in range(2):  # reading changes nothing
        batch = inputs.batch(indices)
        assert batch.dtype == torch.float32
        assert torch.equal(batch, normalize(expected[indices], _TRANSFORM))


@pytest.mark.parametrize("in_memory", [True, False])
def test_feature_inputs_are_the_rows_and_may_be_changed(place, monkeypatch, in_memory):
    if not in_memory:
        monkeypatch.setattr(bank_module, "IN_MEMORY_BYTES", 0)
    values = np.random.default_rng(1).normal(size=(5, 7)).astype(np.float32)
    bank = Bank(place.store, "features", "r" * 64, (7,), "float32")
    bank.add(list("abcde"), lambda images: iter([values]), inputs={}, code_version=1)
    inputs = FeatureInputs(HeldRows(bank.open(list("edcba")), _CPU))
    indices = np.array([0, 4, 4])
    for _ in range(2):
        batch = inputs.batch(indices)
        np.testing.assert_array_equal(batch.numpy(), values[[4, 0, 0]])
        batch.zero_()
    assert inputs.batch(np.array([], dtype=np.int64)).shape == (0, 7)
