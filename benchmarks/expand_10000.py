"""Expand a plan of 10,000 cells: at most 5 s and 500 MB.

Run: python benchmarks/expand_10000.py
"""

from __future__ import annotations

import json
import resource
import sys
import time

from foodvision.plan.expand import expand
from foodvision.plan.load import load_plan

CELLS = 10_000
MAX_SECONDS = 5.0
MAX_MEGABYTES = 500.0
PLAN = {
    "name": "ten thousand",
    "data": {"a": {"source": "./a"}, "b": {"source": "./b"}},
    "base": {
        "data": "a",
        "test": "a",
        "model": {"arch": "tiny_vgg"},
        "transform": {"size": 32},
        "batch_size": 32,
        "epochs": 5,
        "optimizer": {"kind": "adam", "lr": 0.001},
    },
    "grid": {
        "data": ["a", "b"],
        "model": {
            name: {"arch": name} for name in ("tiny_vgg", "resnet18", "mlp", "alexnet", "vgg11")
        },
        "optimizer": {
            "adam": {"kind": "adam", "lr": 0.001},
            "sgd": {"kind": "sgd", "lr": 0.1},
        },
        "optimizer.lr": [10**-power for power in range(1, 6)],
        "batch_size": [8, 16, 32, 64, 128],
        "epochs": [5, 10],
    },
    "seeds": 10,
}


def main() -> int:
    """Print one line of JSON; return 1 where a bound is broken."""
    started = time.perf_counter()
    plan = load_plan(PLAN)
    loaded = time.perf_counter()
    cells = expand(plan)
    expanded = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = {
        "cells": len(cells),
        "load_seconds": round(loaded - started, 3),
        "expand_seconds": round(expanded - loaded, 3),
        "peak_megabytes": round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1),
    }
    print(json.dumps(result))
    is_within = (
        len(cells) == CELLS
        and expanded - started <= MAX_SECONDS
        and result["peak_megabytes"] <= MAX_MEGABYTES
    )
    return 0 if is_within else 1


if __name__ == "__main__":
    sys.exit(main())
