from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from matplotlib.text import Text

from foodvision.report import style
from tests.report.looks import Gallery

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure


@pytest.fixture
def gallery(monkeypatch: pytest.MonkeyPatch) -> Gallery:
    gallery = Gallery()
    save, draw = style.save_picture, Text.draw

    def save_and_keep(figure: Figure, path: Path) -> Path:
        gallery.figure = figure
        gallery.drawn = {}
        return save(figure, path)

    def draw_and_keep(text: Text, renderer: Any, *args: Any, **kwargs: Any) -> None:
        if text.get_visible() and text.get_text().strip():
            gallery.drawn[id(text)] = text
        draw(text, renderer, *args, **kwargs)

    monkeypatch.setattr(style, "save_picture", save_and_keep)
    monkeypatch.setattr(Text, "draw", draw_and_keep)
    return gallery


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that does not exist yet, with a name that shells dislike."""
    return tmp_path / 'it\'s a "folder" · ピザ'
