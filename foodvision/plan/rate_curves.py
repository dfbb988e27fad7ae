"""The learning rates of a plan's cells: the numbers that will train, told before they do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foodvision.plan.graph import Chain, Graph, Phase
    from foodvision.plan.schedules import StepValues


@dataclass(frozen=True)
class RateGroupLine:
    """Blocks that learn at one rate.

    Attributes:
        blocks: the first and the last of them: `stem-layer2`.
        factor: what the optimizer's rate is multiplied by.
    """

    blocks: str
    factor: float


@dataclass(frozen=True)
class RatePhase:
    """A stretch of epochs with one schedule.

    Attributes:
        first_epoch: from 1.
        last_epoch: included.
        steps: optimizer steps in each epoch.
        optimizer: its kind.
        schedule: its kind and its settings, as the plan gives them.
        groups: the trainable blocks by the rate that they learn at.
    """

    first_epoch: int
    last_epoch: int
    steps: int
    optimizer: str
    schedule: str
    groups: tuple[RateGroupLine, ...]


@dataclass(frozen=True)
class RateCurve:
    """One schedule, and the cells that train by it.

    Attributes:
        cells: their labels.
        phases: one after the other; most cells have one.
        learning_rates: per epoch, the optimizer's learning rate of every step; a group's is this
            times its factor.
        momenta: per epoch, the momentum of every step; empty where the optimizer's own counts.
    """

    cells: tuple[str, ...]
    phases: tuple[RatePhase, ...]
    learning_rates: StepValues
    momenta: StepValues

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return len(self.learning_rates)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def rate_curves(graph: Graph) -> tuple[RateCurve, ...]:
    """Return every distinct schedule of a compiled plan, in the order of its cells."""
    cells: dict[tuple[tuple[RatePhase, ...], StepValues, StepValues], list[str]] = {}
    for compiled in graph.cells:
        chain = compiled.chain
        moved = chain.momenta if any(chain.momenta) else ()
        about = (_phases(chain), chain.learning_rates, moved)
        cells.setdefault(about, []).append(compiled.cell.label)
    return tuple(
        RateCurve(tuple(labels), phases, rates, moved)
        for (phases, rates, moved), labels in cells.items()
    )


def _phases(chain: Chain) -> tuple[RatePhase, ...]:
    return tuple(
        RatePhase(
            first_epoch=phase.first_epoch,
            last_epoch=phase.last_epoch,
            steps=phase.steps,
            optimizer=phase.settings.optimizer.kind,
            schedule=_schedule_words(phase),
            groups=tuple(RateGroupLine(group.label, group.factor) for group in phase.groups),
        )
        for phase in chain.phases
    )


def _schedule_words(phase: Phase) -> str:
    """Return a schedule's kind and what the plan sets of it: `cosine, warmup epochs 2`."""
    given = phase.settings.schedule.model_dump(mode="json", exclude_defaults=True)
    given.pop("kind", None)
    kind = phase.settings.schedule.kind
    words: list[str] = [f"{kind} (until it first falls)" if kind == "plateau" else kind]
    for name, value in given.items():
        if isinstance(value, dict):
            value = " ".join(f"{key}: {each}" for key, each in value.items())
        words.append(f"{name} {value}")
    return ", ".join(words)
