"""Random numbers of an epoch, derived from (seed, epoch, purpose): no state has to survive."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from foodvision.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEED_BITS = 63

# torch's global generator belongs to the whole process: one epoch at a time may use it.
_GLOBAL_RNG = threading.Lock()


def epoch_seed(seed: int, epoch: int, purpose: str) -> int:
    """Return the seed of one epoch's random numbers for one purpose.

    Args:
        seed: of the cell.
        epoch: from 1.
        purpose: what the numbers are for: `shuffle`, `augment`, `mix`, `dropout`, `module`.

    Returns:
        A number in [0, 2**63), the leading bits of a sha256: neighbouring seeds and epochs have
        nothing in common.
    """
    return int(digest([seed, epoch, purpose])[:16], 16) >> (64 - _SEED_BITS)


def epoch_generator(seed: int, epoch: int, purpose: str) -> torch.Generator:
    """Return a fresh CPU generator for one purpose in one epoch; see `epoch_seed`."""
    return torch.Generator().manual_seed(epoch_seed(seed, epoch, purpose))


class EpochDraws:
    """The random numbers of an epoch for functions that only know torch's global generator.

    The stream goes on where it stopped. The global generator is left as it was found; use this
    where no other thread draws from that one (inside `epoch_randomness`).

    Args:
        seed: of the cell.
        epoch: from 1.
        purpose: see `epoch_seed`.
    """

    def __init__(self, seed: int, epoch: int, purpose: str) -> None:
        self._state = epoch_generator(seed, epoch, purpose).get_state()

    @contextmanager
    def are_next(self) -> Iterator[None]:
        """Let the global generator of the CPU draw these numbers."""
        before = torch.get_rng_state()
        torch.set_rng_state(self._state)
        try:
            yield
        finally:
            self._state = torch.get_rng_state()
            torch.set_rng_state(before)


@contextmanager
def epoch_randomness(seed: int, epoch: int, *, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators for the time of one epoch.

    Whatever a module draws by itself comes from them: stochastic depth, channel-wise dropout, all
    dropout on accelerators (for `nn.Dropout` on the CPU see `portable_dropout`).

    The generators of the CPU and of `device` have their former states again afterwards; those of
    other devices are not touched. Threads that train at the same time wait for each other, because
    the generators are shared by the whole process.

    Args:
        seed: of the cell.
        epoch: from 1.
        device: where the module lies.
    """
    with _GLOBAL_RNG:
        generators = [torch.default_generator, *_device_generators(device)]
        states = [generator.get_state() for generator in generators]
        try:
            for generator in generators:
                generator.manual_seed(epoch_seed(seed, epoch, "module"))
            yield
        finally:
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)


def _device_generators(device: torch.device) -> list[torch.Generator]:
    if device.type == "cuda":
        current = torch.cuda.current_device()  # also makes the generators, where CUDA is new
        return [torch.cuda.default_generators[current if device.index is None else device.index]]
    if device.type == "mps":
        return [torch.mps._get_default_mps_generator()]
    return []
