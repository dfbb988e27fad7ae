"""The shipped plans: YAML, found wherever the package is installed."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


def shipped_plans() -> dict[str, Path]:
    """Return the files of the shipped plans by name (`demo`, `effnet`, `mobilenet`)."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.yaml"))}
