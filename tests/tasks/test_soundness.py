"""A damaged entry never becomes the input of a new result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.records import _ResultReader
from tests.running import make_photos, plan_text, run

if TYPE_CHECKING:
    from pathlib import Path

FROZEN = "{arch: tiny_vgg, hidden: 4, freeze: backbone}"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("damage") / "photos")


def spoil(path: Path) -> None:
    """Change bytes in the middle of a file; its size stays."""
    content = bytearray(path.read_bytes())
    middle = len(content) * 3 // 4
    content[middle : middle + 16] = bytes(byte ^ 0x55 for byte in content[middle : middle + 16])
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [("features-shard", "rows.npy"), ("train", "*.safetensors")],
    ids=["kept features", "a state to go on from"],
)
def test_damage_that_keeps_the_size_is_found_before_it_is_read(
    kind: str, pattern: str, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = plan_text(photos, model=FROZEN)
    first = run(text, tmp_path / "spoilt", ["base.epochs=2"])
    spoilt = [path for entry in first.store.entries(kind) for path in entry.path.glob(pattern)]
    assert spoilt
    for path in spoilt:
        spoil(path)
    longer = run(text, tmp_path / "spoilt", ["base.epochs=4"])
    assert "is damaged and is made again" in caplog.text
    assert not longer.ledger.failures
    clean = run(text, tmp_path / "clean", ["base.epochs=4"])
    assert longer.results() == clean.results()


def test_spoilt_image_of_a_data_set_is_fetched_again(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = plan_text(photos, model=FROZEN)
    first = run(text, tmp_path / "spoilt")
    spoil(next((first.store.root / "dataset").glob("*/*/files/train/pizza/*.png")))
    resized = text.replace("size: 16", "size: 18")
    again = run(resized, tmp_path / "spoilt")
    assert "dataset" in caplog.text
    assert again.results() == run(resized, tmp_path / "clean").results()


def test_lost_image_of_a_data_set_is_fetched_again(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = plan_text(photos, model=FROZEN)
    first = run(text, tmp_path / "lost")
    next((first.store.root / "dataset").glob("*/*/files/train/pizza/*.png")).unlink()
    resized = text.replace("size: 16", "size: 18")
    again = run(resized, tmp_path / "lost")
    assert "a data set is damaged and is fetched again" in caplog.text
    assert not again.ledger.failures


def test_what_was_looked_at_is_not_read_again(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from foodvision.store import Store

    text = plan_text(photos, model=FROZEN)
    run(text, tmp_path, ["base.epochs=1"])
    read: list[str] = []
    honest = Store.verify

    def counting(self: Store, kind: str, key: str, *, checksums: bool = True) -> list[str]:
        if checksums:
            read.append(kind)
        return honest(self, kind, key, checksums=checksums)

    monkeypatch.setattr(Store, "verify", counting)
    run(text, tmp_path, ["base.epochs=2"])
    assert "features-shard" in read
    read.clear()
    run(text, tmp_path, ["base.epochs=3"])
    assert "features-shard" not in read


@pytest.mark.parametrize("content", ["{}", "{", None], ids=["empty", "torn", "lost"])
def test_a_shard_without_a_manifest_stops_no_run(
    content: str | None, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = plan_text(photos, model=FROZEN)
    first = run(text, tmp_path, ["base.epochs=2"])
    (shard,) = first.store.entries("features-shard")
    manifest = shard.path / "manifest.json"
    manifest.unlink()
    if content is not None:
        manifest.write_text(content)
    assert _ResultReader(first.store).seconds_per_row("features", shard.notes["recipe"]) == 0.0
    again = run(text, tmp_path, ["base.epochs=3"])
    assert "features-shard" in caplog.text
    whole = run(text, tmp_path / "whole", ["base.epochs=3"])
    assert again.results() == whole.results()
    assert [entry.key for entry in again.store.entries("features-shard")] == [shard.key]
