from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from foodvision.errors import WarehouseError
from foodvision.home import Home
from tasks.certainty import Judged, judge_leaderboard
from tasks.ranking import rank_cells
from tests.boards import make_board
from tests.running import digits_plan

if TYPE_CHECKING:
    from pathlib import Path

    from foodvision.plan.expand import Cell

PLAN = digits_plan(
    """\
grid:
  model.hidden: [8, 16, 32]
""",
    name="board",
    epochs=2,
)
WITH_SEEDS = PLAN + "seeds: 3\n"
_REACHED = {"8": 0.75, "16": 0.93, "32": 0.935}


def _accuracy(cell: Cell) -> float:
    return _REACHED[cell.axes["model.hidden"]]


def _judged(home: Home, text: str = PLAN, by: str = "test.accuracy") -> Judged:
    plan, cells = make_board(home, f"{text}rank: {{by: {by}}}\n", _accuracy)
    judged = judge_leaderboard(rank_cells(plan, cells, home), by=by, home=home)
    assert judged is not None
    return judged


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_near_configurations_tie_and_a_far_one_does_not(home: Home) -> None:
    judged = _judged(home)
    board = [(each.label, each.rank) for each in judged.configurations]
    assert [rank for _, rank in board] == [1, 2, 3]
    assert board[2][0] == "hidden 8"
    verdicts = [standing.verdict for standing in judged.certainty.standings]
    assert verdicts == ["winner", "tied", "worse"]
    first, second = (each.label for each in judged.configurations[:2])
    words = " ".join(judged.sentences())
    assert f"1 other ({second}) cannot be told from it on the 451 test images" in words
    assert f"first of 3 is the best on the test images: {judged.winner.chance:.2f}." in words
    assert "Likelier" not in words
    assert "flatters" in words
    assert "one seed" in words
    assert judged.columns({"rank": 1})["verdict"] == "winner"
    assert judged.columns({"rank": 3})["behind_low"] > 0.1
    assert set(judged.columns({"rank": None}).values()) == {None}
    assert first != second


def test_who_is_likelier_than_the_first_is_named(home: Home) -> None:
    plan, cells = make_board(home, PLAN, _accuracy)
    rows = rank_cells(plan, cells, home)
    by_others = [row | {"rank": 4 - row["rank"]} for row in rows]  # as other images may rank them
    judged = judge_leaderboard(by_others, by="valid.accuracy", home=home)
    assert judged is not None
    chance = max(standing.chance for standing in judged.certainty.standings)
    best = judged.configurations[-1].label
    assert judged.chances() == [
        "chance that the first of 3 is the best on the test images: below 0.01",
        f"likelier the best on the test images: {best}, {chance:.2f}",
    ]
    assert f"Likelier the best on the test images: {best}" in " ".join(judged.sentences())


def test_scores_are_those_of_the_leaderboard(home: Home) -> None:
    judged = _judged(home, WITH_SEEDS)
    for number, configuration in enumerate(judged.configurations):
        found = [row["test_accuracy"] for row in configuration.rows]
        assert len(found) == 3
        assert judged.resampled.means[number] == pytest.approx(sum(found) / 3)


def test_seeds_are_one_configuration_and_leave_its_name(home: Home) -> None:
    judged = _judged(home, WITH_SEEDS)
    assert {each.label for each in judged.configurations} == {f"hidden {n}" for n in (8, 16, 32)}
    assert all("seed" not in each.axes for each in judged.configurations)
    assert judged.certainty.seed_deviation is not None
    assert "Seeds of one configuration differ by" in judged.sentences()[-1]


def test_judging_again_says_the_same(home: Home) -> None:
    first = _judged(home)
    plan, cells = make_board(home, PLAN, _accuracy)
    rows = rank_cells(plan, cells, home)
    again = judge_leaderboard(rows, by="test.accuracy", home=home)
    assert again is not None
    assert again.certainty == first.certainty


def test_losses_are_judged_where_losses_rank(home: Home) -> None:
    judged = _judged(home, by="test.loss")
    assert judged.score == "loss"
    row = judged.configurations[0].rows[0]
    assert judged.resampled.means[0] == pytest.approx(row["test_loss"], rel=1e-4)
    assert judged.certainty.standings[-1].behind > 0


def test_a_winner_chosen_by_other_images_is_not_flattered(home: Home) -> None:
    assert "not flattered" in " ".join(_judged(home, by="valid.accuracy").sentences())


@pytest.mark.parametrize("by", ["seconds", "params"])
def test_images_say_nothing_of_seconds_and_parameters(home: Home, by: str) -> None:
    plan, cells = make_board(home, f"{PLAN}rank: {{by: {by}}}\n", _accuracy)
    assert judge_leaderboard(rank_cells(plan, cells, home), by=by, home=home) is None


def test_cells_without_a_result_do_not_take_part(home: Home) -> None:
    plan, cells = make_board(
        home, PLAN, _accuracy, statuses={"hidden 16": "failed", "hidden 32": "diverged"}
    )
    judged = judge_leaderboard(rank_cells(plan, cells, home), by="test.accuracy", home=home)
    assert judged is not None
    assert [each.label for each in judged.configurations] == ["hidden 8"]
    assert judged.sentences() == [
        "It is the only configuration with a result, so there was nothing to choose."
    ]


def test_no_result_at_all(home: Home) -> None:
    failed = {f"hidden {width}": "failed" for width in (8, 16, 32)}
    plan, cells = make_board(home, PLAN, _accuracy, statuses=failed)
    rows = rank_cells(plan, cells, home)
    assert judge_leaderboard(rows, by="test.accuracy", home=home) is None


def test_a_missing_warehouse_is_told(home: Home) -> None:
    row = {"rank": 1, "result_key": "r", "axes_json": "{}", "label": "a"}
    with pytest.raises(WarehouseError, match="nothing has run yet"):
        judge_leaderboard([row], by="test.accuracy", home=home)
