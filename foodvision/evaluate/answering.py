"""A saved model, or several that answer together, ready for photos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from foodvision.data.transforms import Transform, normalize, to_pixels
from foodvision.data.views import look
from foodvision.errors import DataError, ModelError
from foodvision.evaluate.ensembles import CombineKind, combine
from foodvision.evaluate.predictions import predict_logits
from foodvision.models.saved import load_saved
from foodvision.models.saved_composites import SUFFIX, load_composite
from foodvision.plan.views import IDENTITY, View

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from PIL import Image
    from torch import Tensor, nn


@dataclass(frozen=True)
class Member:
    """One model that answers.

    Attributes:
        module: whole model, on its device; gives float logits [B, C].
        transform: how it wants its images.
        weight: > 0.
    """

    module: nn.Module
    transform: Transform
    weight: float = 1.0


@dataclass(frozen=True)
class Answerer:
    """Models that answer together; often one.

    The arithmetic is float32, also for a model that was trained and scored in another precision
    (its card says which): probabilities then differ from the scored ones in their last digits.

    Attributes:
        members: at least one.
        classes: names, in the order of the logits.
        views: in which every member sees an image.
        kind: how the members' answers are combined.
    """

    members: tuple[Member, ...]
    classes: tuple[str, ...]
    views: tuple[View, ...] = (IDENTITY,)
    kind: CombineKind = "mean"

    @classmethod
    def of_model(cls, module: nn.Module, card: Mapping[str, Any]) -> Answerer:
        """Make one of a single model.

        Args:
            module: whole model, on its device.
            card: what was saved beside it: `classes` (C names) and `transform`
                (`Transform.to_json`).

        Raises:
            ModelError: the card lacks something.
        """
        classes, transform = _read_card(card)
        return cls((Member(module, transform),), classes)

    @classmethod
    def open(cls, path: Path) -> tuple[Answerer, dict[str, Any]]:
        """Load a saved model (`.pth`) or composite (`.json`); return its card, too.

        Raises:
            ModelError: a file is missing, damaged or does not belong to the others.
        """
        if path.suffix != SUFFIX:
            module, card = load_saved(path)
            return cls.of_model(module, card), card
        modules, cards, card = load_composite(path)
        members = [
            Member(module, _read_card(own)[1], float(named["weight"]))
            for module, own, named in zip(modules, cards, card["members"], strict=True)
        ]
        views = tuple(View.from_json(view) for view in card["views"])
        kind: CombineKind = "mean" if card["kind"] == "tta" else card["kind"]
        return cls(tuple(members), tuple(card["classes"]), views, kind), card

    def prepare(self, image: Image.Image) -> tuple[np.ndarray, ...]:
        """Return what each member sees of an upright image: uint8 [channels, size, size]."""
        return tuple(to_pixels(image, member.transform) for member in self.members)

    def answer(self, images: Sequence[tuple[np.ndarray, ...]], *, batch_size: int = 1) -> Tensor:
        """Answer prepared images.

        Args:
            images: from `prepare`; at least one.
            batch_size: images in one forward pass; every batch is filled up to its size.

        Returns:
            float32 [N, C] on the CPU; their softmax are the probabilities.

        Raises:
            ModelError: a member gives another number of logits than there are classes.
        """
        answers = []
        for place, member in enumerate(self.members):
            pixels = np.stack([prepared[place] for prepared in images])
            answers.append(self._in_views(member, pixels, batch_size))
        if len(answers) == 1:
            return torch.from_numpy(answers[0])
        weights = [member.weight for member in self.members]
        return torch.from_numpy(combine(answers, kind=self.kind, weights=weights))

    def _in_views(self, member: Member, pixels: np.ndarray, batch_size: int) -> np.ndarray:
        seen = []
        for view in self.views:
            inputs = _Photos(pixels, member, view)
            logits = predict_logits(member.module, inputs, batch_size=batch_size)
            self._check(logits)
            seen.append(logits.numpy())
        return combine(seen) if len(seen) > 1 else seen[0]

    def _check(self, logits: Tensor) -> None:
        if logits.shape[1] != len(self.classes):
            raise ModelError(
                f"A card must name every class of its model, found {len(self.classes)} names and "
                f"{logits.shape[1]} logits. Use the JSON that was saved beside the model."
            )


class _Photos:
    """A few photos in memory, as a member sees them in a view."""

    def __init__(self, pixels: np.ndarray, member: Member, view: View) -> None:
        first = next(member.module.parameters(), None)
        device = torch.device("cpu") if first is None else first.device
        self._pixels = look(torch.from_numpy(pixels).to(device), view=view)
        self._transform = member.transform

    def __len__(self) -> int:
        return len(self._pixels)

    def batch(self, indices: np.ndarray) -> Tensor:
        """Return float32 [n, channels, size, size] on the device for int64 positions [n]."""
        rows = torch.from_numpy(indices).to(self._pixels.device)
        return normalize(self._pixels.index_select(0, rows), self._transform)


def _read_card(card: Mapping[str, Any]) -> tuple[tuple[str, ...], Transform]:
    try:
        return tuple(card["classes"]), Transform.from_json(card["transform"])
    except (KeyError, TypeError, DataError) as error:
        raise ModelError(
            f"A saved model's card must have `classes` and `transform`, found: {error!r}. "
            "Use the JSON that was saved beside the model."
        ) from error
