from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from foodvision.data.sources import (
    Finding,
    fingerprint,
    locate,
    read_finding,
    write_finding,
)
from foodvision.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("source", "kind", "value"),
    [
        ("https://host/a/food.zip?x=1", "url", "https://host/a/food.zip?x=1"),
        ("HTTP://host/food.zip", "url", "HTTP://host/food.zip"),
        ("torchvision:FashionMNIST", "torchvision", "FashionMNIST"),
        ("sklearn:digits", "sklearn", "digits"),
        ("file:///a%20b/food.zip", "path", "/a b/food.zip"),
        ("file://localhost/food", "path", "/food"),
        ("photos/../it's", "path", "{base}/it's"),
        ("/photos", "path", "/photos"),
    ],
)
def test_sources_are_told_apart(folder, source, kind, value):
    found = locate(source, base=folder)
    assert (found.kind, found.value) == (kind, value.replace("{base}", str(folder)))
    assert found.written == source


def test_variables_are_replaced_but_not_written_down(folder, monkeypatch):
    monkeypatch.setenv("TOKEN", "secret")
    found = locate("https://host/food.zip?token=${TOKEN}", base=folder)
    assert found.value.endswith("token=secret")
    assert found.written == "https://host/food.zip?token=${TOKEN}"


@pytest.mark.parametrize(
    ("source", "match"),
    [
        ("${NOT_SET}/food", "'NOT_SET' is not"),
        ("${}/food", "every variable must be set"),
        ("ftp://host/food.zip", "source must be an https://"),
        ("", "source must be an https://"),
        ("file://elsewhere/food", "found the host 'elsewhere'"),
    ],
)
def test_impossible_sources_are_refused(folder, source, match):
    with pytest.raises(DataError, match=match):
        locate(source, base=folder)


def test_a_mirror_comes_before_the_web_and_after_a_path_that_is_there(folder, monkeypatch):
    mirror = folder / "mirror"
    mirror.mkdir()
    (mirror / "my food.zip").write_bytes(b"x")
    monkeypatch.setenv("FOODVISION_SOURCES", str(mirror))
    mirrored = str(mirror / "my food.zip")
    assert locate("https://host/deep/my%20food.zip?x=1", base=folder).value == mirrored
    assert locate("elsewhere/my food.zip", base=folder).value == mirrored
    assert locate("https://host/other.zip", base=folder).kind == "url"
    (folder / "my food.zip").write_bytes(b"y")
    assert locate("my food.zip", base=folder).value == str(folder / "my food.zip")


def test_a_name_does_not_lead_out_of_the_mirror(folder, monkeypatch):
    (folder / "mirror").mkdir()
    (folder / "evil").write_bytes(b"x")
    monkeypatch.setenv("FOODVISION_SOURCES", str(folder / "mirror"))
    for address in ("https://host/..%2Fevil", "https://host/%2E%2E", "https://host"):
        assert locate(address, base=folder).kind == "url"


def test_a_mirror_that_is_no_folder_is_refused(folder, monkeypatch):
    monkeypatch.setenv("FOODVISION_SOURCES", str(folder / "none"))
    with pytest.raises(DataError, match="FOODVISION_SOURCES must name a folder"):
        locate("https://host/food.zip", base=folder)


def _touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda root: (root / "a" / "2").write_text("x"), id="a file more"),
        pytest.param(lambda root: (root / "a" / "1").unlink(), id="a file less"),
        pytest.param(lambda root: (root / "a" / "1").rename(root / "a" / "3"), id="a new name"),
        pytest.param(lambda root: (root / "a" / "1").write_text("longer"), id="another size"),
        pytest.param(lambda root: _touch(root / "a" / "1"), id="another time"),
    ],
)
def test_a_fingerprint_notices(folder, change):
    (folder / "a").mkdir()
    (folder / "a" / "1").write_text("1")
    before = fingerprint(folder)
    assert fingerprint(folder) == before
    change(folder)
    assert fingerprint(folder) != before


def test_a_fingerprint_leaves_litter_out(folder):
    (folder / "a").mkdir()
    (folder / "a" / "1").write_text("1")
    before = fingerprint(folder)
    (folder / ".DS_Store").write_text("x")
    (folder / "a" / ".hidden").write_text("x")
    assert fingerprint(folder) == before
    assert fingerprint(folder / "none") is None


def test_findings_read_back_and_damaged_ones_say_nothing(folder):
    finding = Finding("k", "d", None, "/x", "f")
    write_finding(folder / "index", "name", finding, written="source")
    assert read_finding(folder / "index", "name") == finding
    assert read_finding(folder / "index", "other") is None
    for damage in ("{", "[]", '{"key": 1}'):
        (folder / "index" / "name.json").write_text(damage)
        assert read_finding(folder / "index", "name") is None
