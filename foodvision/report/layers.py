"""Where the boxes of a directed graph stand: in layers, so that every arrow points downwards.

Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures"
(1981): longest paths give the layers, barycentres the order in each, and an arrow that passes
layers bends around what stands there.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Edge = tuple[str, str]

_SWEEPS = 8
_WAYPOINT_WIDTH = 24.0


@dataclass(frozen=True)
class Layout:
    """Places, in the unit of the sizes that were given; y grows downwards.

    Attributes:
        places: centre and top (x, y) of each box.
        routes: of each edge the points (x, y) between its ends where it passes a layer: above and
            below it.
        width: of all.
        height: of all.
    """

    places: Mapping[str, tuple[float, float]]
    routes: Mapping[Edge, Sequence[tuple[float, float]]]
    width: float
    height: float


def lay_out(
    sizes: Mapping[str, tuple[float, float]],
    edges: Sequence[Edge],
    *,
    gap: float,
    layer_gap: float,
) -> Layout:
    """Place boxes in layers.

    Args:
        sizes: width and height of every box.
        edges: from a box to one that stands below it; without cycles.
        gap: between neighbours of a layer.
        layer_gap: between layers.

    Raises:
        ValueError: the edges have a cycle.
    """
    depth = _depths(list(sizes), edges)
    chains = {edge: _chain(edge, depth) for edge in dict.fromkeys(edges)}
    widths = {name: width for name, (width, _) in sizes.items()}
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in sizes:
        layers[depth[name]].append(name)
    for (source, _), chain in chains.items():
        for place, waypoint in enumerate(chain[1:-1], start=depth[source] + 1):
            layers[place].append(waypoint)
            widths[waypoint] = _WAYPOINT_WIDTH
    links = [link for chain in chains.values() for link in pairwise(chain)]
    _order(layers, links)
    centres, width = _centres(layers, links, widths, gap)
    tops, bottoms = _rows(layers, sizes, layer_gap)
    return Layout(
        places={name: (centres[name], tops[depth[name]]) for name in sizes},
        routes={
            (source, target): [
                point
                for at, waypoint in enumerate(chain[1:-1], start=depth[source] + 1)
                for point in ((centres[waypoint], tops[at]), (centres[waypoint], bottoms[at]))
            ]
            for (source, target), chain in chains.items()
        },
        width=width,
        height=bottoms[-1] if bottoms else 0.0,
    )


def _depths(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Return the length of the longest path to each box."""
    depth = dict.fromkeys(names, 0)
    for _ in names:
        changed = False
        for source, target in edges:
            if depth[target] <= depth[source]:
                depth[target] = depth[source] + 1
                changed = True
        if not changed:
            return depth
    if edges:
        raise ValueError("what something is made of cannot be made of it: the edges have a cycle")
    return depth


def _chain(edge: Edge, depth: Mapping[str, int]) -> list[str]:
    """Return an edge's ends, and between them the name of a waypoint in every layer it passes."""
    source, target = edge
    passed = range(depth[source] + 1, depth[target])
    return [source, *(f"{source}\0{target}\0{layer}" for layer in passed), target]


def _neighbours(links: Sequence[Edge]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for source, target in links:
        above.setdefault(target, []).append(source)
        below.setdefault(source, []).append(target)
    return above, below


def _order(layers: Sequence[list[str]], links: Sequence[Edge]) -> None:
    """Sort every layer by the mean place of what it is linked to, down and up in turns."""
    for near, layer in _sweeps(layers, links):
        spots = {name: float(spot) for each in layers for spot, name in enumerate(each)}
        wanted = {name: _mean(near.get(name, ()), spots, spots[name]) for name in layer}
        layer.sort(key=wanted.__getitem__)


def _sweeps(
    layers: Sequence[list[str]], links: Sequence[Edge]
) -> Iterator[tuple[Mapping[str, Sequence[str]], list[str]]]:
    """Yield each layer often, with what it is linked to above it, or below it."""
    above, below = _neighbours(links)
    for sweep in range(_SWEEPS):
        near, ways = (above, layers[1:]) if sweep % 2 == 0 else (below, layers[-2::-1])
        yield from ((near, layer) for layer in ways)


def _mean(names: Sequence[str], places: Mapping[str, float], otherwise: float) -> float:
    return sum(places[name] for name in names) / len(names) if names else otherwise


def _centres(
    layers: Sequence[list[str]],
    links: Sequence[Edge],
    widths: Mapping[str, float],
    gap: float,
) -> tuple[dict[str, float], float]:
    """Place each layer as near as its width allows to what it is linked to."""
    centres: dict[str, float] = {}
    for layer in layers:
        _pack(layer, centres, widths, gap, dict.fromkeys(layer, 0.0))
    for near, layer in _sweeps(layers, links):
        wanted = {name: _mean(near.get(name, ()), centres, centres[name]) for name in layer}
        _pack(layer, centres, widths, gap, wanted)
    left = min((centres[name] - widths[name] / 2 for name in centres), default=0.0)
    right = max((centres[name] + widths[name] / 2 for name in centres), default=0.0)
    return {name: centre - left for name, centre in centres.items()}, right - left


def _pack(
    layer: Sequence[str],
    centres: dict[str, float],
    widths: Mapping[str, float],
    gap: float,
    wanted: Mapping[str, float],
) -> None:
    """Put a layer where it wants to be, in its order, without overlaps: all moved alike."""
    at, packed = float("-inf"), {}
    for name in layer:
        at = max(wanted[name], at + gap + widths[name] / 2)
        packed[name] = at
        at += widths[name] / 2
    shift = sum(wanted[name] - packed[name] for name in layer) / max(len(layer), 1)
    centres.update({name: centre + shift for name, centre in packed.items()})


def _rows(
    layers: Sequence[Sequence[str]], sizes: Mapping[str, tuple[float, float]], layer_gap: float
) -> tuple[list[float], list[float]]:
    """Return where each layer begins and ends."""
    tops, bottoms, y = [], [], 0.0
    for layer in layers:
        tops.append(y)
        y += max(sizes[name][1] for name in layer if name in sizes)
        bottoms.append(y)
        y += layer_gap
    return tops, bottoms
