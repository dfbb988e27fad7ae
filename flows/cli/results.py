"""Commands about what runs found: rank, best, predict."""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import tables
from flows.cli.options import AsJson, HomeFolder, Overrides, current_home
from foodvision.errors import PlanError, WarehouseError
from foodvision.plan.phases import settings_at_end
from foodvision.plan.stopping import stop_words
from foodvision.plan.views import View

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from foodvision.evaluate.photos import PhotoAnswers
    from foodvision.plan.schema import Plan
    from tasks.certainty import Judged
    from warehouse import reading

Row = dict[str, Any]

LEADERBOARD = (
    tables.Column("#", "rank", is_number=True),
    tables.Column("Model", "label"),
    tables.Column("Test accuracy", "test_accuracy", tables.share, is_number=True),
    tables.Column("Test loss", "test_loss", tables.share, is_number=True),
    tables.Column("Seconds", "seconds_alone", tables.seconds, is_number=True),
    tables.Column("Parameters", "params_total", tables.number, is_number=True),
)
_RANKED_BY = {
    "valid.accuracy": tables.Column(
        "Valid accuracy", "valid_accuracy", tables.share, is_number=True
    ),
    "valid.loss": tables.Column("Valid loss", "valid_loss", tables.share, is_number=True),
    "train.accuracy": tables.Column(
        "Train accuracy", "train_accuracy", tables.share, is_number=True
    ),
    "train.loss": tables.Column("Train loss", "train_loss", tables.share, is_number=True),
}
_GAP = tables.Column("Train − test", "overfitting_gap", tables.difference, is_number=True)
_LATENCY = tables.Column("ms an image", "latency_ms", tables.milliseconds, is_number=True)
_EPOCH = tables.Column("Epoch", "epoch_words", is_number=True)
_OF_ONE_CELL = ("trained", "tta")
_FINISHED = "completed"
_WAITING = "pending"
_DIVERGED = "diverged"
_SIGNS = {"tied": "≈", "better": "<"}
_Z_95 = 1.959963984540054
_EXIT_SOME_UNREADABLE = 1
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
_MODEL_FILES = (".pth", ".json")

PlanOrName = Annotated[
    str | None, typer.Argument(metavar="[PLAN]", help="A plan's file or name; default: all.")
]
PlanOrLatest = Annotated[
    str | None,
    typer.Argument(metavar="[PLAN]", help="A plan's file or name; default: the one that ran last."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision rank plans/demo.yaml\n"
            "   #  Model                   Valid accuracy  Test accuracy  Test loss\n"
            "   1  mlp · sgd · 10 epochs           0.9628         0.9712     0.1331\n"
            "  ≈2  mlp · adam · 10 epochs          0.9591         0.9667     0.1605\n"
            "  ≈ cannot be told from the first on 451 test images (95 %)"
        )
    )(rank)
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision best plans/demo.yaml\n"
            "  mlp · sgd · 10 epochs   (plan demo, ranked by valid.accuracy)\n"
            "  test accuracy 0.9712 on 451 images (95 %: 0.9513 to 0.9831)\n"
            "  macro F1 0.9710, weighted F1 0.9711, top-5 accuracy 0.9978\n"
            "  calibration error 0.0213, 0.0121 at temperature 1.31"
        )
    )(best)
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision predict sushi.jpg\n"
            "  Image      Class  Probability\n"
            "  sushi.jpg  sushi       0.9713"
        )
    )(predict)


def rank(
    plan: PlanOrName = None,
    overrides: Overrides = None,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Print the leaderboard, best first.

    Of one plan, say which cells tie with the best.
    While a plan runs, these are the cells that have finished so far.
    """
    rows, by = _ranked(plan, overrides or ())
    judged = None if plan is None else judge(rows, by)
    running = _running(rows)
    if as_json:
        tables.print_json([row | (judged.columns(row) if judged else {}) for row in rows])
        for note in _running_notes(running, rows):
            typer.echo(note, err=True)
        return
    rows, unfinished = _without_unfinished(rows, running), rows
    columns = leaderboard_columns(by, rows)
    if plan is None:
        columns = (columns[0], tables.Column("Plan", "plan"), *columns[1:-1])
    print_leaderboard(rows, columns, judged)
    if plan is not None and not any(row["rank"] for row in rows):
        _say_other_results(find_plan(plan, overrides or ()))
    for row in rows:
        if row["status"] not in (_FINISHED, _DIVERGED):
            tables.say(f"{row['status']}: {row['label']}: {row['error'] or 'no result'}")
    say_diverged(rows)
    for note in _running_notes(running, unfinished):
        tables.say(note)


def best(
    plan: PlanOrLatest = None,
    overrides: Overrides = None,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Show the winner, how good and how sure. Its classes, mistakes, file and pictures."""
    from foodvision.store import Store
    from tasks.gallery import Gallery

    found = find_plan(plan, overrides or ())
    leaderboard = leaderboard_of(found)
    row = _winner(found, leaderboard)
    details = _details(row["result_key"])
    images = len(details.predictions)
    low, high = wilson_interval(row["test_accuracy"], images)
    judged = judge(leaderboard, found.rank.by.value)
    gallery = Gallery(found, current_home(), Store(current_home().store))
    pictures = [str(path) for path in gallery.show(leaderboard).values()]
    if as_json:
        sure = {"test_images": images, "test_accuracy_low": low, "test_accuracy_high": high}
        sure |= _certainty_json(judged, row)
        tables.print_json({**row, **sure, **details.to_json(), "pictures": pictures})
        return
    tables.say(f"{row['label']}   (plan {row['plan']}, ranked by {found.rank.by.value})")
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


def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photos of your own.")],
    plan: Annotated[
        str | None,
        typer.Option("--plan", help="The best model of this plan; default: of the last run's."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="A saved model's file (.pth, its JSON beside it; an ensemble's .json), or a name: "
            "demo:best, a label, demo:best@epoch-5.",
        ),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Where the picture goes; default: reports.")
    ] = None,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Say what the best model sees in photos, and draw it.

    Exits with 1 if some photos could not be read.
    """
    path = (
        _named_model(model) if model else _best_model(plan)
    )  # before torch is imported: there may be none

    from foodvision.evaluate.answering import Answerer
    from foodvision.evaluate.photos import predict_photos

    answerer, card = Answerer.open(path)
    answers = predict_photos(answerer, images)
    name = _card_name(card, path)
    place = picture or current_home().reports / "predict" / "predictions.png"
    drawn = _draw(answers, place, name)
    rows = [
        {
            "image": str(answer.path),
            "class": answer.class_name,
            "probability": answer.probability,
            "probabilities": {each.class_name: each.probability for each in answer.probabilities},
            "model": str(path),
            "epoch": card.get("epoch"),
        }
        for answer in answers.predictions
    ]
    columns = (
        tables.Column("Image", "image"),
        tables.Column("Class", "class"),
        tables.Column("Probability", "probability", tables.share, is_number=True),
    )
    if not as_json:
        tables.say(f"What {name} says; it knows {_listed(answerer.classes)}:\n")
    tables.print_rows(rows, columns, as_json=as_json, empty="No photo could be read.")
    for problem in answers.problems:
        typer.echo(problem.message, err=True)
    if drawn and not as_json:
        tables.say(f"picture: {drawn}")
    if answers.problems:
        raise typer.Exit(_EXIT_SOME_UNREADABLE)


def wilson_interval(accuracy: float, images: int) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy in [0, 1] over so many images (Wilson, 1927)."""
    if images == 0:
        return 0.0, 1.0
    shrink = 1 + _Z_95**2 / images
    centre = (accuracy + _Z_95**2 / (2 * images)) / shrink
    spread = accuracy * (1 - accuracy) / images + _Z_95**2 / (4 * images**2)
    half = _Z_95 * math.sqrt(spread) / shrink
    return max(0.0, centre - half), min(1.0, centre + half)


# -- looking up -------------------------------------------------------------------------------


def leaderboard_columns(by: str, rows: Sequence[Mapping[str, Any]]) -> tuple[tables.Column, ...]:
    """Return the leaderboard's columns, in 80 columns; what it is ranked by stands first.

    Where training images are changed or mixed, the over-fitting gap stands beside the accuracy;
    where stop rules chose, the epoch of the result; where models were measured, their latency
    stands last.
    """
    place, label, *figures = LEADERBOARD
    has_gap = any(
        row.get(name) not in (None, "none") for row in rows for name in ("augment", "mix")
    )
    if has_gap:
        figures[1] = _GAP  # in place of the loss
    if any(epoch_words(row) for row in rows):
        figures[2 if has_gap else 1] = _EPOCH
    if by in _RANKED_BY:
        figures = [_RANKED_BY[by], *figures[:-1]]
    if any(row.get("latency_ms") is not None for row in rows):
        figures[-1] = _LATENCY
    return (place, label, *figures)


def epoch_words(row: Mapping[str, Any]) -> str | None:
    """Say which epoch is the result where a stop rule chose: `7 of 10`, of those trained.

    Views of one cell have its epoch; an ensemble has none.
    """
    if row.get("kind", "trained") not in _OF_ONE_CELL:
        return None
    trained, best = row.get("epochs_trained"), row.get("best_epoch")
    is_whole = best is None and trained == row.get("epochs")
    if trained is None or is_whole or row.get("status") != _FINISHED:
        return None
    return f"{best or trained} of {trained}"


def _epoch_shown(row: Row) -> str | int | None:
    """Return what stands in the column of epochs: nothing for an ensemble."""
    if row.get("kind", "trained") not in _OF_ONE_CELL:
        return None
    return epoch_words(row) or row.get("epochs_trained")


def judge(leaderboard: Sequence[Row], by: str) -> Judged | None:
    """Return how sure the first of a plan's leaderboard is; None where nothing can be said."""
    from tasks.certainty import judge_leaderboard

    return judge_leaderboard(leaderboard, by=by, home=current_home())


def print_leaderboard(
    rows: Sequence[Row], columns: Sequence[tables.Column], judged: Judged | None
) -> None:
    """Print a leaderboard; a sign before the rank tells what cannot be told from the first."""
    from tasks.ranking import told_status

    verdicts = [str(judged.columns(row)["verdict"]) if judged else "" for row in rows]
    told = [told_status(row) for row in rows]
    shown = [
        row
        | {"rank": row["rank"] and f"{_SIGNS.get(verdict, '')}{row['rank']}"}
        | {"label": row["label"] if status == _FINISHED else f"{row['label']} ({status})"}
        | {"epoch_words": _epoch_shown(row)}
        for row, verdict, status in zip(rows, verdicts, told, strict=True)
    ]
    tables.print_rows(shown, columns, as_json=False, empty="No cell has a result yet.")
    if "collapsed" in told:
        tables.say("collapsed: one class for every test image; left out of means over seeds")
    if judged is None or len(judged.configurations) == 1:
        return
    images = f"{judged.certainty.images:,} test images (95 %)"
    if "tied" in verdicts:
        tables.say(f"≈ cannot be told from the first on {images}")
    if "better" in verdicts:
        tables.say(f"< is better than the first on {images}")
    if not {"tied", "better"} & set(verdicts):
        tables.say(f"the first is better than every other on {images}")
    tables.say(f"chance that the first is the best: {judged.winner.chance:.2f}")


def say_diverged(rows: Sequence[Row]) -> None:
    """Say of each row of a leaderboard that diverged why it has no rank."""
    diverged = {row["cell_id"]: row["label"] for row in rows if row["status"] == _DIVERGED}
    for row in rows:
        if row["status"] != _DIVERGED:
            continue
        why = "its loss or weights are no finite numbers"
        if row["kind"] != "trained":
            members = dict.fromkeys(each.cell_id for each in _members(row["result_key"]))
            names = [diverged[cell_id] for cell_id in members if cell_id in diverged]
            why = f"of its members {', '.join(names) or 'one'} diverged"
        tables.say(f"diverged: {row['label']}: {why}")


def ranked(plan: str | None, overrides: Sequence[str] = ()) -> list[Row]:
    """Return the leaderboard of a plan (file or name) or of all plans, best first."""
    return _ranked(plan, overrides)[0]


def _running(rows: Sequence[Row]) -> list[reading.Run]:
    """Return the runs that rows of a leaderboard come from and that still go on."""
    from flows.crashes import living_runs
    from warehouse import reading

    home = current_home()
    with translated():
        known = reading.runs(home.warehouse)
    alive = {row["run_id"] for row in rows} & set(living_runs(home))
    return [run for run in known if run.status == "running" and run.run_id in alive]


def _without_unfinished(rows: Sequence[Row], running: Sequence[reading.Run]) -> list[Row]:
    """Return the rows without the cells that a run is still to come to."""
    waited_for = {run.run_id for run in running}
    return [row for row in rows if row["status"] != _WAITING or row["run_id"] not in waited_for]


def _running_notes(running: Sequence[reading.Run], rows: Sequence[Row]) -> list[str]:
    """Return a sentence about each run that goes on."""
    notes = []
    for run in running:
        to_come = sum(
            row["run_id"] == run.run_id and row["status"] == _WAITING and row["kind"] == "trained"
            for row in rows
        )
        notes.append(
            f"{run.plan_name} is running (since {run.started_at:%Y-%m-%d %H:%M} UTC): "
            f"{run.cells - to_come} of {run.cells} cells have finished so far"
        )
    return notes


def _ranked(plan: str | None, overrides: Sequence[str]) -> tuple[list[Row], str]:
    """Return the leaderboard, and what it is ranked by."""
    if plan is not None:
        found = find_plan(plan, overrides)
        return leaderboard_of(found), found.rank.by.value
    from warehouse.ranking import rank as rank_warehouse

    with translated():
        return rank_warehouse(current_home().warehouse), "test.accuracy"


def find_plan(plan: str | None, overrides: Sequence[str], *, with_results: bool = True) -> Plan:
    """Return a plan: of a file, or as it ran last under a name; None: the one that ran last.

    Runs that anything completed in come first; without `with_results`, a run is a run. A name is
    known also where every run of it died.
    """
    if plan is not None and (Path(plan).exists() or _is_path(plan)):
        from tasks.plans import open_plan

        return open_plan(Path(plan), overrides)
    from tasks.ranking import ran_plan

    found = ran_plan(current_home(), plan, with_results=with_results)
    if found is None and plan is not None:
        found = ran_plan(current_home(), plan, with_results=False)
    if found is not None:
        return found
    if plan is None and not with_results:
        raise WarehouseError("Nothing has run yet. Run a plan: `foodvision run PLAN`.")
    if plan is None:
        raise WarehouseError("No cell has completed yet. Run a plan: `foodvision run PLAN`.")
    raise PlanError(
        f"a plan is named by its file, or by its name if it ran, found {plan!r}, which is "
        f"neither. `foodvision rank` shows what ran."
    )


def leaderboard_of(plan: Plan) -> list[Row]:
    """Return the rows of a plan's cells, best first."""
    from foodvision.plan.expand import expand
    from tasks.ranking import rank_cells

    return rank_cells(plan, expand(plan), current_home())


def _certainty_json(judged: Judged | None, row: Row) -> Row:
    if judged is None:
        return {"chance_best": None, "tied_with": None, "optimism": None, "certainty": []}
    return {
        "chance_best": judged.columns(row)["chance_best"],
        "tied_with": [each.label for each in judged.tied],
        "optimism": judged.certainty.optimism if judged.by.startswith("test.") else None,
        "certainty": judged.sentences(),
    }


def _is_path(plan: str) -> bool:
    return plan.endswith((".yaml", ".yml")) or "/" in plan


def _winner(plan: Plan, leaderboard: Sequence[Row]) -> Row:
    found = [row for row in leaderboard if row["rank"] is not None]
    if not found:
        raise WarehouseError(
            f"The best model is the first of the ranked ones, and no cell of {plan.name} has "
            f"completed yet.{_other_results(plan) or ' Run it: `foodvision run PLAN`.'}"
        )
    return found[0]


def _say_other_results(plan: Plan) -> None:
    if hint := _other_results(plan).strip():
        tables.say_wrapped(hint)


def _other_results(plan: Plan) -> str:
    """Say where results of a plan are that has none as it stands."""
    from foodvision.plan.expand import expand
    from tasks.ranking import other_results

    return other_results(plan, expand(plan), current_home())


def best_results(plan: str) -> set[str]:
    """Return the keys of the results that share the first place of a plan."""
    return {row["result_key"] for row in leaderboard_of(find_plan(plan, ())) if row["rank"] == 1}


def _best_model(plan: str | None) -> Path:
    found = find_plan(plan, ())
    row = _winner(found, leaderboard_of(found))
    if not row["model_path"]:
        raise WarehouseError(
            f"{row['label']} is the best model, but was not saved. Run its plan with "
            f"--set save=best, or name a saved model with --model."
        )
    return Path(row["model_path"])


def find_named(name: str) -> tuple[reading.Result, int | None]:
    """Return the result that a name means, and the epoch of it where the name says one.

    Raises:
        WarehouseError: no result is called so, or several are; or nothing has run yet.
    """
    from tasks.model_names import BEST, find_result, split_epoch, split_plan
    from warehouse import reading

    with translated():
        results = reading.results(current_home().warehouse)
    base, epoch = (name, None) if any(r.label == name for r in results) else split_epoch(name)
    plan, alias = split_plan(base)
    best = best_results(plan or results[0].plan) if alias == BEST and results else set()
    return find_result(base, results, best=best), epoch


def _named_model(name: str) -> Path:
    """Return the file of a saved model that is named by it, or as `foodvision lineage` does."""
    path = Path(name)
    if path.exists() or path.suffix in _MODEL_FILES:
        return path
    result, epoch = find_named(name)
    if epoch is not None:
        if result.status == _DIVERGED:
            raise WarehouseError(
                f"an epoch is named of a cell that completed, and of {result.label} its training "
                "diverged. Name another one; `foodvision rank` shows which completed."
            )
        from tasks.saved_epochs import save_epoch

        return save_epoch(result, epoch, current_home())
    if not result.model_path:
        raise WarehouseError(
            f"{result.label} was not saved. Run its plan with --set save=all, or name an epoch of "
            f"it whose snapshot is kept: {name}@epoch-1."
        )
    return Path(result.model_path)


def _listed(names: Sequence[str], most: int = 5) -> str:
    rest = f" and {len(names) - most} more classes" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


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


def _members(result_key: str) -> list[reading.Member]:
    from warehouse import reading

    with translated():
        return reading.members(current_home().warehouse, result_key)


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
        tables.say(_calibration(metrics))
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
    return f"{text}, {metrics.calibrated_error:.4f} at temperature {metrics.temperature:.2f}"


def _card_name(card: Mapping[str, Any], path: Path) -> str:
    """Return what a saved model is called: label, plan and, where it is not its end, epoch."""
    if "label" not in card:
        return str(path)
    epoch = f" after epoch {card['epoch']}" if "epoch" in card else ""
    return f"{card['label']}{epoch}, of plan {card['plan']}"


def _draw(answers: PhotoAnswers, path: Path, model: str) -> Path | None:
    if not answers.predictions:
        return None
    from foodvision.data.images import read_image
    from foodvision.report.pictures import PhotoPrediction, photo_predictions

    path.parent.mkdir(parents=True, exist_ok=True)
    photos = [
        PhotoPrediction(
            image=read_image(answer.path),
            name=answer.path.name,
            probabilities=[(each.class_name, each.probability) for each in answer.probabilities],
        )
        for answer in answers.predictions
    ]
    return photo_predictions(photos, path, model=model)


@contextmanager
def translated() -> Iterator[None]:
    """Let what goes wrong in the warehouse be an error of ours."""
    import warehouse

    try:
        yield
    except warehouse.WarehouseError as error:
        raise WarehouseError(str(error)) from error
