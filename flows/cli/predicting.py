"""The command `foodvision predict`: what a model says of photos of one's own."""

from __future__ import annotations

import shlex
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import tables
from flows.cli.finding import MODEL_FILES, best_model, named_model
from flows.cli.options import AsJson, HomeFolder, current_home
from foodvision.errors import DataError, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foodvision.evaluate.photos import PhotoAnswers


_EXIT_SOME_UNREADABLE = 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision predict sushi.jpg\n"
            "  Image      Class  Probability\n"
            "  sushi.jpg  sushi       0.9713"
        )
    )(predict)


def predict(
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE...", help="Photos of your own, or folders of them."),
    ],
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
    images = _photos(images)
    path = (
        named_model(model) if model else best_model(plan)
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


def _photos(given: Sequence[Path]) -> list[Path]:
    """Return image files as they are given, and those of folders, in the order of their paths."""
    from foodvision.data.images import IMAGE_SUFFIXES
    from foodvision.data.sources import walk_files

    models = [str(path) for path in given if _names_model(path)]
    if models:
        others = [str(path) for path in given if str(path) not in models]
        meant = shlex.join(["foodvision", "predict", "--model", models[0], *(others or ["IMAGE"])])
        raise ModelError(
            f"predict takes images, and a model with --model, found {models[0]!r} among the "
            f"images; did you mean `{meant}`?"
        )
    found: list[Path] = []
    for path in given:
        inside = [path]
        if path.is_dir():
            inside = [file for file in walk_files(path) if file.suffix.lower() in IMAGE_SUFFIXES]
        if not inside:
            raise DataError(
                f"a folder for predict has images in it, found none in {path}. Name another one, "
                "or the files."
            )
        found += inside
    return found


def _names_model(path: Path) -> bool:
    """Say whether a path is meant for a model: `demo:best`, or a saved model's file."""
    return path.suffix in MODEL_FILES or (":" in path.name and not path.exists())


def _listed(names: Sequence[str], most: int = 5) -> str:
    rest = f" and {len(names) - most} more classes" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


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
