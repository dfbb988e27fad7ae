"""Models made of trained ones, as a plan says it: views at test time, and ensembles."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from foodvision.plan.messages import show
from foodvision.plan.values import MAX_COUNT, Settings, broken_rule
from foodvision.plan.views import IDENTITY, ViewChoice, single_views, view_problem

Pattern = dict[str, Any]


def _check_view(choice: Any) -> Any:
    if problem := view_problem(choice):
        raise broken_rule(problem)
    return choice


def _check_views(choices: tuple[Any, ...]) -> tuple[Any, ...]:
    if single_views(choices) in ((), (IDENTITY,)):
        raise broken_rule(
            "must have a view besides identity, got none: add horizontal_flip, or delete it"
        )
    for index, choice in enumerate(choices):
        if choice in choices[:index]:
            raise broken_rule(f"must be different views, got {show(choice)} twice: keep one")
    return choices


Views = Annotated[
    tuple[Annotated[ViewChoice, BeforeValidator(_check_view)], ...],
    Field(strict=False),
    AfterValidator(_check_views),
]


class TtaSettings(Settings):
    """Views of every image whose probabilities are averaged at test time.

    Attributes:
        views: `identity`, `horizontal_flip`, `vertical_flip`, `{rotate: DEGREES}`,
            `{shift: [RIGHT, DOWN]}`, `{brightness: FACTOR}`, `{contrast: FACTOR}`,
            `{saturation: FACTOR}`, `{five_crop: PIXELS}`.
        where: a partial match, as in `exclude`: only the cells that it matches; empty: all.
    """

    views: Views
    where: Pattern = Field(default_factory=dict)


def _listed_views(choice: Any) -> Any:
    return {"views": choice} if isinstance(choice, list) else choice


NamedTta = Annotated[
    TtaSettings,
    BeforeValidator(_listed_views, json_schema_input_type=list[ViewChoice] | TtaSettings),
]


class MemberSettings(Settings):
    """Which cells an ensemble is made of.

    Attributes:
        where: a partial match, as in `exclude`; empty: every cell.
        labels: only the cells of these labels; empty: all of `where`.
        top: of those, so many of the best; `None`: all.
        by: what the best are chosen by; ties go to the lower loss.
        tta: a key of the plan's `tta`: each member answers with its average over these views.
    """

    where: Pattern = Field(default_factory=dict)
    labels: Annotated[tuple[str, ...], Field(strict=False)] = ()
    top: Annotated[int, Field(ge=2, le=MAX_COUNT)] | None = None
    by: Literal["valid.accuracy", "valid.loss", "test.accuracy", "test.loss"] = "valid.accuracy"
    tta: str | None = None


class EnsembleSettings(Settings):
    """Several trained cells that answer together.

    Attributes:
        kind: `mean` of the probabilities; `weighted`, their mean by each member's accuracy on the
            validation images; `vote`, the class that most members name.
        members: which cells.
    """

    kind: Literal["mean", "weighted", "vote"] = "mean"
    members: MemberSettings = MemberSettings()
