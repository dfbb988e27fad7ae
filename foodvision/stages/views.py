"""Score a trained cell on images that are each seen in one view."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from foodvision.evaluate.predictions import predict_logits
from foodvision.plan.composite_stages import VIEW_VERSION
from foodvision.plan.work import Tally
from foodvision.stages.rows import open_inputs
from foodvision.stages.training import live_prefix, load_state

if TYPE_CHECKING:
    from foodvision.plan.work import ViewJob
    from foodvision.stages.site import Site


def score_view(job: ViewJob, site: Site, *, live: bool = False) -> Tally:
    """Run a final state over images in a view and keep its outputs.

    Args:
        job: the state, the images and the view.
        site: where to compute; the state must lie in the store.
        live: run the frozen prefix with every batch instead of reading kept rows.

    Returns:
        The counted work.
    """
    score, phase = job.score, job.score.compiled.phase
    if site.store.has("view", score.key):
        return site.found()
    started = time.perf_counter()
    with site.exact(phase.settings.threads):
        model = site.models.initial(phase)
        suffix = model.suffix(phase.prefix_count)
        through = live_prefix(model, phase, live=live)
        load_state(site.store, score.compiled.final, model)
        inputs = open_inputs(phase, score.images, site, live=through, view=score.view)
        logits = predict_logits(suffix, inputs, precision=phase.settings.precision)
    inputs_of_key = {"score": score.compiled.score_keys[score.images.part]}
    with site.store.writing(
        "view",
        score.key,
        inputs=inputs_of_key | {"view": score.view.to_json()},
        code_version=VIEW_VERSION,
    ) as writer:
        np.save(writer.path / "logits.npy", logits.numpy())
        writer.notes |= {"part": score.images.part, "dataset": score.images.dataset}
        writer.work |= {"images": len(logits)}
        writer.seconds = time.perf_counter() - started
    return Tally(scored_images=len(logits), prefix_images=len(logits) if through is not None else 0)
