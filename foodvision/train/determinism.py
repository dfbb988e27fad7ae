"""Equal inputs, equal bits: torch's settings for the time of one piece of work."""

from __future__ import annotations

import os
import re
import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

_CUBLAS_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
_CUBLAS_WORKSPACE = ":4096:8"
# MKL's last bits depend on where a matrix begins in memory; torch's own memory begins at such
# multiples, numpy's does not.
_ALIGNMENT_BYTES = 64
_NO_DETERMINISTIC = r"(?s)(\S+) does not have a deterministic implementation"


@dataclass
class DeterminismRecord:
    """What was found out while working under `deterministic`.

    Attributes:
        operators: names of the operators that ran without a deterministic version, once each, in
            the order met. Empty: results are bit-equal from run to run. Not empty: the exactness
            contract becomes a tolerance, and the run has to say so.
    """

    operators: list[str] = field(default_factory=list)

    @property
    def is_exact(self) -> bool:
        """Whether every operator that ran was deterministic."""
        return not self.operators


@contextmanager
def deterministic(
    threads: int, *, device: torch.device | str | None = None
) -> Iterator[DeterminismRecord]:
    """Make torch repeat itself to the bit; every former setting is back afterwards.

    Sets the number of threads, deterministic algorithms (torch and cuDNN, no autotuning), and
    cuBLAS's workspace. On the CPU an operator without a deterministic version is an error of
    torch's; on an accelerator it is allowed and recorded. The filling of uninitialised memory
    stays off: nothing here reads memory before writing it.

    Args:
        threads: threads of one operator; acts on the last bits, so it is part of every key.
        device: where the work will run; `None`: CUDA if there is one, else the CPU.

    Yields:
        A record that fills while the work runs.
    """
    record = DeterminismRecord()
    with ExitStack() as stack:
        stack.enter_context(thread_count(threads))
        stack.enter_context(_algorithms(warn_only=_device_type(device) != "cpu"))
        stack.enter_context(_attribute(torch.backends.cudnn, "deterministic", True))
        stack.enter_context(_attribute(torch.backends.cudnn, "benchmark", False))
        stack.enter_context(environment_variable(_CUBLAS_VARIABLE, _CUBLAS_WORKSPACE))
        stack.enter_context(_recording(record))
        yield record


def aligned(batch: Tensor) -> Tensor:
    """Return `batch`, copied if its memory begins where last bits would depend on it.

    The CPU's matrix products round differently at different alignments, and memory that numpy
    gave begins here in one run and there in the next.
    """
    if batch.device.type == "cpu" and batch.data_ptr() % _ALIGNMENT_BYTES:
        return batch.clone()
    return batch


def _device_type(device: torch.device | str | None) -> str:
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device).type


@contextmanager
def thread_count(threads: int) -> Iterator[None]:
    """Let torch's operators work with so many threads; small tensors want one."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _algorithms(*, warn_only: bool) -> Iterator[None]:
    # Not `use_deterministic_algorithms`: it does the same, but imports torch's compiler first,
    # which takes seconds.
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("warn" if warn_only else "error")
    try:
        with _attribute(torch.utils.deterministic, "fill_uninitialized_memory", False):
            yield
    finally:
        torch.set_deterministic_debug_mode(before)


@contextmanager
def _attribute(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def environment_variable(name: str, value: str) -> Iterator[None]:
    """Set a variable of this process; the former value, or none, is back afterwards."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def _recording(record: DeterminismRecord) -> Iterator[None]:
    """Turn torch's warnings about operators into entries of `record`; let all others through."""
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=_NO_DETERMINISTIC)
        show = warnings.showwarning

        def keep(message: Warning | str, *arguments: Any, **keywords: Any) -> None:
            found = re.match(_NO_DETERMINISTIC, str(message))
            if found is None:
                show(message, *arguments, **keywords)
            elif found[1] not in record.operators:
                record.operators.append(found[1])

        warnings.showwarning = keep
        yield
