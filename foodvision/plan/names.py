"""What may name a folder: plans, data sets, views and ensembles are called so."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator

from foodvision.plan.values import broken_rule

MAX_NAME_CHARACTERS = 100
MAX_NAME_BYTES = 240
_BIDIRECTIONAL = set("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def name_problem(name: str) -> str | None:
    """Return why `name` cannot be the name of a folder, or `None`.

    Any language may be used; see `MAX_NAME_CHARACTERS` and `MAX_NAME_BYTES`.
    """
    rule = "must be safe as a folder's name"
    if not name.strip():
        return f"{rule}, got an empty text: give it a name"
    if name.strip(".") == "" or "/" in name or "\\" in name:
        return f"{rule} (no '/', no '\\', not only dots), got {name!r}: use other characters"
    if name != name.strip():
        return f"{rule}, got {name!r}: delete the spaces around it"
    if any(
        unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} or c in _BIDIRECTIONAL for c in name
    ):
        return f"{rule}, got control characters in {name!r}: delete them"
    if len(name) > MAX_NAME_CHARACTERS or len(name.encode()) > MAX_NAME_BYTES:
        limit = f"at most {MAX_NAME_CHARACTERS} characters and {MAX_NAME_BYTES} bytes"
        return f"must have {limit}, got {len(name)} and {len(name.encode())}: shorten it"
    return None


def _check_name(name: str) -> str:
    if problem := name_problem(name):
        raise broken_rule(problem)
    return name


Name = Annotated[str, AfterValidator(_check_name)]
