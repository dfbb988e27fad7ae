"""Names of saved models: typed in a shell without quotes, short enough for every disk."""

from __future__ import annotations

import pytest

from tasks.publishing import file_name


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("pizza_10 · 5 epochs · effnetb0", "pizza_10_5-epochs_effnetb0"),
        ("ピザ · lr 0.001", "ピザ_lr-0.001"),
        ('it\'s "quoted" & <odd>', "it-s-quoted-odd"),
        ("...", "cell"),
    ],
)
def test_labels_become_file_names(label: str, name: str) -> None:
    assert file_name(label) == name


def test_long_names_are_cut_between_characters() -> None:
    name = file_name("ピ" * 200)
    assert name == "ピ" * 60
    assert len(name.encode()) <= 180
