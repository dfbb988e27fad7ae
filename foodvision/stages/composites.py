"""Combine what trained cells said: from stored outputs to a composite's; no model runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from foodvision.errors import TrainingError
from foodvision.evaluate.ensembles import combine
from foodvision.evaluate.metrics import Score, score_logits
from foodvision.plan.composite_stages import COMPOSITE_VERSION
from foodvision.plan.work import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foodvision.plan.composite_stages import CompiledComposite, Voice
    from foodvision.plan.facts import ImageSet, Part
    from foodvision.plan.work import CompositeJob
    from foodvision.stages.site import Site
    from foodvision.store import Store


@dataclass(frozen=True, eq=False)
class _Answer:
    """What one member said.

    Attributes:
        place: of its voice.
        logits: per part, float32 [N, C].
        scores: per part.
    """

    place: int
    logits: Mapping[Part, np.ndarray]
    scores: Mapping[Part, Score]

    @property
    def is_sound(self) -> bool:
        return all(bool(np.isfinite(logits).all()) for logits in self.logits.values())


def combine_members(job: CompositeJob, site: Site) -> Tally:
    """Choose the members of a composite, combine their outputs and keep them.

    The entry holds `logits-<part>.npy`, and in its notes the loss and accuracy of each part, the
    members (places of their voices, best first where they were chosen) and their weights.

    Args:
        job: the composite; all that its members said must lie in the store.
        site: where to compute.

    Returns:
        Nothing counts: no model runs.

    Raises:
        TrainingError: fewer than two candidates did not diverge.
    """
    compiled = job.compiled
    if site.store.has("composite", compiled.key):
        return site.found()
    answers = _choose(compiled, [_answer(n, v, site) for n, v in enumerate(compiled.voices)])
    weights = _weights(compiled, answers)
    combined = {
        part: combine(
            [answer.logits[part] for answer in answers],
            kind="mean" if compiled.composite.kind == "tta" else compiled.composite.kind,
            weights=weights,
        )
        for part in compiled.image_sets
    }
    _write(compiled, site, answers, weights, combined)
    return Tally()


def _answer(place: int, voice: Voice, site: Site) -> _Answer:
    image_sets = voice.compiled.image_sets
    logits = {part: _mean_over_views(voice, part, site.store) for part in image_sets}
    return _Answer(
        place,
        logits,
        {part: _score(logits[part], images, site) for part, images in image_sets.items()},
    )


def _mean_over_views(voice: Voice, part: Part, store: Store) -> np.ndarray:
    stages = voice.stages(part)
    found = [np.load(store.get(kind, key).path / "logits.npy") for kind, key in stages]
    return combine(found) if len(found) > 1 else found[0]


def _score(logits: np.ndarray, images: ImageSet, site: Site) -> Score:
    return score_logits(torch.from_numpy(logits), site.labels(images))


def _choose(compiled: CompiledComposite, answers: Sequence[_Answer]) -> list[_Answer]:
    """Return the best sound answers where some are to be chosen, else all."""
    composite = compiled.composite
    if composite.top is None or composite.by is None:
        return list(answers)
    sound = [answer for answer in answers if answer.is_sound]
    if len(sound) < min(composite.top, 2):
        raise TrainingError(
            f"{composite.label}: an ensemble needs two members, and only {len(sound)} of "
            f"{len(answers)} candidates did not diverge. Lower their learning rate."
        )
    part, _, metric = composite.by.partition(".")
    return sorted(sound, key=lambda answer: _place(answer.scores[part], metric))[: composite.top]  # type: ignore[index]


def _place(score: Score, metric: str) -> tuple[float, float]:
    """Return what to sort by: the metric, best first, then the loss."""
    return (score.loss if metric == "loss" else -score.accuracy, score.loss)


def _weights(compiled: CompiledComposite, answers: Sequence[_Answer]) -> list[float]:
    """Return each answer's share, in (0, 1]; a member that is never right keeps a tiny one."""
    worth = [1.0] * len(answers)
    if compiled.composite.kind == "weighted":
        worth = [max(answer.scores["valid"].accuracy, 1e-9) for answer in answers]
    return [each / math.fsum(worth) for each in worth]


def _write(
    compiled: CompiledComposite,
    site: Site,
    answers: Sequence[_Answer],
    weights: Sequence[float],
    combined: Mapping[Part, np.ndarray],
) -> None:
    composite = compiled.composite
    inputs = {"kind": composite.kind, "top": composite.top, "by": composite.by}
    stages = [
        {part: voice.stages(part) for part in voice.compiled.image_sets}
        for voice in compiled.voices
    ]
    with site.store.writing(
        "composite",
        compiled.key,
        inputs=inputs | {"voices": stages},
        code_version=COMPOSITE_VERSION,
    ) as writer:
        for part, logits in combined.items():
            np.save(writer.path / f"logits-{part}.npy", logits)
        writer.notes |= {
            "scores": {
                part: _row(_score(logits, compiled.image_sets[part], site))
                for part, logits in combined.items()
            },
            "members": [
                {"voice": answer.place, "weight": weight}
                for answer, weight in zip(answers, weights, strict=True)
            ],
            "diverged": not all(answer.is_sound for answer in answers),
            "view_seconds": sum(_view_seconds(compiled, site.store).values()),
        }


def _row(score: Score) -> dict[str, Any]:
    return {
        "loss": score.loss if math.isfinite(score.loss) else None,
        "accuracy": score.accuracy,
        "images": score.images,
    }


def _view_seconds(compiled: CompiledComposite, store: Store) -> dict[str, float]:
    return {view.key: store.get("view", view.key).seconds for view in compiled.view_scores()}
