"""The command `foodvision lineage`: where a model comes from."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import tables
from flows.cli.finding import find_named
from flows.cli.options import AsJson, HomeFolder, current_home

if TYPE_CHECKING:
    from tasks.lineage import Lineage


class Form(StrEnum):
    """How a lineage is told."""

    TEXT = "text"
    MERMAID = "mermaid"
    DOT = "dot"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog=(
            "\b\nExample:\n"
            "  $ foodvision lineage demo:best\n"
            "  .foodvision/models/demo/mlp_sgd_10-epochs-3f2a91c0.pth\n"
            "  └─ result 3f2a91c0d1e2: mlp · sgd · 10 epochs, test 0.9712\n"
            "     └─ score 9b1d44e07a55: test accuracy 0.9712 on 451 images\n"
            "        ├─ images 5d0e2c7f91ab: test images\n"
            "        │  └─ dataset a23b244b30d1: digits, from sklearn:digits\n"
            "        └─ state 77a0c1f6be21: epochs 6 to 10\n"
            "           ├─ run 0c51d9b2-7d1: 2026-11-21T14:05, plan demo\n"
            "           └─ …\n"
            "  $ foodvision lineage demo:best --svg lineage.svg\n"
            "  picture: lineage.svg"
        )
    )(lineage)


def lineage(
    model: Annotated[
        str,
        typer.Argument(
            metavar="[MODEL]",
            help="A saved model's file, a label, the beginning of a result's key, or best or "
            "latest, also of a plan (demo:best), also of an epoch (demo:best@epoch-5). Default: "
            "the best of the plan that ran last.",
        ),
    ] = "best",
    epoch: Annotated[
        int | None, typer.Option("--epoch", metavar="N", help="Follow the state after this epoch.")
    ] = None,
    form: Annotated[
        Form, typer.Option("--format", help="A tree, or a graph for Mermaid or Graphviz.")
    ] = Form.TEXT,
    picture: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Draw the graph into a file.")
    ] = None,
    images: Annotated[
        bool, typer.Option("--images", help="Name every image with its sha256, too.")
    ] = False,
    home: HomeFolder = None,  # noqa: ARG001 - read by its callback
    as_json: AsJson = False,
) -> None:
    """Say where a model comes from. Scores, states, rows, weights, down to the images."""
    from tasks.lineage import dot, image_list, mermaid, trace, tree_lines

    place = current_home()
    found, named_epoch = find_named(model)
    traced = trace(found, place, epoch=epoch or named_epoch)
    lists = (
        {node.id: image_list(node, place) for node in traced.nodes if node.kind == "images"}
        if images
        else {}
    )
    if picture is not None:
        _draw(traced, picture)
    if as_json:
        tables.print_json(_with_images(traced, lists))
        return
    if picture is not None:
        tables.say(f"picture: {picture}")
        return
    if form is not Form.TEXT:
        tables.say((mermaid if form is Form.MERMAID else dot)(traced))
        return
    for line in tree_lines(traced):
        tables.say(line)
    for name, listed in lists.items():
        tables.say(f"\n{name}")
        for image in listed:
            tables.say(f"{image['sha256']}  {image['path']}")


def _draw(traced: Lineage, path: Path) -> None:
    from foodvision.files import replacing
    from tasks.lineage import svg

    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as neighbour:
        neighbour.write_text(svg(traced), encoding="utf-8")


def _with_images(traced: Lineage, lists: dict[str, list[dict[str, str]]]) -> dict[str, Any]:
    found = traced.to_json()
    for node in found["nodes"]:
        if node["id"] in lists:
            node["images"] = lists[node["id"]]
    return found
