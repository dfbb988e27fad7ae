"""Which file a plan's `weights` names; without torch, so that `validate` may ask, too."""

from __future__ import annotations

import os
import re
from pathlib import Path

from foodvision.errors import ModelError

NO_WEIGHTS = "none"
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def is_entry_name(weights: str) -> bool:
    """Say whether it is the name of a torchvision entry (or `none`), and no path."""
    return re.fullmatch(r"[A-Za-z0-9_]+", weights) is not None


def weights_file(weights: str, *, base: Path) -> Path:
    """Return the file that a plan names.

    Args:
        weights: a path, in which `${NAME}` stands for an environment variable.
        base: what a relative path starts from.

    Raises:
        ModelError: no such variable, or no such file.
    """
    path = base / Path(_VARIABLE.sub(_variable, weights)).expanduser()
    if not path.is_file():
        raise ModelError(
            f"model.weights must be none, a torchvision entry or a file; found no file at {path}. "
            "Correct the path where the plan says it, or override it for one run: --set "
            "base.model.weights=PATH, or --set grid.model.LABEL.weights=PATH for a choice of an "
            "axis."
        )
    return path


def _variable(match: re.Match[str]) -> str:
    value = os.environ.get(match.group(1))
    if not value:
        raise ModelError(
            f"model.weights {match.string!r} needs the environment variable {match.group(1)}, "
            f"which is not set. Set it (export {match.group(1)}=PATH), or override the path where "
            "the plan says it: --set base.model.weights=PATH, or --set "
            "grid.model.LABEL.weights=PATH for a choice of an axis."
        )
    return value
