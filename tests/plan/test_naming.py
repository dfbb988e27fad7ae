from __future__ import annotations

import pytest

from foodvision.plan.naming import hint, meant

LABELS = (
    "mlp · sgd · 5 epochs",
    "mlp · sgd · 15 epochs",
    "tiny_vgg · sgd · 5 epochs",
    "mlp · lr 0.1 · 5 epochs",
    "ピザ · 5",
    "all",
    "all of them",
    "pizza 7 · flips",
    "pizza 7",
)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        pytest.param("all", ["all"], id="itself, though another one has its words"),
        ("mlp sgd 15", ["mlp · sgd · 15 epochs"]),
        ("15 MLP", ["mlp · sgd · 15 epochs"]),
        pytest.param("mlp sgd 5", ["mlp · sgd · 5 epochs"], id="a number is one as a whole"),
        ("tiny", ["tiny_vgg · sgd · 5 epochs"]),
        ("ti sg", ["tiny_vgg · sgd · 5 epochs"]),
        ("mlp 0.1", ["mlp · lr 0.1 · 5 epochs"]),
        ("ﾋﾟｻﾞ", ["ピザ · 5"]),
        ("ザ 5", ["ピザ · 5"]),
        pytest.param("piz", ["pizza 7"], id="the cell, not its views"),
        ("7 flips", ["pizza 7 · flips"]),
        ("mlp sgd", ["mlp · sgd · 5 epochs", "mlp · sgd · 15 epochs"]),
        ("gd", []),
        ("mlp adam", []),
        (" · ", []),
        ("", []),
    ],
)
def test_a_label_may_be_shortened_to_words_of_it(name: str, labels: list[str]) -> None:
    assert meant(name, LABELS) == labels


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("mpl · sgd · 5 epochs", "; did you mean 'mlp · sgd · 5 epochs'?"),
        (
            "mlp sgd",
            "; it may mean 'mlp · sgd · 5 epochs', 'mlp · sgd · 15 epochs': write more of it.",
        ),
        (
            "xyzzy",
            "; known: mlp · sgd · 5 epochs, mlp · sgd · 15 epochs, tiny_vgg · sgd · 5 epochs, "
            "mlp · lr 0.1 · 5 epochs, ピザ · 5 and 4 more.",
        ),
    ],
)
def test_a_hint_ends_the_sentence(name: str, end: str) -> None:
    assert hint(name, LABELS) == end


def test_without_any_name_there_is_nothing_to_hint_at() -> None:
    assert hint("mlp", []) == "."
