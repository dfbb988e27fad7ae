"""When the jobs of a run have ended: word of each cell, saved models, their names."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.model_names import link_names
from tasks.prefect_tasks import do_step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flows.run_journal import RunJournal
    from flows.settling import Settled
    from foodvision.plan.composite_stages import CompiledComposite
    from foodvision.plan.graph import CompiledCell, Graph
    from foodvision.plan.work import Work
    from tasks.outcomes import Ledger
    from tasks.publishing import Publisher

_UNDECIDED = (
    "its stop rule could not decide: what it looks at is not in the store. Run the plan again: "
    "only what is missing runs."
)


class Finishing:
    """Writes down what became of the cells of one run, and saves what the plan asks for.

    Attributes:
        failed_logs: label of each cell, and of what is made of cells, that failed, and the log
            (a file in the home) that tells why, where one does.
    """

    def __init__(self, publisher: Publisher, *, journal: RunJournal, ledger: Ledger) -> None:
        """Prepare.

        Args:
            publisher: of the plan's results.
            journal: of the run.
            ledger: knows what became of jobs.
        """
        self.failed_logs: dict[str, str] = {}
        self._publisher = publisher
        self._journal = journal
        self._ledger = ledger

    def finish(self, settled: Settled) -> dict[str, str]:
        """Save what the plan asks to be saved; return label and error of what failed.

        What lacks something was told of when that was found.
        """
        graph, work = settled.graph, settled.work
        failures: dict[str, str] = {}
        self.failed_logs = _told_logs(graph, work, self._ledger)
        whole: list[CompiledCell] = []
        for compiled in graph.cells:
            error = self._ledger.failure(work.waiting[compiled.cell.cell_id])
            if error is None and compiled.open_watch:
                error = _UNDECIDED
            if error is None:
                whole.append(compiled)
            else:
                failures[compiled.cell.label] = error
        unpublished = self._publisher.missing(whole)
        if unpublished:
            publish = partial(self._publisher.publish, unpublished)
            do_step(f"save {len(unpublished)} cells", publish)
        with self._journal.flushing_together():
            self._note_cells(graph, failures)
            self._finish_composites(graph, work, failures)
        return failures

    def save_best(self, graph: Graph, best: str) -> set[str]:
        """Save the model of the winner if it is not saved yet; return ids of what is saved now.

        Args:
            graph: the compiled plan.
            best: id of the winner.
        """
        publisher = self._publisher
        for compiled in graph.cells:
            if compiled.cell.cell_id == best and publisher.saved_path(compiled) is None:
                path = do_step("save the best model", partial(publisher.save, compiled))
                status = publisher.status(compiled)
                self._journal.row(compiled.cell, status=status, model_path=path)
                return {best}
        for composite in graph.composites:
            if composite.composite.cell_id == best:
                return self._save_members(composite)
        return set()

    def link_models(self, leaderboard: Sequence[Mapping[str, Any]]) -> None:
        """Let readable names among the saved models mean what this run found."""
        saved = {row["label"]: row["model_path"] for row in leaderboard if row["model_path"]}
        models = {label: Path(path) for label, path in saved.items()}
        told = self._journal.outcomes()
        home = self._publisher.home
        finished = [row for row in told.values() if row["status"] == "completed"]
        latest = max(finished, key=lambda row: row["at"], default={"model_path": None})
        first = leaderboard[0]
        link_names(
            home.models / self._publisher.plan.name,
            models,
            best=models.get(first["label"]) if first["rank"] else None,
            latest=home.root / latest["model_path"] if latest["model_path"] else None,
        )

    def _note_cells(self, graph: Graph, failures: Mapping[str, str]) -> None:
        for compiled in graph.cells:
            error = failures.get(compiled.cell.label)
            if error is not None:
                log = self.failed_logs.get(compiled.cell.label)
                self._journal.row(compiled.cell, status="failed", error=error, log=log)
                continue
            self._journal.row(
                compiled.cell,
                status=self._publisher.status(compiled),
                model_path=self._publisher.saved_path(compiled),
            )

    def _finish_composites(self, graph: Graph, work: Work, failures: dict[str, str]) -> None:
        for compiled in graph.composites:
            composite = compiled.composite
            error = self._ledger.failure(work.waiting[composite.cell_id])
            if error is None and any(voice.compiled.open_watch for voice in compiled.voices):
                error = _UNDECIDED
            if error is not None:
                failures[composite.label] = error
                log = self.failed_logs.get(composite.label)
                self._journal.row(composite, status="failed", error=error, log=log)
                continue
            path = self._publisher.composites.publish(compiled)
            status = self._publisher.composites.status(compiled)
            self._journal.row(composite, status=status, model_path=path)

    def _save_members(self, compiled: CompiledComposite) -> set[str]:
        """Save the members of the winner, and its card; return ids of what is saved now."""
        publisher = self._publisher
        members = [member for member, _ in publisher.composites.members(compiled)]
        unsaved = [member for member in members if publisher.saved_path(member) is None]
        for member in unsaved:
            path = do_step("save a member of the best", partial(publisher.save, member))
            self._journal.row(member.cell, status=publisher.status(member), model_path=path)
        if not unsaved:
            return set()
        self._journal.row(
            compiled.composite,
            status=publisher.composites.status(compiled),
            model_path=publisher.composites.publish(compiled),
        )
        return {compiled.composite.cell_id, *(member.cell.cell_id for member in unsaved)}


def _told_logs(graph: Graph, work: Work, ledger: Ledger) -> dict[str, str]:
    """Return the log that tells why a cell, or what is made of cells, failed; by label."""
    asked = [each.cell for each in graph.cells] + [each.composite for each in graph.composites]
    logs = {each.label: ledger.failure_log(work.waiting[each.cell_id]) for each in asked}
    return {label: log for label, log in logs.items() if log}
