"""The names of all architectures, without importing torch or torchvision.

Commands that train nothing must know them too, to tell a typo. torchvision registers its networks
by a decorator; the names are read from its source text, which takes milliseconds instead of the
seconds of an import. A test compares them with what torchvision itself lists.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

OWN_NETWORKS = ("mlp", "tiny_vgg")

_REGISTERED = re.compile(r"^@register_model\(\)\n(?:@.*\n(?:.*\n)*?)?def (\w+)", re.MULTILINE)


@lru_cache(maxsize=1)
def architecture_names() -> tuple[str, ...]:
    """Return torchvision's classification networks and our own, sorted.

    Empty where torchvision's source cannot be read: then nobody can tell a typo this early.
    """
    spec = find_spec("torchvision")
    places = (spec.submodule_search_locations or ()) if spec else ()
    stock = {
        name
        for place in places
        for file in (Path(place) / "models").glob("*.py")
        for name in _REGISTERED.findall(file.read_text(encoding="utf-8"))
    }
    return tuple(sorted(stock.union(OWN_NETWORKS))) if stock else ()
