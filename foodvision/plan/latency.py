"""Latency: how long a model of one shape takes to answer, measured on one machine.

A measurement is kept like a stage and named by all that it depends on, so that cells whose numbers
cannot differ share one. It is no result: measured again, it comes out a little different, and no
other key has it among its inputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from foodvision.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from foodvision.plan.graph import Phase

# Raised by hand when what is measured, or how, changes.
LATENCY_VERSION = 1

# Images that are answered together: one as it comes, and enough to keep a device busy.
BATCH_SIZES = (1, 32)


@dataclass(frozen=True)
class LatencyStage:
    """A measurement that a cell's model asks for.

    Weights, dropout, frozen blocks and all of training are none of its inputs: the same operations
    run on numbers of the same shapes.

    Attributes:
        key: digest of `inputs`.
        inputs: what the key is made of.
        phase: of a cell that asks for it: how the model is built.
    """

    key: str
    inputs: Mapping[str, Any] = field(hash=False)
    phase: Phase = field(hash=False, compare=False)


def latency_stage(phase: Phase, *, processor: str) -> LatencyStage:
    """Return the measurement of a model as its last phase builds it.

    Args:
        phase: whose shape, precision, threads and versions count.
        processor: what computes, by name.
    """
    shape = {name: phase.inputs["model"][name] for name in ("arch", "hidden", "channels", "size")}
    inputs = {
        "stage": "latency",
        "code": LATENCY_VERSION,
        "environment": phase.inputs["environment"],
        "processor": processor,
        "model": shape | {"classes": phase.classes},
        "batch_sizes": BATCH_SIZES,
    }
    return LatencyStage(digest(inputs), inputs, phase)
