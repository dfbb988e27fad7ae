"""Saved composites: a JSON card that names the saved models which answer together.

The card's own fields:

- `format`: version of this layout.
- `kind`: `tta`, or how the members' answers are combined: `mean`, `weighted`, `vote`.
- `views`: in which every member sees an image; its answers in all of them are averaged.
- `members`: `file` (beside the card), `sha256` of the state dict, and `weight` of each.

Everything else (classes, label, metrics) is the caller's.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from foodvision.errors import ModelError
from foodvision.files import write_json
from foodvision.models.saved import load_saved, read_card

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import nn

COMPOSITE_FORMAT = 1
SUFFIX = ".json"
_FIELDS = ("format", "kind", "views", "members", "classes")


def save_composite(
    path: Path, members: Sequence[tuple[Path, float]], *, card: Mapping[str, Any]
) -> Path:
    """Write the card of models that are saved already.

    Args:
        path: of the card; its members lie in the same folder.
        members: state dict and weight of each.
        card: JSON values, with `kind`, `views` and `classes`; finite numbers only.

    Returns:
        `path`.

    Raises:
        ModelError: the card of a member cannot be read.
    """
    named = [
        {"file": member.name, "sha256": read_card(member)["sha256"], "weight": weight}
        for member, weight in members
    ]
    write_json(path, {**card, "format": COMPOSITE_FORMAT, "members": named})
    return path


def load_composite(path: Path) -> tuple[list[nn.Module], list[dict[str, Any]], dict[str, Any]]:
    """Load every member of a composite.

    Args:
        path: of its card.

    Returns:
        The members' modules on the CPU in evaluation mode, their cards, and the composite's card.

    Raises:
        ModelError: the card is no composite's, or a member is missing or another model now.
    """
    card = read_composite_card(path)
    modules, cards = [], []
    for member in card["members"]:
        module, own = load_saved(path.parent / member["file"])
        if own["sha256"] != member["sha256"]:
            raise ModelError(
                f"{path}: its member {member['file']} must be the model that it was made of "
                f"({member['sha256'][:12]}), found another ({own['sha256'][:12]}). Run the plan "
                "again, or copy the member from where the card comes from."
            )
        modules.append(module)
        cards.append(own)
    return modules, cards, card


def read_composite_card(path: Path) -> dict[str, Any]:
    """Read the card of a composite.

    Raises:
        ModelError: it is missing, no JSON, of another format, or no composite's.
    """
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: the card of an ensemble must be JSON: {error}.") from error
    lacking = [name for name in _FIELDS if not isinstance(card, dict) or name not in card]
    if lacking:
        hint = f"A single model is named by its state dict: {path.with_suffix('.pth').name}."
        raise ModelError(
            f"{path}: the card of an ensemble must have {', '.join(lacking)}, this one has not. "
            + (hint if path.with_suffix(".pth").is_file() else "Run the plan again.")
        )
    if card["format"] != COMPOSITE_FORMAT:
        raise ModelError(
            f"{path}: this foodvision reads cards of format {COMPOSITE_FORMAT}, found "
            f"{card['format']!r}. Use the foodvision that wrote it."
        )
    return dict(card)
