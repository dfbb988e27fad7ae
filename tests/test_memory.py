"""Freed memory stays with the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

_FAULTS = """
import resource
import numpy as np
{prepare}
np.ones(64 << 20, dtype=np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(64 << 20, dtype=np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_large_blocks_are_found_again_without_a_page_fault_each() -> None:
    prepare = "from foodvision.memory import keep_freed_memory; assert keep_freed_memory()"
    assert _page_faults(prepare) < _page_faults("") / 10


def _page_faults(prepare: str) -> int:
    code = _FAULTS.format(prepare=prepare)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout)
