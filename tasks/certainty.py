"""How sure a plan's winner is: the answers of its cells on the test images, held side by side."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

import warehouse
from foodvision.errors import WarehouseError
from foodvision.evaluate.certainty import Certainty, Standing, judge
from foodvision.evaluate.resampling import Outcomes, Resampled, resample
from foodvision.hashing import digest
from warehouse import reading
from warehouse.ranking import counting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from foodvision.home import Home

Row = dict[str, Any]

# Ranked by these, the first is the first: no image says anything about it.
_WITHOUT_CHANCE = frozenset({"seconds", "params"})
_SMALLEST_LOSS = 1e-300  # of probability: what float64 rounds to 0
_NAMED = 4
_KEYS = ("verdict", "chance_best", "behind", "behind_low", "behind_high")


@dataclass(frozen=True)
class Configuration:
    """Cells that differ in their seed alone; they share a rank.

    Attributes:
        rank: from 1.
        label: what the plan calls it, without the seed where it has several.
        axes: label of the choice by dotted path, without the seed.
        rows: of the leaderboard, one per seed.
    """

    rank: int
    label: str
    axes: Mapping[str, str]
    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, eq=False)
class Judged:
    """What the test images say of a leaderboard.

    Attributes:
        configurations: those with a rank, best first; the first is the named winner.
        by: the metric that decides the ranking.
        score: what is held side by side: accuracy or loss, on the test images.
        resampled: the score of each configuration.
        certainty: of the winner, configurations in the same order.
    """

    configurations: tuple[Configuration, ...]
    by: str
    score: str
    resampled: Resampled
    certainty: Certainty

    def columns(self, row: Mapping[str, Any]) -> Row:
        """Return what a row of the leaderboard is told about itself; None where it has no rank."""
        standing = self.standing(row["rank"])
        if standing is None:
            return dict.fromkeys(_KEYS)
        return {
            "verdict": standing.verdict,
            "chance_best": standing.chance,
            "behind": standing.behind,
            "behind_low": standing.behind_low,
            "behind_high": standing.behind_high,
        }

    def standing(self, rank: int | None) -> Standing | None:
        """Return how the configuration of a rank stands; None where it has no rank."""
        return None if rank is None else self._by_rank.get(rank)

    @property
    def winner(self) -> Standing:
        """Return the standing of the named winner."""
        return self.certainty.standings[0]

    @property
    def tied(self) -> list[Configuration]:
        """Return the configurations that cannot be told from the winner."""
        return self._with_verdict("tied")

    def sentences(self) -> list[str]:
        """Return in words how sure the winner is."""
        others = len(self.configurations) - 1
        if not others:
            return ["It is the only configuration with a result, so there was nothing to choose."]
        return [
            self._comparison(others),
            *(f"{line[0].upper()}{line[1:]}." for line in self.chances()),
            *self._optimism(others),
            self._seeds(),
        ]

    def chances(self) -> list[str]:
        """Return in words the winner's chance, and whose is higher.

        Another metric than the score on the test images may have ranked them.
        """
        count, standings = len(self.configurations), self.certainty.standings
        chance = _chance(self.winner.chance)
        found = [f"chance that the first of {count} is the best on the test images: {chance}"]
        likeliest = max(range(count), key=lambda place: standings[place].chance)
        if standings[likeliest].chance > self.winner.chance:
            name = self.configurations[likeliest].label
            chance = _chance(standings[likeliest].chance)
            found.append(f"likelier the best on the test images: {name}, {chance}")
        return found

    @cached_property
    def _by_rank(self) -> dict[int, Standing]:
        return {
            configuration.rank: standing
            for configuration, standing in zip(
                self.configurations, self.certainty.standings, strict=True
            )
        }

    def _with_verdict(self, verdict: str) -> list[Configuration]:
        return [each for each in self.configurations if self._by_rank[each.rank].verdict == verdict]

    def _comparison(self, others: int) -> str:
        images = f"{self.certainty.images:,} test images (95 %, all {others + 1} compared)"
        tied, better = self.tied, self._with_verdict("better")
        if better:
            return f"{_named(better)} {_is_are(better)} better on the {images}."
        if tied:
            return f"{_named(tied)} cannot be told from it on the {images}."
        other = "the other" if others == 1 else f"all {others} others"
        return f"It is better than {other} on the {images}."

    def _optimism(self, others: int) -> list[str]:
        if not self.by.startswith("test."):
            return ["It was not chosen by its test score, so that score is not flattered."]
        if self.certainty.optimism < 0.00005:
            return []
        change = "more" if self.score == "loss" else "less"
        return [
            f"Choosing the best of {others + 1} by the images that score it flatters: on new "
            f"images, expect a test {self.score} of about {self.certainty.optimism:.4f} {change}."
        ]

    def _seeds(self) -> str:
        deviation = self.certainty.seed_deviation
        if deviation is None:
            return "Each was trained with one seed: what another seed would change is not known."
        return f"Seeds of one configuration differ by {deviation:.4f} (standard deviation)."


def judge_leaderboard(rows: Sequence[Mapping[str, Any]], *, by: str, home: Home) -> Judged | None:
    """Judge a leaderboard by the answers on the test images.

    Whatever decides the ranking, the test images are what all models were scored on: accuracy
    where accuracies decide it, loss where losses do.

    Args:
        rows: of one leaderboard, as `rank_cells` returns them.
        by: the metric that decides it.
        home: whose warehouse holds the answers.

    Returns:
        `None` where there is nothing to judge: no result, or a ranking by seconds or parameters.

    Raises:
        WarehouseError: the warehouse cannot be read.
    """
    configurations = tuple(
        replace(each, rows=tuple(counting(each.rows))) for each in read_configurations(rows)
    )
    if not configurations or by in _WITHOUT_CHANCE:
        return None
    results = list(dict.fromkeys(row["result_key"] for each in configurations for row in each.rows))
    answers = read_answers(results, home)
    score = "loss" if by.endswith("loss") else "accuracy"
    outcomes = _outcomes(answers, results, configurations, score)
    if outcomes is None:
        return None
    seed = int(digest(sorted(results))[:16], 16)
    resampled = resample(outcomes, seed=seed)
    certainty = judge(resampled, winner=0, is_better_high=score == "accuracy")
    return Judged(configurations, by, score, resampled, certainty)


def read_configurations(rows: Sequence[Mapping[str, Any]]) -> tuple[Configuration, ...]:
    """Return the ranked configurations of a leaderboard, best first."""
    by_rank: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["rank"] is not None and row["result_key"]:
            by_rank.setdefault(row["rank"], []).append(row)
    return tuple(_configuration(rank, group) for rank, group in sorted(by_rank.items()))


def read_answers(results: Sequence[str], home: Home) -> pa.Table:
    """Return the answers of results on the images that they were scored on.

    Raises:
        WarehouseError: the warehouse cannot be read.
    """
    try:
        return reading.answers(home.warehouse, results)
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error


def _configuration(rank: int, rows: Sequence[Mapping[str, Any]]) -> Configuration:
    axes = json.loads(rows[0]["axes_json"])
    axes.pop("seed", None)
    return Configuration(rank, label_without_seed(rows), axes, tuple(rows))


def label_without_seed(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what the plan calls a configuration, without the seed where it has several."""
    label = str(rows[0]["label"])
    seed = json.loads(rows[0]["axes_json"]).get("seed")
    if len(rows) > 1 and seed is not None:
        return " · ".join(part for part in label.split(" · ") if part != f"seed {seed}") or label
    return label


def answer_values(answers: pa.Table, results: Sequence[str], score: str) -> np.ndarray:
    """Return float64 [R, N]: how good each result is on each image that any was scored on.

    Args:
        answers: as `read_answers` returns them for these results.
        results: their keys.
        score: accuracy (1 for right, 0 for wrong) or loss; NaN where an image was not scored.
    """
    result, image = (answers.column(name).to_numpy() for name in ("result", "image"))
    values = np.full((len(results), int(image.max(initial=-1)) + 1), np.nan)
    values[result, image] = _scores(answers, score)
    return values


def _outcomes(
    answers: pa.Table,
    results: Sequence[str],
    configurations: Sequence[Configuration],
    score: str,
) -> Outcomes | None:
    """Return the answers as numbers; None where a result has none."""
    values = answer_values(answers, results, score)
    if np.isnan(values).all(axis=1).any():
        return None
    places = {key: place for place, key in enumerate(results)}
    members = [
        (places[row["result_key"]], number)
        for number, configuration in enumerate(configurations)
        for row in configuration.rows
    ]
    chosen, numbers = (np.array(column) for column in zip(*members, strict=True))
    return Outcomes(values[chosen], numbers, is_share=score == "accuracy")


def _scores(answers: pa.Table, score: str) -> np.ndarray:
    if score == "accuracy":
        right: np.ndarray = answers.column("is_correct").to_numpy().astype(np.float64)
        return right
    given = answers.column("true_probability").to_numpy()
    losses: np.ndarray = -np.log(np.maximum(given, _SMALLEST_LOSS))
    return losses


def _named(configurations: Sequence[Configuration]) -> str:
    names = ", ".join(each.label for each in configurations[:_NAMED])
    rest = len(configurations) - _NAMED
    if rest > 0:
        return f"{len(configurations)} others ({names} and {rest} more)"
    return f"{len(configurations)} {'other' if len(configurations) == 1 else 'others'} ({names})"


def _is_are(things: Sequence[object]) -> str:
    return "is" if len(things) == 1 else "are"


def _chance(chance: float) -> str:
    if chance >= 0.995:
        return "above 0.99"
    return "below 0.01" if chance < 0.01 else f"{chance:.2f}"
