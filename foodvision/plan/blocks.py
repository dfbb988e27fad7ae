"""Words for leading blocks of a model, the same wherever a plan names blocks."""

from __future__ import annotations

import math


def leading_blocks(body: int) -> dict[str, int]:
    """Return how many leading blocks each word means.

    Args:
        body: number of blocks before the head.
    """
    return {"early": math.ceil(body / 3), "most": max(body - 1, 0), "backbone": body}
