"""What is kept of the images on their way into each model, and why nothing more.

Rows that are the same in every epoch are computed once and kept: the output of frozen blocks
(features), or else the decoded pixels. What a cell asks for can rule the first out; `explain` says
so before the run does it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from foodvision.plan.cell_schema import CellSettings
    from foodvision.plan.expand import Cell
    from foodvision.plan.graph import CompiledCell, Graph, Phase, Recipe
    from foodvision.plan.work import Work

Cause = Literal["unfrozen", "augment", "mix", "batchnorm", "earlier_phase", "limit"]


@dataclass(frozen=True)
class Reason:
    """Why the output of frozen blocks, or of some of them, is not kept.

    Attributes:
        cause: the setting behind it.
        text: the setting, and what it does.
    """

    cause: Cause
    text: str


@dataclass(frozen=True)
class Keeping:
    """What is kept for models that see images in the same way.

    Attributes:
        model: the architecture.
        size: pixels of the square input.
        cells: labels of the cells.
        kind: of the rows that the trainable blocks read: features, or pixels.
        blocks: frozen blocks whose output they are; none where they are pixels.
        live_blocks: frozen blocks that run with every batch instead.
        row_shape: of one image's row.
        row_bytes: of one image's row.
        images: rows that the cells read, each once.
        bytes: of all these rows; not to be kept where `blocks` is empty but for pixels.
        reasons: why it is no more; none where the output of every frozen block is kept.
    """

    model: str
    size: int
    cells: tuple[str, ...]
    kind: Literal["features", "pixels"]
    blocks: tuple[str, ...]
    live_blocks: tuple[str, ...]
    row_shape: tuple[int, ...]
    row_bytes: int
    images: int
    bytes: int
    reasons: tuple[Reason, ...]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Way:
    """How images reach the trainable blocks: what one line is about."""

    model: str
    size: int
    kind: Literal["features", "pixels"]
    blocks: tuple[str, ...]
    live_blocks: tuple[str, ...]
    row_shape: tuple[int, ...]
    row_bytes: int
    reasons: tuple[Reason, ...]


def keepings(graph: Graph, work: Work) -> tuple[Keeping, ...]:
    """Say what is kept for each way in which cells see their images, in the cells' order.

    Args:
        graph: the compiled plan.
        work: the graph held against the store, which knows what is too large to be kept.
    """
    too_large = {job.recipe: job.bytes_of_all for job in work.rows if job.live}
    cells: dict[_Way, dict[str, Cell]] = {}
    images: dict[_Way, dict[str, set[str]]] = {}
    for compiled, phase in _phases(graph):
        way = _way(phase, too_large.get(phase.recipe))
        cells.setdefault(way, {})[compiled.cell.cell_id] = compiled.cell
        read = images.setdefault(way, {}).setdefault(phase.recipe.key, set())
        for listed in (phase.train, *compiled.image_sets.values()):
            read.update(listed.images)
    found = []
    for way, asking in cells.items():
        rows = sum(map(len, images[way].values()))
        found.append(
            Keeping(
                **vars(way),
                cells=tuple(cell.label for cell in asking.values()),
                images=rows,
                bytes=rows * way.row_bytes,
            )
        )
    return tuple(found)


def _phases(graph: Graph) -> Iterator[tuple[CompiledCell, Phase]]:
    for compiled in graph.cells:
        for phase in compiled.chain.phases:
            yield compiled, phase


def _way(phase: Phase, too_large: int | None) -> _Way:
    """Return the way of a phase's images; `too_large`: bytes of features that are not kept."""
    kept = 0 if too_large else phase.prefix_count
    recipe: Recipe = phase.recipe
    if too_large and recipe.pixels is not None:
        recipe = recipe.pixels
    frozen = phase.architecture.blocks[: phase.architecture.frozen_count]
    return _Way(
        model=phase.settings.model.arch,
        size=int(phase.transform["size"]),
        kind=recipe.kind,
        blocks=frozen[:kept],
        live_blocks=frozen[kept:],
        row_shape=recipe.row_shape,
        row_bytes=recipe.row_bytes,
        reasons=tuple(_reasons(phase, too_large)),
    )


def _reasons(phase: Phase, too_large: int | None) -> Iterator[Reason]:
    settings, shape = phase.settings, phase.architecture
    if not shape.frozen_count:
        yield Reason("unfrozen", f"freeze: {settings.model.freeze} leaves every block trainable")
        return
    yield from _random_reasons(settings)
    if shape.prefix_count < shape.frozen_count:
        yield Reason(
            "batchnorm", "batchnorm: train moves the running statistics of frozen blocks, too"
        )
    if phase.changed_count:
        names = shape.blocks[phase.untouched_count : shape.prefix_count]
        yield Reason(
            "earlier_phase", f"an earlier phase changed {block_range(names)}, frozen only now"
        )
    if too_large:
        yield Reason(
            "limit", f"all its features, {too_large:,} bytes, are above limits.features_bytes"
        )


def _random_reasons(settings: CellSettings) -> Iterator[Reason]:
    if settings.augment != "none":
        steps = ", ".join(step.kind for step in settings.augment)
        yield Reason("augment", f"augment ({steps}) changes the images in every epoch")
    if settings.mix != "none":
        yield Reason("mix", f"mix ({settings.mix.kind}) changes the images in every epoch")


def block_range(names: tuple[str, ...]) -> str:
    """Name consecutive blocks by the first and the last."""
    return " to ".join(dict.fromkeys((names[0], names[-1])))
