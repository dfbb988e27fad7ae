"""Measure how long a model takes for an image, and how much memory it needs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import torch

from foodvision.evaluate.latency import measure_latency
from foodvision.plan.latency import LATENCY_VERSION
from foodvision.plan.work import Tally

if TYPE_CHECKING:
    from foodvision.plan.work import LatencyJob
    from foodvision.stages.site import Site

_SEED = 0


def measure_model(job: LatencyJob, site: Site) -> Tally:
    """Time a model on noise of the right shape, as it answers photos, and keep what was found.

    The entry has no files; its notes hold a list of `batches`, each a `Latency`.

    Args:
        job: the model.
        site: where to compute; nothing else should be going on there.

    Returns:
        Nothing counts: times are no work that could be predicted.
    """
    stage, phase = job.stage, job.stage.phase
    if site.store.has("latency", stage.key):
        return site.found()
    edge, channels = int(phase.transform["size"]), int(phase.transform["channels"])
    noise = torch.Generator().manual_seed(_SEED)
    with (
        site.store.writing(
            "latency", stage.key, inputs=stage.inputs, code_version=LATENCY_VERSION
        ) as writer,
        site.exact(phase.settings.threads),
    ):
        module = site.models.initial(phase).module
        writer.notes["batches"] = [
            asdict(
                measure_latency(
                    module,
                    torch.randn(count, channels, edge, edge, generator=noise).to(site.device),
                    precision=phase.settings.precision,
                )
            )
            for count in stage.inputs["batch_sizes"]
        ]
    return Tally()
