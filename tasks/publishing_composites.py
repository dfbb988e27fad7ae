"""What people hold of a composite: a card beside its members' saved models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from foodvision.files import holds
from tasks.evaluation_rows import told_scores

if TYPE_CHECKING:
    from pathlib import Path

    from foodvision.plan.composite_stages import CompiledComposite
    from foodvision.plan.graph import CompiledCell
    from foodvision.store import Entry
    from tasks.publishing import Publisher


@dataclass(frozen=True)
class CompositePublisher:
    """Publishes one plan's composites.

    Attributes:
        cells: publishes the cells that they are made of.
    """

    cells: Publisher

    def status(self, compiled: CompiledComposite) -> str:
        """Return `completed`, or `diverged` where a member did."""
        return "diverged" if self._entry(compiled).notes["diverged"] else "completed"

    def members(self, compiled: CompiledComposite) -> list[tuple[CompiledCell, float]]:
        """Return the cells that it is made of, and their weights."""
        return [
            (compiled.voices[member["voice"]].compiled, member["weight"])
            for member in self._entry(compiled).notes["members"]
        ]

    def publish(self, compiled: CompiledComposite) -> Path | None:
        """Write the card and return its path; `None` where a member is not saved."""
        saved = [
            (self.cells.saved_path(member), weight) for member, weight in self.members(compiled)
        ]
        members = [(path, weight) for path, weight in saved if path is not None]
        if len(members) < len(saved):
            return None
        path = self.cells.file(compiled.composite.label, compiled.result_key, ".json")
        if not holds(path, {"result_key": compiled.result_key}):
            from foodvision.models.saved_composites import save_composite

            save_composite(path, members, card=self._card(compiled))
        return path

    def _card(self, compiled: CompiledComposite) -> dict[str, Any]:
        composite, plan = compiled.composite, self.cells.plan
        scores = self._entry(compiled).notes["scores"]
        return {
            "plan": plan.name,
            "plan_id": plan.plan_id,
            "cell_id": composite.cell_id,
            "label": composite.label,
            "result_key": compiled.result_key,
            "status": self.status(compiled),
            "kind": composite.kind,
            "views": [view.to_json() for view in composite.views],
            "classes": list(compiled.image_sets["test"].classes),
            "labels": [member.cell.label for member, _ in self.members(compiled)],
            "metrics": told_scores(scores),
        }

    def _entry(self, compiled: CompiledComposite) -> Entry:
        return self.cells.store.get("composite", compiled.key)
