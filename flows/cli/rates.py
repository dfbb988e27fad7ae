"""`explain --schedule`: the learning rates of each cell, drawn."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from flows.cli import tables
from flows.cli.charts import step_chart
from flows.cli.tables import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foodvision.plan.rate_curves import RateCurve, RatePhase

_WIDTH = 80
_HEIGHT = 6


def print_curves(curves: Sequence[RateCurve]) -> None:
    """Print every schedule with its cells, its chart and the rates of its groups of blocks."""
    for number, curve in enumerate(curves):
        if number:
            tables.say("")
        _print_curve(curve)


def _print_curve(curve: RateCurve) -> None:
    for phase in curve.phases:
        tables.say_wrapped(_phase_words(phase, is_only=len(curve.phases) == 1))
    tables.say_wrapped(f"{count(len(curve.cells), 'cell')}: {', '.join(curve.cells)}", indent=2)
    _print_chart(curve)
    for phase in curve.phases:
        if any(group.factor != 1 for group in phase.groups):
            groups = ", ".join(f"{group.blocks} × {group.factor:g}" for group in phase.groups)
            where = "" if len(curve.phases) == 1 else f" in {_epoch_words(phase)}"
            tables.say_wrapped(f"Rate by block{where}: {groups}", indent=2)
    if curve.momenta:
        moved = [*chain.from_iterable(curve.momenta)]
        tables.say(f"  Momentum from {moved[0]:.4g} to {min(moved):.4g} and to {moved[-1]:.4g}")


def _phase_words(phase: RatePhase, *, is_only: bool) -> str:
    words = f"{phase.optimizer}, {phase.schedule}: {count(phase.steps, 'step')} an epoch"
    return words if is_only else f"{_epoch_words(phase)}: {words}"


def _epoch_words(phase: RatePhase) -> str:
    if phase.first_epoch == phase.last_epoch:
        return f"epoch {phase.first_epoch}"
    return f"epochs {phase.first_epoch}-{phase.last_epoch}"


def _print_chart(curve: RateCurve) -> None:
    """Print the rate over the epochs, each epoch as wide as every other."""
    most = max(map(len, curve.learning_rates))
    values = [
        epoch[step * len(epoch) // most] for epoch in curve.learning_rates for step in range(most)
    ]
    top, first, last = max(values), values[0], values[-1]
    if min(values) == top:
        tables.say(f"  {top:.4g} in every step of {count(curve.epochs, 'epoch')}")
        return
    edge = len(f"{top:.4g}")
    width = _WIDTH - edge - 4
    lines = step_chart(values, width=width, height=_HEIGHT)
    for number, line in enumerate(lines):
        label = f"{top:.4g}" if number == 0 else "0" if number == _HEIGHT - 1 else ""
        tables.say(f"  {label.rjust(edge)} ┤{line}".rstrip("\u2800"))
    tables.say(f"  {' ' * edge} └{_axis(curve.epochs, width)}")
    tables.say(f"  {' ' * edge}  epoch 1{f'epoch {curve.epochs}'.rjust(width - 7)}")
    tables.say(f"  From {first:.4g} to {last:.4g}, highest {top:.4g}")


def _axis(epochs: int, width: int) -> str:
    """Return an axis with a tick where an epoch begins, as far as they can be told apart."""
    line = ["─"] * width
    if epochs * 2 <= width:
        for epoch in range(1, epochs):
            line[epoch * width // epochs] = "┴"
    return "".join(line)
