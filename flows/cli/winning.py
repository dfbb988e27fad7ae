"""The command `foodvision best`: the winner of a plan, how good and how sure."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from flows.cli import tables
from flows.cli.finding import PlanOrLatest, find_plan, leaderboard_of, translated, winner
from flows.cli.options import AsJson, HomeFolder, Overrides, current_home
from flows.cli.ranking import epoch_words, judge
from foodvision.plan.phases import settings_at_end
from foodvision.plan.stopping import stop_words
from foodvision.plan.views import View

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import typer

    from tasks.certainty import Judged
    from warehouse import reading


Row = dict[str, Any]
_Z_95 = 1.959963984540054
_MISTAKES = 3
_MISTAKE_KEYS = (
    "path", "true_class", "predicted_class", "probability", "true_probability", "image_sha256"
)  # fmt: skip
_MOST_CLASSES = 12
_KINDS = {
    "tta": "one model, its probabilities averaged over views",
    "mean": "an ensemble: the mean of its members' probabilities",
    "weighted": "an ensemble: the mean of its members' probabilities by validation accuracy",
    "vote": "an ensemble: the vote of its members",
}
_WORST_CLASSES = 5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision best plans/demo.yaml\n"
            "  mlp · sgd · 10 epochs   (plan demo, ranked by valid.accuracy)\n"
            "  test accuracy 0.9712 on 451 images (95 %: 0.9513 to 0.9831)\n"
            "  macro F1 0.9710, weighted F1 0.9711, top-5 accuracy 0.9978\n"
            "  calibration error 0.0213; scaled by temperature 1.31 (fitted on the\n"
            "    validation images): 0.0121, better"
        )
    )(best)


def best(
    plan: PlanOrLatest = None,
    overrides: Overrides = None,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Show the winner, how good and how sure. Its classes, mistakes, file and pictures."""
    from foodvision.store import Store
    from tasks.gallery import Gallery
    from tasks.reporting import Reporter

    found = find_plan(plan, overrides or ())
    leaderboard = leaderboard_of(found)
    row = winner(found, leaderboard)
    details = _details(row["result_key"])
    images = len(details.predictions)
    low, high = wilson_interval(row["test_accuracy"], images)
    judged = judge(leaderboard, found.rank.by.value)
    place = (found, current_home(), Store(current_home().store))
    gallery, file = Gallery(*place), Reporter(*place).path
    pictures = [str(path) for path in gallery.show(leaderboard).values()]
    report = str(file) if file.is_file() else None
    if as_json:
        sure = {"test_images": images, "test_accuracy_low": low, "test_accuracy_high": high}
        sure |= _certainty_json(judged, row)
        tables.print_json(
            {**row, **sure, **details.to_json(), "pictures": pictures, "report": report}
        )
        return
    chosen = ", the one that ran last" if plan is None else ""
    tables.say(f"{row['label']}   (plan {row['plan']}{chosen}, ranked by {found.rank.by.value})")
    _say_members(row, details.members, leaderboard)
    tables.say(
        f"test accuracy {row['test_accuracy']:.4f} on {images:,} images "
        f"(95 %: {low:.4f} to {high:.4f})"
    )
    _say_epochs(row)
    if row["std"] is not None:
        rest = f", {row['collapsed']} collapsed and left out" if row["collapsed"] else ""
        tables.say(f"over {row['seeds']} seeds: {row['mean']:.4f} ± {row['std']:.4f}{rest}")
    if row["is_collapsed"]:
        tables.say("collapsed: it names one class for every test image")
    for sentence in judged.sentences() if judged else ():
        tables.say_wrapped(sentence)
    _say_latency(row)
    _say_details(details)
    tables.say(f"model: {row['model_path'] or 'not saved'}")
    for path in pictures:
        tables.say(f"picture: {path}")
    if report:
        tables.say(f"report: {report}")


def wilson_interval(accuracy: float, images: int) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy in [0, 1] over so many images (Wilson, 1927)."""
    if images == 0:
        return 0.0, 1.0
    shrink = 1 + _Z_95**2 / images
    centre = (accuracy + _Z_95**2 / (2 * images)) / shrink
    spread = accuracy * (1 - accuracy) / images + _Z_95**2 / (4 * images**2)
    half = _Z_95 * math.sqrt(spread) / shrink
    return max(0.0, centre - half), min(1.0, centre + half)


def _certainty_json(judged: Judged | None, row: Row) -> Row:
    if judged is None:
        return {"chance_best": None, "tied_with": None, "optimism": None, "certainty": []}
    return {
        "chance_best": judged.columns(row)["chance_best"],
        "tied_with": [each.label for each in judged.tied],
        "optimism": judged.certainty.optimism if judged.by.startswith("test.") else None,
        "certainty": judged.sentences(),
    }


@dataclass(frozen=True)
class _Details:
    """What is known of one result beside its row of the leaderboard."""

    metrics: Mapping[str, reading.Metrics]
    classes: Sequence[reading.ClassMetric]
    predictions: Sequence[reading.Prediction]
    members: Sequence[reading.Member]

    @property
    def mistakes(self) -> list[reading.Prediction]:
        """Return the wrongly classified images, the surest mistake first."""
        wrong = [each for each in self.predictions if not each.is_correct]
        return sorted(wrong, key=lambda each: -each.probability)

    def to_json(self) -> Row:
        mistakes = [
            {name: getattr(each, name) for name in _MISTAKE_KEYS}
            for each in self.mistakes[:_MISTAKES]
        ]
        return {
            "metrics": {split: asdict(found) for split, found in self.metrics.items()},
            "classes": [asdict(each) for each in self.classes],
            "mistakes": mistakes,
            "members": [asdict(each) for each in self.members],
        }


def _details(result_key: str) -> _Details:
    from warehouse import reading

    path = current_home().warehouse
    with translated():
        return _Details(
            reading.metrics(path, result_key),
            reading.class_metrics(path, result_key),
            reading.predictions(path, result_key),
            reading.members(path, result_key),
        )


def _say_epochs(row: Row) -> None:
    """Print what a stop rule decided, if one did."""
    if row["kind"] != "trained" or epoch_words(row) is None:
        return
    settings = settings_at_end(json.loads(row["settings_json"]))
    rule = stop_words(settings.get("stop"), settings.get("bounds", ()))
    restored = f", restored epoch {row['best_epoch']}" if row["best_epoch"] else ""
    tables.say(
        f"trained {row['epochs_trained']} of {row['epochs']} epochs{restored} (stop: {rule})"
    )


def _say_members(row: Row, members: Sequence[reading.Member], leaderboard: Sequence[Row]) -> None:
    """Print what a row is made of, where it is not a trained cell."""
    if row["kind"] == "trained":
        return
    labels = {each["cell_id"]: each["label"] for each in leaderboard}
    views = ", ".join(View.from_json(each).text for each in json.loads(row["views_json"]))
    tables.say(f"{_KINDS[row['kind']]}; every member sees {views}")
    for member in members:
        name = labels.get(member.cell_id, member.cell_id)
        tables.say(f"  {tables.share(member.weight)}  {name}")


def _say_latency(row: Row) -> None:
    """Print how long its model takes and what it needs, where it was measured."""
    if row["latency_ms"] is None:
        return
    text = f"latency {tables.milliseconds(row['latency_ms'])} ms an image"
    if row["latency_p95_ms"] is None:
        tables.say(f"{text}, the sum over its members and views")
        return
    many = tables.milliseconds(row["latency_32_ms"])
    tables.say(
        f"{text} (95 % below {tables.milliseconds(row['latency_p95_ms'])} ms), {many} ms where 32 "
        "are answered together"
    )
    if row["peak_memory_bytes"] is not None:
        one, all_of = (tables.size(row[f"peak_memory{part}_bytes"]) for part in ("", "_32"))
        tables.say(f"memory {one} with one image, {all_of} with 32")


def _say_details(details: _Details) -> None:
    """Print averages, calibration, classes and the surest mistakes."""
    metrics = details.metrics.get("test")
    if metrics is not None:
        tables.say(
            f"macro F1 {metrics.f1_macro:.4f}, weighted F1 {metrics.f1_weighted:.4f}, "
            f"top-{metrics.top_k} accuracy {metrics.top_k_accuracy:.4f}"
        )
        tables.say_wrapped(_calibration(metrics))
    tables.say("")
    shown = list(details.classes)
    if len(shown) > _MOST_CLASSES:
        shown = sorted(shown, key=lambda each: each.f1)[:_WORST_CLASSES]
        tables.say(f"the {_WORST_CLASSES} hardest of {len(details.classes)} classes:")
    columns = (
        tables.Column("Class", "class_name"),
        *(
            tables.Column(title, key, tables.share, is_number=True)
            for title, key in (("Precision", "precision"), ("Recall", "recall"), ("F1", "f1"))
        ),
        tables.Column("Images", "support", tables.number, is_number=True),
    )
    tables.print_rows([asdict(each) for each in shown], columns, as_json=False, empty="")
    for each in details.mistakes[:_MISTAKES]:
        tables.say(
            f"sure and wrong: {each.path}: {each.predicted_class} {each.probability:.4f}, "
            f"true {each.true_class} {each.true_probability:.4f}"
        )
    tables.say("")


def _calibration(metrics: reading.Metrics) -> str:
    if metrics.calibration_error is None:
        return "calibration error: none, the model diverged"
    text = f"calibration error {metrics.calibration_error:.4f}"
    if metrics.temperature is None or metrics.calibrated_error is None:
        return f"{text}; no validation images to fit a temperature on"
    change = "better" if metrics.calibrated_error < metrics.calibration_error else "no better"
    return (
        f"{text}; scaled by temperature {metrics.temperature:.2f} (fitted on the validation "
        f"images): {metrics.calibrated_error:.4f}, {change}"
    )
