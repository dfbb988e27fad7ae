"""Words for leading blocks of a model, the same wherever a plan names blocks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from foodvision.errors import ModelError
from foodvision.plan.messages import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

_NONE = "none"
FREEZE_WORDS = (_NONE, "early", "most", "backbone")


def leading_blocks(body: int) -> dict[str, int]:
    """Return how many leading blocks each word means.

    Args:
        body: number of blocks before the head.
    """
    return {"early": math.ceil(body / 3), "most": max(body - 1, 0), "backbone": body}


def count_frozen(freeze: str | int, blocks: Sequence[str], *, arch: str) -> int:
    """Return how many leading blocks a setting freezes.

    With n blocks before the head: `none` is 0; `early` the leading third, rounded up;
    `most` n - 1, all but the last one before the head; `backbone` n. A block's name freezes
    it and all before it; so does the name of a part that holds several (`features`). A number
    is a count from the front.

    Args:
        freeze: as a plan has it.
        blocks: names in order, the head last.
        arch: whose blocks they are, for the message.

    Raises:
        ModelError: no such block, or the head would be frozen; the message lists the blocks.
    """
    if isinstance(freeze, int) and not isinstance(freeze, bool):
        return leave_head(freeze, blocks, arch=arch)
    counts = {_NONE: 0, **leading_blocks(len(blocks) - 1)}
    name = str(freeze)
    if name in counts:
        return counts[name]
    inside = [
        position
        for position, block in enumerate(blocks, start=1)
        if block == name or block.startswith(f"{name}.")
    ]
    if not inside:
        near = nearest(name, [*FREEZE_WORDS, *blocks[:-1]])
        hint = f" Did you mean {near!r}?" if near else ""
        raise ModelError(
            f"model.freeze must be {', '.join(FREEZE_WORDS)}, a count or a block, got {name!r}."
            f"{hint} {_listing(blocks, arch)}"
        )
    return leave_head(inside[-1], blocks, arch=arch)


def leave_head(count: int, blocks: Sequence[str], *, arch: str) -> int:
    """Return a count of leading blocks that leaves the head.

    Raises:
        ModelError: it is negative, or leaves none.
    """
    if not 0 <= count < len(blocks):
        raise ModelError(
            f"model.freeze must leave the head trainable: 0 to {len(blocks) - 1} leading "
            f"blocks, got {count}. {_listing(blocks, arch)}"
        )
    return count


def _listing(blocks: Sequence[str], arch: str) -> str:
    return f"Blocks of {arch}: {', '.join(blocks)}."
