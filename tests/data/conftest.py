from __future__ import annotations

import pytest

from tests.data.makers import Place, Web, serving


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch):
    monkeypatch.delenv("FOODVISION_SOURCES", raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folder(tmp_path):
    """A folder whose name has what shells and SQL stumble over."""
    path = tmp_path / 'it\'s a "folder" 寿司'
    path.mkdir()
    return path


@pytest.fixture
def place(folder):
    return Place(folder)


@pytest.fixture
def web():
    with serving(Web()) as served:
        yield served
