"""Canonical JSON and the digests made of it: the one place where keys come from."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

KEY_LENGTH = 64
_CHUNK_BYTES = 1 << 20


def canonical_json(value: Any) -> str:
    """Render `value` as JSON in which equal values are equal texts.

    Keys are sorted, there is no white space, and floats keep every bit (`repr` of a float is the
    shortest text that reads back as the same float). NaN and infinities are refused.

    Raises:
        ValueError: a number is NaN or infinite.
        TypeError: a value is no JSON value.
    """
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: Any) -> str:
    """Return the sha256 (64 hex digits) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def digest_lines(lines: Iterable[str]) -> str:
    """Return the sha256 of `lines`, each followed by a newline."""
    state = hashlib.sha256()
    for line in lines:
        state.update(line.encode() + b"\n")
    return state.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes, read in pieces."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            state.update(chunk)
    return state.hexdigest()
