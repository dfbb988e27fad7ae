from __future__ import annotations

import subprocess
import sys

from foodvision.models.build import architectures
from foodvision.models.names import OWN_NETWORKS, architecture_names
from foodvision.models.networks import NETWORKS


def test_names_read_from_the_source_are_those_that_torchvision_lists() -> None:
    assert architecture_names() == architectures()
    assert len(architecture_names()) >= 80


def test_own_networks_are_named() -> None:
    assert set(OWN_NETWORKS) == set(NETWORKS)


def test_names_need_no_torch() -> None:
    code = (
        "import sys; from foodvision.models.names import architecture_names as names; "
        "print(len(names()) > 0, 'torch' in sys.modules, 'torchvision' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False"]
