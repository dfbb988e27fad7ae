from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from foodvision.report.graphs import Box, draw_graph

LABELS = {
    "quotes": "mlp \"quick\" & 'dirty'",
    "script": "</text></svg><script>alert(1)</script>",
    "Japanese": "ピザとステーキと寿司の" * 20,
    "one long word": "x" * 200,
    "many words": "a label of many words " * 10,
    "control characters": "a\x00b\x1b[31mc\ud800",
    "nothing": "",
}


def texts(svg: str) -> list[str]:
    root = ET.fromstring(svg)
    assert not [each for each in root.iter() if each.tag.endswith("script")]
    return [each.text or "" for each in root.iter() if each.tag.endswith("}text")]


@pytest.mark.parametrize("label", LABELS.values(), ids=LABELS)
def test_any_label_is_text_in_a_box(label: str) -> None:
    boxes = {"a": Box("model", "", label), "b": Box("result", "3f2a91c0", "test 0.9712")}
    svg = draw_graph(boxes, [("a", "b")], title=label)
    _, *lines = texts(svg)[: texts(svg).index("result 3f2a91c0")]
    assert len(lines) <= 4
    kept = "".join(each if each.isprintable() else "�" for each in label)
    shown = "".join(lines).replace(" ", "")
    assert shown.removesuffix("…") in kept.replace(" ", "")
    assert shown.endswith("…") == (len(kept) > 120)
    assert all(len(line) <= 33 for line in lines)
    titles = [e.text or "" for e in ET.fromstring(svg).iter() if e.tag.endswith("}title")]
    assert any(kept in title for title in titles[1:])  # whole, for whoever points at the box


def test_equal_graphs_are_equal_pictures_and_kinds_have_colours() -> None:
    kinds = ("model", "result", "run", "score", "state", "rows", "weights", "images", "dataset")
    boxes = {kind: Box(kind, "", kind) for kind in kinds}
    edges = [("model", kind) for kind in kinds[1:]]
    first, second = (draw_graph(boxes, edges, title="all") for _ in range(2))
    assert first == second
    strips = [e.get("fill") for e in ET.fromstring(first).iter() if e.get("fill")]
    assert len(set(strips)) == len(kinds)
    assert "prefers-color-scheme: dark" in first
    assert "http" not in first.replace('xmlns="http://www.w3.org/2000/svg"', "")
