from __future__ import annotations

import math

import pytest

from foodvision.report.tables import (
    LeaderboardRow,
    duration,
    escape_markdown,
    file_size,
    leaderboard_markdown,
    work_markdown,
)


def test_the_leaderboard_reads_row_by_row() -> None:
    rows = [
        LeaderboardRow(
            1,
            "tiny_vgg · 5 epochs",
            test_accuracy=0.92,
            test_loss=0.25,
            seconds_alone=95.2,
            seconds_paid=0.04,
            params_total=4_011_391,
            model_bytes=16_300_000,
            is_best=True,
        ),
        LeaderboardRow(2, "a|b", "diverged", test_accuracy=0.1, test_loss=math.nan),
        LeaderboardRow(None, "bad", "failed"),
    ]
    assert leaderboard_markdown(rows).splitlines() == [
        "| # | cell | test accuracy | test loss | alone | paid | parameters | size |",
        "| ---: | :--- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| 🏆 1 | tiny\\_vgg · 5 epochs | 0.920 | 0.2500 | 1 min 35 s | 0.0 s | 4,011,391 | 16.3 MB |",  # noqa: E501
        "| 2 | a\\|b (diverged) | 0.100 | – | – | – | – | – |",
        "| – | bad (failed) | – | – | – | – | – | – |",
    ]


def test_a_long_leaderboard_is_cut_and_says_so() -> None:
    rows = [LeaderboardRow(rank, f"cell {rank}") for rank in range(1, 8)]
    assert leaderboard_markdown(rows, limit=5).endswith("\n\n… 2 more")
    assert leaderboard_markdown(rows, limit=7).count("| cell ") == 8  # with the header
    assert "more" not in leaderboard_markdown(rows, limit=7)
    assert leaderboard_markdown([]) == "No cells yet."


def test_predicted_work_stands_beside_counted_work() -> None:
    predicted = {"epochs": 60, "forward_images": 1200, "seconds": 24.0, "bytes": None}
    counted = {"epochs": 60, "forward_images": 1300, "seconds": 25.0, "bytes": 2048, "hits": 3}
    assert work_markdown(predicted, counted).splitlines()[2:] == [
        "| epochs | 60 | 60 | as predicted |",
        "| forward images | 1,200 | 1,300 | differs |",
        "| seconds | 24 s | 25 s |  |",
        "| bytes | – | 2.05 kB |  |",
        "| hits | – | 3 |  |",
    ]
    assert work_markdown({}, {}) == "No work."


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("two\nlines | pipe", "two lines \\| pipe"),
        ("<script>", "\\<script\\>"),
        ("[a](b) ![c]", "\\[a\\](b) \\!\\[c\\]"),
        ("ピザ 🍕", "ピザ 🍕"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_cells_read_as_plain_text(text: str, wanted: str) -> None:
    assert escape_markdown(text) == wanted


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        (None, "–"),
        (math.inf, "–"),
        (0.04, "0.0 s"),
        (9.96, "10 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations(seconds: float | None, wanted: str) -> None:
    assert duration(seconds) == wanted


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        (None, "–"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_600, "1 MB"),
        (16_300_000, "16.3 MB"),
        (512_000_000, "512 MB"),
        (5e12, "5000 GB"),
    ],
)
def test_file_sizes(size: float | None, wanted: str) -> None:
    assert file_size(size) == wanted
