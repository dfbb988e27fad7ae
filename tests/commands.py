"""Our commands, as a user types them, in a process of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# ImageNet weights that may lie beside the real photos.
WEIGHTS = {
    "mobilenet_v2": "mobilenet_v2-imagenet-qat.pth",
    "squeezenet1_0": "squeezenet1_0-imagenet-pruned.pth",
}


def command(*words: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run an installed command in the root of the repository; return what became of it."""
    found = Path(sys.executable).with_name(words[0])
    return subprocess.run(
        [str(found), *words[1:]],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )
