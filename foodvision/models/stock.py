"""torchvision, imported without torch's compiler.

One line of torchvision (`torchvision.ops.roi_align`, which detectors use) asks torch's compiler for
a function, and thereby imports all of it: a second or two in every process, and nothing of ours
uses it. While torchvision is imported, a stand-in answers; it asks the compiler when it is called.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

import torch  # noqa: F401 - its own import looks at the compiler's name, and must see none

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["torchvision"]

_COMPILER = "torch._dynamo"
_ASKED = f"{_COMPILER}.utils"


@contextmanager
def _without_compiler() -> Iterator[None]:
    if _COMPILER in sys.modules:
        yield
        return
    stand_ins = {_COMPILER: ModuleType(_COMPILER), _ASKED: ModuleType(_ASKED)}
    stand_ins[_COMPILER].__path__ = []  # a package
    vars(stand_ins[_ASKED])["is_compile_supported"] = _is_compile_supported
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]


def _is_compile_supported(device_type: str) -> bool:
    return bool(import_module(_ASKED).is_compile_supported(device_type))


try:
    with _without_compiler():
        import torchvision
except (ImportError, AttributeError):  # a torchvision that asks for more
    import torchvision
