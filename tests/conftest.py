"""What every room's tests share: isolation from the user's own home and settings."""

from __future__ import annotations

import os

import pytest

# Before torch is imported: several test processes share the cores, and threads that wait for each
# other cost more than they give on models this small. What `threads` means is set where it matters.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's home, mirrors or server."""
    monkeypatch.setenv("FOODVISION_HOME", str(tmp_path_factory.mktemp("home")))
    for name in ("FOODVISION_SOURCES", "FOODVISION_MOBILENET_V2", "FOODVISION_SQUEEZENET1_0"):
        monkeypatch.delenv(name, raising=False)
