"""torchvision comes without torch's compiler, and works with it."""

from __future__ import annotations

import subprocess
import sys

_CODE = """
import sys
from foodvision.models import build
from foodvision.models.stock import torchvision
from foodvision.models.architectures import BuildSettings, build_bare, weightless
with weightless():
    for arch in ("efficientnet_b0", "mobilenet_v2", "resnet18", "squeezenet1_0", "vit_b_32"):
        module, _ = build_bare(BuildSettings(arch, 3))
        assert all(value.is_meta for value in module.parameters())
assert "torch._dynamo" not in sys.modules
import torch
boxes = torch.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]])
ones = torchvision.ops.roi_align(torch.ones(1, 1, 8, 8), boxes, 2)
assert ones.tolist() == [[[[1.0, 1.0], [1.0, 1.0]]]]
"""


def test_the_compiler_is_not_imported_until_somebody_needs_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CODE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
