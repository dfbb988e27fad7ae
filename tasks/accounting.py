"""Counted work held against predicted work: a plain run's are equal, or there is a defect."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from foodvision.plan.work import Tally, predict_training

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foodvision.plan.work import Work


def fallen_words(predicted: int, counted: int, leaderboard: Sequence[Mapping[str, Any]]) -> str:
    """Say how many predicted epochs were not trained because cells diverged; nothing if none did.

    Args:
        predicted: epochs that the compiler predicted.
        counted: epochs that were trained.
        leaderboard: of the run's plan.
    """
    trained = [row for row in leaderboard if row["kind"] == "trained"]
    diverged = sum(row["status"] == "diverged" for row in trained)
    less = predicted - counted
    if not diverged or less <= 0:
        return ""
    stopped = any(
        row["status"] == "completed" and row["epochs_trained"] != row["epochs"] for row in trained
    )
    failed = any(row["status"] == "failed" for row in trained)
    others = [", others were stopped"] * stopped + [", others failed"] * failed
    return (
        f"{less:,} {'epoch' if less == 1 else 'epochs'} fell away: "
        f"{diverged:,} {'cell' if diverged == 1 else 'cells'} diverged{''.join(others)}"
    )


def find_defect(work: Work, counted: Tally, events: Sequence[Mapping[str, Any]]) -> str | None:
    """Return how counted work contradicts predicted work; `None` where it does not.

    They need not agree where a cell failed or diverged, where memory was too small for a stage and
    it was done in another way, or where a stage, whole or in part, was found when its turn came
    because another run had computed it in the meantime. Where stop rules decide, what was predicted
    is a bound.

    Args:
        work: as planned.
        counted: what all stages together counted.
        events: the run's journal, with a `cell` event for every cell.
    """
    predicted, done = asdict(work.predicted), asdict(counted)
    unequal = [
        f"{name.replace('_', ' ')} {predicted[name]:,} predicted, {done[name]:,} counted"
        for name in predicted
        if predicted[name] < done[name] or (predicted[name] > done[name] and not work.is_bound)
    ]
    if not unequal or _may_differ(work, events):
        return None
    rule = "be at most" if work.is_bound else "equal"
    return (
        f"counted work must {rule} predicted work where every cell completed and nobody else "
        f"computed, but: {'; '.join(unequal)}. Results are not touched by this; it is a defect of "
        "the compiler, please report it with the run's journal."
    )


def _may_differ(work: Work, events: Sequence[Mapping[str, Any]]) -> bool:
    outcomes = {event["cell_id"]: event["status"] for event in events if event["event"] == "cell"}
    if any(outcomes.get(cell_id) != "completed" for cell_id in work.waiting):
        return True
    if any(event["event"] == "decision" for event in events):
        return True
    tallies = {
        (event["kind"], event["key"]): Tally(**event["tally"])
        for event in events
        if event["event"] == "stage" and event["error"] is None
    }
    return _rows_found(work, tallies) or _states_found(work, tallies)


def _rows_found(work: Work, tallies: Mapping[tuple[str, str], Tally]) -> bool:
    for job in work.rows:
        tally = tallies.get((job.recipe.kind, job.recipe.key), Tally())
        if not job.live and tally.bytes_written < job.bytes_missing:
            return True
    return False


def _states_found(work: Work, tallies: Mapping[tuple[str, str], Tally]) -> bool:
    """Say whether another run had computed a span, a view or scores when their turn came."""
    for job in work.training:
        if job.may_end:
            continue  # a stop rule ended it
        tally = tallies.get(("train", job.span.key), Tally())
        if tally.scored_images < predict_training(job).scored_images:
            return True
    for score in work.scoring:
        tally = tallies.get(("score", score.score_key), Tally())
        if tally.scored_images < len(score.epochs) * len(score.images.images):
            return True
    return any(
        tallies.get(("view", job.key), Tally()).scored_images < len(job.score.images.images)
        for job in work.views
    )
