from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from foodvision.data.datasets import open_dataset
from foodvision.data.selection import select
from foodvision.errors import DataError
from foodvision.hashing import digest_lines, file_sha256
from tests.data.makers import Counter, make_folder, make_zip, picture

_COUNTS = {"train/pizza": 3, "train/寿司": 4, "test/pizza": 2, "test/寿司": 2}


@pytest.fixture
def photos(place):
    return make_folder(place.root / "photos", _COUNTS)


def _column(dataset, name):
    return dataset.table.column(name).to_pylist()


def test_a_photo_in_two_folders_is_split_to_one_side(place):
    photos = make_folder(place.root / "photos", {"pizza": 8, "pizza margherita": 8})
    for path in (photos / "pizza").glob("*.png"):
        shutil.copy(path, photos / "pizza margherita" / f"twin of {path.name}")
    dataset = place.fetch("photos", split=0.25)
    rows = dataset.table.to_pylist()
    sides = {
        side: {row["sha256"] for row in rows if row["split"] == side} for side in ("train", "test")
    }
    assert all(sides.values())
    assert sides["train"].isdisjoint(sides["test"])


def test_a_folder_is_catalogued(place, photos):
    dataset = place.fetch("photos")
    assert dataset.classes == ("pizza", "寿司")
    assert len(dataset) == 11
    assert _column(dataset, "split") == ["test"] * 4 + ["train"] * 7
    assert _column(dataset, "path") == sorted(_column(dataset, "path"))
    assert _column(dataset, "label") == [0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1]
    assert set(_column(dataset, "width")) == {24}
    assert set(_column(dataset, "height")) == {18}
    for path, sha256 in zip(_column(dataset, "path"), _column(dataset, "sha256"), strict=True):
        assert sha256 == file_sha256(photos / path)
    lines = sorted(
        f"{path.relative_to(photos).as_posix()} {file_sha256(path)}"
        for path in photos.rglob("*.png")
    )
    assert dataset.digest == digest_lines(lines)


def test_the_manifest_says_what_was_found(place, photos):
    (photos / "train" / "pizza" / "readme.txt").write_text("x")
    (photos / "val" / "pizza").mkdir(parents=True)
    picture(99).save(photos / "val" / "pizza" / "1.png")
    entry = place.store.get("dataset", place.fetch("photos").key)
    assert entry.notes["source"] == "photos"
    assert entry.notes["classes"] == ["pizza", "寿司"]
    assert entry.notes["splits"] == {"test": 4, "train": 7}
    assert entry.notes["ignored"] == {"val": 1, "files of other kinds": 1}
    assert entry.work["images"] == 11
    assert place.store.verify("dataset", entry.key) == []


def test_images_read_as_they_are_even_when_the_source_is_gone(place, photos):
    dataset = place.fetch("photos")
    expected = np.asarray(Image.open(photos / "test" / "pizza" / "000.png"))
    shutil.rmtree(photos)
    image = open_dataset(place.store, dataset.key).read(0)
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), expected)


def test_packing_does_not_matter(place, photos):
    plain = place.fetch(photos)
    make_zip(photos, place.root / "plain.zip")
    make_zip(photos, place.root / "wrapped.zip", prefix="food/", compression=zipfile.ZIP_DEFLATED)
    shutil.make_archive(str(place.root / "packed"), "gztar", photos)
    for name in (
        "plain.zip",
        "wrapped.zip",
        "packed.tar.gz",
        f"file://{photos}".replace('"', "%22"),
    ):
        assert place.fetch(name).key == plain.key, name
    assert list((place.home.downloads).iterdir()) == []


def test_sizes_are_those_of_the_upright_image(place, photos):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(50, (30, 20)).save(photos / "test" / "pizza" / "000.png", exif=exif)
    dataset = place.fetch("photos")
    assert dataset.read(0).size == (20, 30)
    assert (_column(dataset, "width")[0], _column(dataset, "height")[0]) == (20, 30)


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Test"])
def test_another_name_stands_in_for_test(place, photos, name):
    (photos / "test").rename(photos / name)
    dataset = place.fetch("photos")
    assert _column(dataset, "split").count("test") == 4
    assert f"{name}/pizza/000.png" in _column(dataset, "path")


def test_one_half_is_enough_where_another_set_brings_the_other(place, photos):
    shutil.rmtree(photos / "test")
    dataset = place.fetch("photos")
    assert len(select(dataset, "train")) == 7
    with pytest.raises(DataError, match="has no test images"):
        select(dataset, "test")


def test_class_folders_are_split_by_what_images_are(place):
    make_folder(place.root / "photos", {"a": 20, "b": 10})
    one = place.fetch("photos", split=0.2)
    counts = list(zip(_column(one, "split"), _column(one, "label"), strict=True))
    assert [counts.count(("test", label)) for label in (0, 1)] == [4, 2]
    before = dict(zip(_column(one, "sha256"), _column(one, "split"), strict=True))
    for path in sorted((place.root / "photos" / "a").iterdir()):
        path.rename(path.with_name(f"renamed {path.name}"))
    two = place.fetch("photos", split=0.2)
    assert two.key != one.key  # paths belong to a catalogue ...
    assert dict(zip(_column(two, "sha256"), _column(two, "split"), strict=True)) == before
    assert select(two, "train").digest == select(one, "train").digest  # ... not to a choice


def test_train_alone_can_be_split(place, photos):
    shutil.rmtree(photos / "test")
    dataset = place.fetch("photos", split=0.3)
    assert _column(dataset, "split").count("test") == 2


def _broken(photos, count):
    for number in range(count):
        (photos / "train" / "pizza" / f"broken {number:02d}.jpg").write_bytes(b"no image")


def test_all_broken_images_are_listed(place, photos):
    _broken(photos, 25)
    (photos / "test" / "寿司" / "000.png").write_bytes(b"")
    with pytest.raises(DataError, match="26 of 36 are not") as caught:
        place.fetch("photos")
    message = str(caught.value)
    assert "test/寿司/000.png: " in message
    assert "train/pizza/broken 00.jpg: " in message
    assert "and 6 more" in message
    assert "on_bad_image: skip" in message


def test_broken_images_can_be_left_out_and_are_noted(place, photos):
    clean = place.fetch("photos")
    _broken(photos, 2)
    dataset = place.fetch("photos", on_bad_image="skip")
    assert dataset.digest == clean.digest
    notes = place.store.get("dataset", dataset.key).notes
    assert [line.partition(":")[0] for line in notes["bad_images"]] == [
        "train/pizza/broken 00.jpg",
        "train/pizza/broken 01.jpg",
    ]


def _remove(*names):
    return lambda root: [shutil.rmtree(root / name) for name in names]


def _empty(name):
    return lambda root: [path.unlink() for path in (root / name).iterdir()]


def _only_text(root):
    _empty("train/pizza")(root)
    (root / "train/pizza" / "1.heic").write_text("x")


def _loose(root):
    for path in list(root.rglob("*.png")):
        path.rename(root / f"{path.parent.name}-{path.parent.parent.name}-{path.name}")
    for name in ("train", "test"):
        shutil.rmtree(root / name)


def _break_class(root):
    for path in (root / "train/pizza").iterdir():
        path.write_bytes(b"x")


@pytest.mark.parametrize(
    ("spoil", "options", "match"),
    [
        (lambda root: shutil.rmtree(root), {}, "a folder or an archive must lie at .*nothing does"),
        (_empty("train/pizza"), {}, "every class must have an image .*empty: train/pizza"),
        (_only_text, {}, r"empty: train/pizza \(holds .heic\)"),
        (_remove("train/pizza", "test/pizza"), {}, "at least two classes, found '寿司'"),
        (_remove("test/pizza"), {}, "only in train: 'pizza'; only in test: none"),
        (_remove("train", "test"), {}, "found no images"),
        (_loose, {}, "found 11 images outside of class folders"),
        (lambda root: None, {"split": 0.2}, "this one has its own. Remove `split: 0.2`"),
        (_break_class, {"on_bad_image": "skip"}, "none is left in train/pizza"),
        (lambda root: None, {"split": 1.5}, r"split must be a share in \(0, 1\), got 1.5"),
        (lambda root: None, {"sha256": "0" * 64}, "sha256 is the data set's digest"),
    ],
)
def test_unusable_folders_are_refused(place, photos, spoil, options, match):
    spoil(photos)
    with pytest.raises(DataError, match=match):
        place.fetch("photos", **options)
    assert list(place.store.entries("dataset")) == []


def test_class_folders_without_a_split_are_refused_before_images_are_read(place):
    make_folder(place.root / "photos", {"a": 2, "b": 2})
    (place.root / "photos" / "a" / "broken.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"Set `split: 0\.2`"):
        place.fetch("photos")


def test_an_archive_must_have_the_sha256_of_the_plan(place, photos):
    archive = make_zip(photos, place.root / "food.zip")
    with pytest.raises(DataError, match="must be 0000"):
        place.fetch("food.zip", sha256="0" * 64)
    key = place.fetch("food.zip", sha256=file_sha256(archive).upper()).key
    with pytest.raises(DataError, match="must be 0000"):  # not even when the set is known
        place.fetch("food.zip", sha256="0" * 64)
    assert place.known("food.zip", sha256="0" * 64) is None
    assert place.known("food.zip", sha256=file_sha256(archive)).key == key


def test_what_is_known_costs_nothing_until_it_changes(place, photos):
    assert place.known("photos") is None
    counter = Counter()
    key = place.fetch("photos", progress=counter).key
    assert counter.images == 11
    assert place.known("photos").key == key
    assert place.known("photos", on_bad_image="skip") is None
    assert place.fetch("photos", progress=counter, refresh=True).key == key
    assert counter.images == 11
    picture(77).save(photos / "train" / "pizza" / "new.png")
    assert place.known("photos") is None
    assert len(place.fetch("photos")) == 12


def test_a_touched_archive_is_hashed_but_not_unpacked_again(place, photos, monkeypatch):
    archive = make_zip(photos, place.root / "food.zip")
    key = place.fetch("food.zip").key
    os.utime(archive, ns=(1, 1))
    assert place.known("food.zip") is None
    monkeypatch.setattr("foodvision.data.datasets.extract", None)
    assert place.fetch("food.zip").key == key
    assert place.known("food.zip").key == key


def test_images_that_were_checked_before_are_not_decoded_again(place, photos, monkeypatch):
    place.fetch("photos")
    picture(77).save(photos / "train" / "pizza" / "new.png")
    decoded = []
    from foodvision.data import catalogue

    real = catalogue.decode_image
    monkeypatch.setattr(
        catalogue,
        "decode_image",
        lambda content, name: decoded.append(name) or real(content, name=name),
    )
    assert len(place.fetch("photos")) == 12
    assert decoded == ["train/pizza/new.png"]


def test_a_set_that_left_the_store_is_unknown_and_made_again(place, photos):
    key = place.fetch("photos").key
    place.store.remove("dataset", key)
    assert place.known("photos") is None
    assert place.fetch("photos").key == key


def test_a_url_is_asked_once_and_again_only_on_refresh(place, photos, web):
    web.content = make_zip(photos, place.root / "food.zip").read_bytes()
    url = f"{web.url}/food.zip"
    key = place.fetch(url).key
    assert key == place.fetch(photos).key
    assert place.fetch(url).key == place.known(url).key == key
    assert web.answers == [200]
    assert place.fetch(url, refresh=True).key == key
    assert web.answers == [200, 304]
    place.store.remove("dataset", key)  # the file is still here
    assert place.fetch(url).key == key
    assert web.answers == [200, 304]
    picture(77).save(photos / "train" / "pizza" / "new.png")
    web.content, web.etag = make_zip(photos, place.root / "b.zip").read_bytes(), '"2"'
    assert place.fetch(url).key == key
    assert len(place.fetch(url, refresh=True)) == 12
    assert place.known(url).key != key


def test_a_mirror_keeps_the_web_out(place, photos, web, monkeypatch):
    (place.root / "mirror").mkdir()
    make_zip(photos, place.root / "mirror" / "food.zip")
    monkeypatch.setenv("FOODVISION_SOURCES", str(place.root / "mirror"))
    dataset = place.fetch(f"{web.url}/food.zip")
    assert len(dataset) == 11
    assert place.known(f"{web.url}/food.zip").key == dataset.key
    assert web.requests == []


def test_a_web_page_instead_of_an_archive_is_refused(place, web):
    web.content = b"<!DOCTYPE html><html>Please log in</html>"
    with pytest.raises(DataError, match="a web page that asks for a login"):
        place.fetch(f"{web.url}/food.zip")


def test_secrets_of_a_source_are_not_kept(place, photos, web, monkeypatch):
    monkeypatch.setenv("TOKEN", "hush-hush")
    web.content = make_zip(photos, place.root / "food.zip").read_bytes()
    place.fetch(web.url + "/food.zip?token=${TOKEN}")
    kept = [path for path in place.home.root.rglob("*") if path.is_file()]
    assert len(kept) > 10
    assert not [path for path in kept if b"hush-hush" in path.read_bytes()]


def test_an_archive_that_fails_leaves_nothing(place):
    with zipfile.ZipFile(place.root / "evil.zip", "w") as file:
        file.writestr("train/a/1.png", "x")
        file.writestr("../evil", "x")
    with pytest.raises(DataError, match="points outside"):
        place.fetch("evil.zip")
    assert list(place.home.downloads.iterdir()) == []
    assert not list(place.root.rglob("evil"))


class _Meddler(Counter):
    """Does something to the files between their check and their copying."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def close(self):
        self.act()


def test_an_image_that_changes_while_it_is_read_is_not_kept(place, photos):
    victim = photos / "train" / "pizza" / "000.png"
    with pytest.raises(DataError, match="must not change while they are read"):
        place.fetch("photos", progress=_Meddler(lambda: picture(500).save(victim)))
    with pytest.raises(DataError, match="Check that the files are still there"):
        place.fetch("photos", progress=_Meddler(lambda: victim.unlink(missing_ok=True)))
    assert list(place.store.entries("dataset")) == []


def test_links_in_a_folder_of_the_users_are_followed(place, photos):
    (photos / "train" / "pizza" / "linked.png").symlink_to(photos / "test" / "寿司" / "000.png")
    key = place.fetch("photos").key
    entry = place.store.get("dataset", key).path / "files" / "train" / "pizza" / "linked.png"
    assert entry.is_file()
    assert not entry.is_symlink()


def test_a_dangling_link_is_a_broken_image(place, photos):
    (photos / "train" / "pizza" / "linked.png").symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"train/pizza/linked.png: cannot be read"):
        place.fetch("photos")


def test_digits_are_embedded_and_split(place):
    dataset = place.fetch("sklearn:digits")
    assert dataset.key == place.fetch("sklearn:digits", split=0.2).key
    assert dataset.key != place.fetch("sklearn:digits", split=0.3).key
    assert dataset.classes == tuple("0123456789")
    assert len(dataset) == 1797
    image = dataset.read(5)
    assert (image.mode, image.size) == ("L", (8, 8))
    pixels = np.asarray(image)
    assert pixels.max() == 255
    sha256 = hashlib.sha256(b"uint8 8x8\n" + pixels.tobytes()).hexdigest()
    assert _column(dataset, "sha256")[5] == sha256
    from sklearn.datasets import load_digits

    number = int(_column(dataset, "path")[5].rpartition("/")[2])
    source = load_digits()
    assert str(source.target[number]) == dataset.classes[_column(dataset, "label")[5]]
    np.testing.assert_array_equal(np.rint(source.images[number] / 16 * 255), pixels)


def test_unknown_embedded_sets_are_refused(place):
    with pytest.raises(DataError, match="embedded sets are digits"):
        place.fetch("sklearn:iris")


def test_two_processes_that_fetch_one_source_do_it_once(place, photos):
    code = (
        "import sys; from pathlib import Path; from tests.data.makers import Counter, Place\n"
        "counter = Counter()\n"
        "print(Place(Path(sys.argv[1])).fetch('photos', progress=counter).key, counter.images)"
    )
    command = [sys.executable, "-c", code, str(place.root)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    found = [process.communicate(timeout=60)[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sorted(int(images) for _, images in found) == [0, 11]
    assert {key for key, _ in found} == {entry.key for entry in place.store.entries("dataset")}


def test_what_trains_nothing_does_not_import_torch(place, photos):
    place.fetch("photos")
    code = (
        "import sys; from pathlib import Path; from tests.data.makers import Place\n"
        "import foodvision.data.bank, foodvision.data.selection, foodvision.data.transforms\n"
        "assert Place(Path(sys.argv[1])).known('photos') is not None\n"
        "print([name for name in ('torch', 'torchvision', 'sklearn', 'httpx') "
        "if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(place.root)], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
