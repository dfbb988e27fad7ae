"""The home: said in a sentence where it cannot be used, before any work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from foodvision.errors import StoreError
from foodvision.home import Home

if TYPE_CHECKING:
    from pathlib import Path


def test_usable_home_is_made_and_left_empty(tmp_path: Path) -> None:
    home = Home(tmp_path / "not there yet" / "home")
    home.require_usable()
    assert list(home.root.iterdir()) == []


def test_home_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="must be a folder that can be written"):
        Home(tmp_path / "file" / "home").require_usable()


def test_home_that_duckdb_could_not_open_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="path must be one that DuckDB opens"):
        Home(tmp_path / "what?").require_usable()


def test_home_follows_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOODVISION_HOME", str(tmp_path / "there"))
    assert Home.current().root == tmp_path / "there"
    monkeypatch.delenv("FOODVISION_HOME")
    monkeypatch.chdir(tmp_path)
    assert Home.current().root == tmp_path / ".foodvision"
