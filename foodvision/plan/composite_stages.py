"""From composites to stages: views of single cells, and what combines them.

* a *view score* is a state's outputs on a list of images, each seen in one view;
* a *voice* is what one member of a composite says: the mean over its views;
* a *composite* is a stage that combines voices; it reads stored outputs and runs no model.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from foodvision.errors import PlanError
from foodvision.hashing import digest
from foodvision.plan.views import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foodvision.plan.composites import Composite
    from foodvision.plan.facts import ImageSet, Part
    from foodvision.plan.graph import CompiledCell, Recipe
    from foodvision.plan.views import View

# Raised by hand when the mathematics of a stage changes.
VIEW_VERSION = 1
COMPOSITE_VERSION = 1


@dataclass(frozen=True)
class ViewScore:
    """The outputs of a cell's final state on images, each seen in one view.

    Attributes:
        key: of the stage.
        compiled: the cell.
        images: the list to score.
        view: any but `IDENTITY`, whose outputs are the cell's own score.
        recipe: how images reach the trainable part; where it is pixels, the view is taken when
            they are read.
    """

    key: str
    compiled: CompiledCell = field(hash=False, compare=False)
    images: ImageSet = field(hash=False, compare=False)
    view: View
    recipe: Recipe = field(hash=False, compare=False)


@dataclass(frozen=True)
class Voice:
    """What one member says.

    Attributes:
        compiled: the cell.
        own: per part, the key of the cell's own score, where the plain view is one of the views.
        views: per part, its outputs in the other views.
    """

    compiled: CompiledCell
    own: Mapping[Part, str]
    views: Mapping[Part, tuple[ViewScore, ...]]

    def view_scores(self) -> tuple[ViewScore, ...]:
        """Return its outputs in views other than the plain one, of all parts."""
        return tuple(view for views in self.views.values() for view in views)

    def stages(self, part: Part) -> tuple[tuple[str, str], ...]:
        """Return kind and key of the stages whose outputs on a part are averaged."""
        own = (("score", self.own[part]),) if part in self.own else ()
        return (*own, *(("view", view.key) for view in self.views[part]))


@dataclass(frozen=True)
class CompiledComposite:
    """A composite and the stages that it asks for.

    Attributes:
        composite: what it is.
        voices: of its candidates, in the order of their ids.
        image_sets: what it is scored on: `test`, and `valid` where all candidates set the same
            images aside.
        key: of its stage.
    """

    composite: Composite
    voices: tuple[Voice, ...]
    image_sets: Mapping[Part, ImageSet]
    key: str

    def view_scores(self) -> tuple[ViewScore, ...]:
        """Return the outputs of all voices in views other than the plain one."""
        return tuple(view for voice in self.voices for view in voice.view_scores())

    @property
    def result_key(self) -> str:
        """Key of its result: the stage, and the names that its outputs stand for."""
        return digest({"composite": self.key, "classes": self.image_sets["test"].classes})


def compile_composites(
    composites: Sequence[Composite], cells: Sequence[CompiledCell]
) -> tuple[CompiledComposite, ...]:
    """Compile composites into stages.

    Args:
        composites: of a plan.
        cells: the compiled cells of the same plan.

    Raises:
        PlanError: members of one are not tested on the same images, or a view does not fit them.
    """
    by_id = {compiled.cell.cell_id: compiled for compiled in cells}
    return tuple(
        _compile(composite, [by_id[cell.cell_id] for cell in composite.candidates])
        for composite in composites
    )


def view_recipe(recipe: Recipe, view: View) -> Recipe:
    """Return how images in a view reach the part behind a frozen prefix.

    The pixels below stay the same, so that they are decoded and kept once for all views; a recipe
    of pixels is its own.
    """
    if recipe.kind == "pixels" or view == IDENTITY:
        return recipe
    settings = {**recipe.settings, "view": view.to_json()}
    return replace(recipe, key=digest(settings), settings=settings)


def _compile(composite: Composite, members: Sequence[CompiledCell]) -> CompiledComposite:
    voices = tuple(
        _voice(composite, compiled)
        for compiled in sorted(members, key=lambda compiled: compiled.cell.cell_id)
    )
    return CompiledComposite(
        composite=composite,
        voices=voices,
        image_sets=_image_sets(composite, members),
        key=digest(
            {
                "stage": "composite",
                "code": COMPOSITE_VERSION,
                "kind": composite.kind,
                "top": composite.top,
                "by": composite.by,
                "voices": [
                    {part: voice.stages(part) for part in voice.compiled.image_sets}
                    for voice in voices
                ],
            }
        ),
    )


def _voice(composite: Composite, compiled: CompiledCell) -> Voice:
    size = int(compiled.phase.transform["size"])
    for view in composite.views:
        if problem := view.misfit(size):
            raise PlanError(f"tta, cell {compiled.cell.label}: {problem}.")
    own = dict(compiled.score_keys) if IDENTITY in composite.views else {}
    views = {
        part: tuple(
            ViewScore(
                key=_view_key(compiled.score_keys[part], view),
                compiled=compiled,
                images=images,
                view=view,
                recipe=view_recipe(compiled.phase.recipe, view),
            )
            for view in composite.views
            if view != IDENTITY
        )
        for part, images in compiled.image_sets.items()
    }
    return Voice(compiled, own, views)


def _view_key(score: str, view: View) -> str:
    """Name a view by the score beside it, which covers the state and the images."""
    return digest({"stage": "view", "code": VIEW_VERSION, "score": score, "view": view.to_json()})


def _image_sets(composite: Composite, members: Sequence[CompiledCell]) -> dict[Part, ImageSet]:
    first = members[0]
    for other in members[1:]:
        ours, theirs = first.image_sets["test"], other.image_sets["test"]
        if (ours.digest, ours.classes) != (theirs.digest, theirs.classes):
            raise PlanError(
                f"ensembles.{composite.label}: members must be tested on the same images, but "
                f"{first.cell.label} and {other.cell.label} are not: write a `where` that matches "
                "only cells with one test set."
            )
    sets: dict[Part, ImageSet] = {"test": first.image_sets["test"]}
    valid = {
        compiled.image_sets["valid"].digest
        for compiled in members
        if "valid" in compiled.image_sets
    }
    if len(valid) == 1 and all("valid" in compiled.image_sets for compiled in members):
        sets = {"valid": first.image_sets["valid"], **sets}
    return sets
