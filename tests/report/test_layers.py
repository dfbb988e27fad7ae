from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foodvision.report.layers import lay_out

GAP, LAYER_GAP = 10.0, 30.0


@st.composite
def graphs(draw: st.DrawFn) -> tuple[dict[str, tuple[float, float]], list[tuple[str, str]]]:
    count = draw(st.integers(0, 9))
    sides = st.floats(1, 200, allow_nan=False)
    sizes = {str(number): (draw(sides), draw(sides)) for number in range(count)}
    edges = [edge for edge in combinations(sizes, 2) if draw(st.booleans())]
    return sizes, draw(st.permutations(edges))


@given(graphs())
def test_arrows_point_downwards_and_boxes_stand_apart(
    graph: tuple[dict[str, tuple[float, float]], list[tuple[str, str]]],
) -> None:
    sizes, edges = graph
    layout = lay_out(sizes, edges, gap=GAP, layer_gap=LAYER_GAP)
    assert layout.routes.keys() == set(edges)
    for (source, target), route in layout.routes.items():
        bottom = layout.places[source][1] + sizes[source][1]
        ys = [bottom, *(y for _, y in route), layout.places[target][1]]
        assert all(above <= below for above, below in pairwise(ys))
        assert layout.places[target][1] >= bottom + LAYER_GAP - 1e-6
    for one, other in combinations(sizes, 2):
        (x, y), (to_x, to_y) = layout.places[one], layout.places[other]
        apart = (sizes[one][0] + sizes[other][0]) / 2 + GAP
        assert y != to_y or abs(x - to_x) >= apart - 1e-6
    for name, (width, height) in sizes.items():
        x, y = layout.places[name]
        assert x - width / 2 >= -1e-6
        assert x + width / 2 <= layout.width + 1e-6
        assert 0 <= y <= y + height <= layout.height + 1e-6


def test_a_long_arrow_passes_beside_the_boxes_between() -> None:
    sizes = {"top": (100.0, 20.0), "middle": (100.0, 20.0), "bottom": (100.0, 20.0)}
    edges = [("top", "middle"), ("middle", "bottom"), ("top", "bottom")]
    layout = lay_out(sizes, edges, gap=GAP, layer_gap=LAYER_GAP)
    ((x, above), (_, below)) = layout.routes["top", "bottom"]
    assert abs(x - layout.places["middle"][0]) >= 50 + GAP
    assert (above, below) == (50.0, 70.0)


def test_what_is_made_of_itself_is_refused() -> None:
    sizes = {"a": (1.0, 1.0), "b": (1.0, 1.0)}
    with pytest.raises(ValueError, match="cycle"):
        lay_out(sizes, [("a", "b"), ("b", "a")], gap=1, layer_gap=1)
