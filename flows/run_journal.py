"""What a run writes down of itself: the events of its journal."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from foodvision.home import path_in_home
from foodvision.plan.alerts import mask_addresses, mask_links
from foodvision.plan.expand import Cell
from tasks.environment import describe_environment
from tasks.journal import STARTED, Journal, read_journal
from tasks.records import cell_outcomes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from foodvision.plan.composite_stages import CompiledComposite
    from foodvision.plan.composites import Composite
    from foodvision.plan.facts import ImageSet
    from foodvision.plan.graph import CompiledCell, Graph
    from foodvision.plan.schema import Plan
    from foodvision.plan.work import Tally, Work


class RunJournal(Journal):
    """The journal of one run of a plan."""

    def started(
        self,
        plan: Plan,
        rows: Sequence[Cell | Composite],
        *,
        run_id: str,
        overrides: Sequence[str],
        log: str,
    ) -> None:
        """Note that the run begins, and what it is of.

        Args:
            plan: the plan.
            rows: its cells, and what is made of them.
            run_id: the flow run's id.
            overrides: of the plan's values.
            log: file in the home that keeps what the run says.
        """

        def mask(text: str) -> str:
            """Take the addresses of this plan and of others out of what differs from the commit."""
            return mask_links(mask_addresses(text, plan.alerts))

        cells = [_describe_cell(row) for row in rows if isinstance(row, Cell)]
        made = [_describe_composite(row) for row in rows if not isinstance(row, Cell)]
        self.write(
            STARTED,
            run_id=run_id,
            plan_id=plan.plan_id,
            plan_name=plan.name,
            description=plan.description,
            plan_json=json.dumps(plan.to_json(), ensure_ascii=False),
            source_path=str(plan.source_path) if plan.source_path else None,
            set=[mask_addresses(each, plan.alerts) for each in overrides],
            cells=len(cells),
            environment=describe_environment(plan.folder, mask),
            log=log,
            plan_cells=cells,
            plan_composites=made,
        )

    def compiled(
        self, graph: Graph, work: Work, *, naive: Tally, predicted: Tally, devices: Sequence[str]
    ) -> None:
        """Note what is to be done.

        Args:
            graph: the compiled plan.
            work: the graph held against the store.
            naive: work that each cell alone would have been, when the run began.
            predicted: work of the run, when it began.
            devices: torch's names of those that may do it.
        """
        self.write(
            "compiled",
            device=", ".join(devices),
            naive=asdict(naive),
            predicted=asdict(predicted),
            hits=[list(hit) for hit in work.hits],
            cells=[describe_compiled(compiled) for compiled in graph.cells],
            composites=[describe_compiled_composite(each) for each in graph.composites],
        )

    def row(
        self,
        row: Cell | Composite,
        *,
        status: str,
        error: str | None = None,
        log: str | None = None,
        model_path: Path | None = None,
    ) -> None:
        """Note what became of a cell, or of what is made of cells.

        Args:
            row: the cell.
            status: completed, diverged or failed.
            error: why it failed.
            log: file in the home that tells why.
            model_path: of its saved model.
        """
        self.write(
            "cell",
            cell_id=row.cell_id,
            status=status,
            error=error,
            log=log,
            model_path=path_in_home(model_path) if model_path else None,
        )

    def finished(
        self,
        status: str,
        *,
        counted: Tally,
        predicted_seconds: float | None,
        stage_seconds: float,
        wall_seconds: float,
    ) -> None:
        """Note that the run is over.

        Args:
            status: completed or failed.
            counted: work that was done.
            predicted_seconds: that the missing stages were expected to take, if that was known.
            stage_seconds: that they took.
            wall_seconds: of the whole run.
        """
        self.write(
            "finished",
            status=status,
            counted=asdict(counted),
            predicted_seconds=predicted_seconds,
            stage_seconds=stage_seconds,
            wall_seconds=wall_seconds,
        )

    def read(self) -> list[dict[str, Any]]:
        """Return the events so far."""
        return read_journal(self.path)

    def outcomes(self) -> dict[str, Mapping[str, Any]]:
        """Return the last word so far on each cell, and on what is made of cells, by id."""
        return cell_outcomes(self.read())


def _describe_cell(cell: Cell) -> dict[str, Any]:
    return {
        "cell_id": cell.cell_id,
        "label": cell.label,
        "position": cell.position,
        "axes": dict(cell.axes),
        "settings": cell.settings.model_dump(mode="json") | _describe_bounds(cell),
    }


def _describe_bounds(cell: Cell) -> dict[str, Any]:
    """Say what ends a cell's training because an alert of its plan says so."""
    return {"bounds": [bound.name for bound in cell.bounds]} if cell.bounds else {}


def _describe_composite(composite: Composite) -> dict[str, Any]:
    return {
        "cell_id": composite.cell_id,
        "kind": composite.kind,
        "label": composite.label,
        "position": composite.position,
        "candidates": [cell.cell_id for cell in composite.candidates],
        "views": [view.to_json() for view in composite.views],
        "settings": dict(composite.settings),
    }


def describe_compiled_composite(compiled: CompiledComposite) -> dict[str, Any]:
    """Return what a journal tells of what is made of cells, compiled."""
    features: dict[str, set[str]] = {}
    for view in compiled.view_scores():
        if view.recipe.kind == "features":
            features.setdefault(view.recipe.key, set()).update(view.images.images)
    return {
        "cell_id": compiled.composite.cell_id,
        "key": compiled.key,
        "result_key": compiled.result_key,
        "voices": [voice.compiled.cell.cell_id for voice in compiled.voices],
        "parts": {part: _describe_images(images) for part, images in compiled.image_sets.items()},
        "recipes": [
            {"kind": "features", "key": key, "images": len(images)}
            for key, images in features.items()
        ],
    }


def _describe_images(images: ImageSet) -> dict[str, Any]:
    return {
        "on": images.digest,
        "dataset": images.dataset,
        "part": images.part,
        "share": dict(images.share),
    }


def describe_compiled(compiled: CompiledCell) -> dict[str, Any]:
    """Return what a journal tells of a compiled cell."""
    images = {image for images in compiled.image_sets.values() for image in images.images}
    images.update(compiled.chain.train.images)
    architecture = compiled.phase.architecture
    return {
        "cell_id": compiled.cell.cell_id,
        "final": compiled.final,
        **_describe_stops(compiled),
        "result_key": compiled.result_key,
        "scores": {
            part: {"key": compiled.score_keys[part], **_describe_images(images)}
            for part, images in compiled.image_sets.items()
        },
        "recipes": [
            {"kind": recipe.kind, "key": recipe.key, "images": len(images)}
            for recipe in dict.fromkeys(phase.recipe for phase in compiled.chain.phases)
        ],
        "params_total": architecture.params_total,
        "params_trainable": architecture.params_trainable,
        "model_bytes": architecture.model_bytes,
        "latency_key": compiled.latency.key,
    }


def _describe_stops(compiled: CompiledCell) -> dict[str, Any]:
    """Say what stop rules decided: where the curve ends, and what was trained and given up."""
    decided = [watch.decision for watch in compiled.watches if watch.decision]
    if not decided:
        return {}
    rule = compiled.phase.settings.stop
    restored = compiled.decision if rule and rule.restore == "best" else None
    return {
        "best_epoch": restored and restored.epoch,
        "curve": {"held": compiled.curve_key, "last_epoch": compiled.curve_end},
        "given_up": [
            {"held": each.held, "after": each.epoch, "last_epoch": each.last_epoch}
            for each in decided
            if each is not compiled.decision and each.last_epoch > each.epoch
        ],
    }
