"""How many bytes a run will leave on the disk, told before it writes them.

Rows are known to the byte; snapshots, outputs and models up to their files' headers.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from foodvision.plan.training_schema import RmspropSettings, SgdSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from foodvision.plan.facts import ImageSet
    from foodvision.plan.graph import Graph, Phase
    from foodvision.plan.training_schema import Optimizer
    from foodvision.plan.work import TrainJob, Work

# Up to this size the snapshot of every epoch is kept; above it, of the span's last one.
KEPT_SNAPSHOT_BYTES = 256 * 1024

_FLOAT32 = 4


@dataclass(frozen=True)
class Footprint:
    """Bytes that a run writes.

    Attributes:
        pixels: rows of pixels.
        features: rows of features.
        states: snapshots of training.
        outputs: logits of scored images.
        models: saved models.
    """

    pixels: int = 0
    features: int = 0
    states: int = 0
    outputs: int = 0
    models: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return sum(asdict(self).values())


def footprint(graph: Graph, work: Work, save: str) -> Footprint:
    """Return what executing the work of a plan will write.

    Args:
        graph: the compiled plan.
        work: the graph held against the store.
        save: which models the plan saves: `all`, `best` or `none`.
    """
    rows = {"pixels": 0, "features": 0}
    for job in work.rows:
        rows[job.recipe.kind] += job.bytes_missing
    outputs = sum(output_bytes(train.scored) for train in work.training)
    outputs += sum(output_bytes([score.images]) for score in work.scoring)
    outputs += sum(output_bytes([view.score.images]) for view in work.views)
    for composite in work.combining:
        outputs += output_bytes(composite.compiled.image_sets.values())
    return Footprint(
        pixels=rows["pixels"],
        features=rows["features"],
        states=sum(state_bytes(train) for train in work.training),
        outputs=outputs,
        models=_model_bytes(graph, work, save),
    )


def output_bytes(scored: Iterable[ImageSet]) -> int:
    """Return the bytes of a model's logits on lists of images."""
    return sum(len(images.images) * len(images.classes) * _FLOAT32 for images in scored)


def state_bytes(job: TrainJob) -> int:
    """Return the bytes of the snapshots that a span leaves: of every epoch while they are small."""
    if job.replay:
        return 0
    one = _snapshot_bytes(job.span.phase)
    return one * (job.span.epochs if one <= KEPT_SNAPSHOT_BYTES else 1)


def _snapshot_bytes(phase: Phase) -> int:
    """Return the bytes of what differs from the initial weights, and of what the optimizer knows.

    What only an earlier phase has trained is left out.
    """
    shape, settings = phase.architecture, phase.settings
    trained = shape.params_trainable * _FLOAT32
    buffers = shape.suffix_buffer_bytes
    if phase.prefix_count < shape.prefix_count:  # the whole model is in training
        buffers = shape.model_bytes - shape.params_total * _FLOAT32
    copies = 1 if settings.ema is None else 2
    return copies * (trained + buffers) + _states_per_parameter(settings.optimizer) * trained


def _states_per_parameter(optimizer: Optimizer) -> int:
    """Return how many numbers an optimizer keeps for each number that it trains."""
    if isinstance(optimizer, SgdSettings):
        return int(optimizer.momentum > 0)
    if isinstance(optimizer, RmspropSettings):
        return 1 + int(optimizer.momentum > 0) + int(optimizer.centered)
    return 2


def _model_bytes(graph: Graph, work: Work, save: str) -> int:
    sizes = [
        compiled.phase.architecture.model_bytes
        for compiled in graph.cells
        if work.waiting[compiled.cell.cell_id]
    ]
    return {"all": sum(sizes), "best": max(sizes, default=0)}.get(save, 0)
