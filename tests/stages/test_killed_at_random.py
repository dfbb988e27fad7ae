"""The exactness contract: killed at any of many moments and started again = undisturbed."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

import pytest

from tests.killing import Nursery
from tests.running import make_photos, plan_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KILLS = 20
GRID = """
grid:
  model:
    head: {freeze: backbone}
    whole: {hidden: 3}
  epochs: [1, 3]
"""


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as opened:
        yield opened


def test_killed_at_twenty_moments_equals_undisturbed(nursery: Nursery, tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos", train=4, test=2)
    text = plan_text(photos, GRID, valid=0.25)
    undisturbed = nursery.run(text, tmp_path / "undisturbed")
    assert not undisturbed.failures
    assert len(undisturbed.results) == 4
    draw = random.Random(20)
    kills = 0
    for number in itertools.count():
        home = tmp_path / f"home {number}"
        again = nursery.run(text, home, die_at=draw.randrange(1, undisturbed.moments + 1))
        while again.killed:
            kills += 1
            again = nursery.run(text, home, die_at=draw.randrange(1, undisturbed.moments + 1))
        assert not again.failures
        assert again.results == undisturbed.results
        assert again.as_predicted
        assert not list((home / "store" / "tmp").glob("*"))
        if kills >= KILLS:
            break
