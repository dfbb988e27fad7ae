"""What the store holds, as the compiler asks for it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from foodvision.data.bank import Bank
from foodvision.plan.work import FinishedSpan
from foodvision.stages.curves import read_curve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from foodvision.plan.facts import ImageSet
    from foodvision.plan.graph import Recipe
    from foodvision.plan.stopping import Curve, Metric
    from foodvision.plan.work import StageKind
    from foodvision.store import Store

logger = logging.getLogger(__name__)


class StoreFinished:
    """Answers from the store; a damaged entry is set aside, with a warning, and counts as missing.

    Presence and sizes are looked at here; `foodvision store verify` reads every byte.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sound: dict[tuple[str, str], bool] = {}

    def has(self, kind: StageKind, key: str) -> bool:
        """Say whether a stage is finished and sound."""
        if (kind, key) not in self._sound:
            self._sound[kind, key] = self._store.has(kind, key) and self._is_sound(kind, key)
        return self._sound[kind, key]

    def span(self, key: str) -> FinishedSpan:
        """Return the finished span that holds the state `key`."""
        entry = self._store.get("train", key)
        notes = entry.notes
        return FinishedSpan(
            key=notes["states"][-1],
            parent=notes["parent"],
            first_epoch=notes["first_epoch"],
            last_epoch=notes["last_epoch"],
            keeps_every_state=notes["keeps_every_state"],
            trained_to=notes["epochs"][-1]["epoch"] if notes["epochs"] else 0,
        )

    def scored_epochs(self, key: str) -> frozenset[int]:
        """Return the epochs that a finished score has rows of; none where it is missing."""
        if not self.has("score", key):
            return frozenset()
        return frozenset(row["epoch"] for row in self._store.get("score", key).notes["rows"])

    def curve(
        self, states: Sequence[str], metric: Metric, images: ImageSet | None, *, first_epoch: int
    ) -> Curve:
        """Return what is known of a metric from `first_epoch` on; see `Curves`."""
        return read_curve(
            self._store, states, metric, images, first_epoch=first_epoch, has=self._knows
        )

    def _knows(self, kind: str, key: str) -> bool:
        return self.has(kind, key)  # type: ignore[arg-type]

    def missing_rows(self, recipe: Recipe, images: Iterable[str]) -> list[str]:
        """Return the images that have no row under the recipe, once each."""
        bank = Bank(self._store, recipe.kind, recipe.key, recipe.row_shape, recipe.dtype)
        return bank.missing(images)

    def _is_sound(self, kind: str, key: str) -> bool:
        problems = self._store.verify(kind, key, checksums=False)
        if problems:
            kept = self._store.set_aside(kind, key)
            logger.warning(
                "%s %s is damaged and is computed again (%s); what was there lies in %s",
                kind,
                key[:12],
                problems[0],
                kept,
            )
        return not problems
