"""Mixing the images of a batch with each other: torchvision's, drawn from (seed, epoch) alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchvision.transforms import v2

from foodvision.train.generators import EpochDraws

if TYPE_CHECKING:
    from torch import Tensor

    from foodvision.plan.mixing import MixSettings
    from foodvision.train.engine import Mixer


class Mixing:
    """MixUp (Zhang et al., 2018), CutMix (Yun et al., 2019), or one of both per batch.

    Args:
        settings: as a plan says them.
        classes: number of classes; >= 2.
    """

    def __init__(self, settings: MixSettings, *, classes: int) -> None:
        kinds: dict[str, Any] = {"mixup": v2.MixUp, "cutmix": v2.CutMix}
        chosen = [*kinds] if settings.kind == "either" else [settings.kind]
        ways = [kinds[kind](alpha=settings.alpha, num_classes=classes) for kind in chosen]
        mix = ways[0] if len(ways) == 1 else v2.RandomChoice(ways)
        self._mix = mix if settings.p == 1 else v2.RandomApply([mix], settings.p)

    def at_epoch(self, seed: int, epoch: int) -> Mixer:
        """Return what mixes the batches of an epoch.

        Args:
            seed: of the cell.
            epoch: from 1.

        Returns:
            A function to be called with the batches in order, where `EpochDraws` may be used. From
            float images [B, C, H, W] and int64 labels [B] to images of the same shape and, for
            each of them, float32 [B, classes]: the shares of both labels, which add up to 1. A
            batch that the draw leaves as it is keeps its int64 labels [B].
        """
        draws = EpochDraws(seed, epoch, "mix")

        def mix(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
            with draws.are_next():
                mixed: tuple[Tensor, Tensor] = self._mix(images, labels)
            return mixed

        return mix
