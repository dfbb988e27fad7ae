"""What people hold in their hands: saved models, TensorBoard files, pictures of the best model.

All of it can be made again from the store; what is there already and says the same is left alone.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from foodvision.files import holds, write_json
from foodvision.plan.augmentation import augment_words
from foodvision.plan.mixing import mix_words
from foodvision.plan.phases import settings_at_end
from foodvision.plan.stopping import stop_words
from foodvision.stages.curves import told_accuracy
from foodvision.stages.steps import chain_steps
from tasks.evaluation_rows import told_scores
from tasks.facts import LibraryFacts
from tasks.publishing_composites import CompositePublisher
from tasks.records import chain_epochs, scored_epochs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from foodvision.home import Home
    from foodvision.plan.alerts import Condition
    from foodvision.plan.graph import CompiledCell
    from foodvision.plan.schema import Plan
    from foodvision.stages.site import Site
    from foodvision.store import Store

Row = dict[str, Any]

MARK = "result.json"
_KEY_DIGITS = 8
_MAX_NAME_BYTES = 180  # Linux allows 255 for a name; a key and an ending follow
_FINAL = (
    "test_accuracy",
    "test_loss",
    "valid_accuracy",
    "valid_loss",
    "train_accuracy",
    "train_loss",
)
_GRID_IMAGES = 16


@dataclass(frozen=True)
class Publisher:
    """Publishes one plan's results, beside whatever computes the next: it leaves GPUs alone.

    Attributes:
        plan: the plan.
        home: where the files go.
        store: where the results lie.
    """

    plan: Plan
    home: Home
    store: Store

    # -- cells --------------------------------------------------------------------------------

    def missing(self, cells: Sequence[CompiledCell]) -> list[CompiledCell]:
        """Return the cells whose files are not there, or are of another result."""
        return [
            compiled
            for compiled in cells
            if (self.plan.record.tensorboard and not self._is_tracked(compiled))
            or (self.plan.save == "all" and not self._is_saved(compiled))
        ]

    def publish(self, cells: Sequence[CompiledCell]) -> None:
        """Write what the plan asks for of each cell: TensorBoard files, the model."""
        today = datetime.now(UTC).date()
        for compiled in cells:
            if self.plan.record.tensorboard:
                self._track(compiled, today)
            if self.plan.save == "all" and not self._is_saved(compiled):
                self.save(compiled)

    def status(self, compiled: CompiledCell) -> str:
        """Return `completed` or `diverged`."""
        return training_status(self.store, compiled)

    # -- models -------------------------------------------------------------------------------

    def model_path(self, compiled: CompiledCell, *, epoch: int | None = None) -> Path:
        """Return where the cell's model, or that of an epoch, is, or would be, saved."""
        suffix = ".pth" if epoch is None else f"-epoch-{epoch}.pth"
        return self.file(compiled.cell.label, compiled.result_key, suffix)

    def file(self, label: str, result_key: str, suffix: str) -> Path:
        """Return where a file about a result lies among the saved models."""
        name = f"{file_name(label)}-{result_key[:8]}{suffix}"
        return self.home.models / self.plan.name / name

    @property
    def composites(self) -> CompositePublisher:
        """Publishes what is made of cells."""
        return CompositePublisher(self)

    def saved_path(self, compiled: CompiledCell) -> Path | None:
        """Return the cell's saved model, `None` if there is none."""
        return self.model_path(compiled) if self._is_saved(compiled) else None

    def save(self, compiled: CompiledCell, *, epoch: int | None = None) -> Path:
        """Save a cell's model: a stock state dict, and its card beside it.

        Args:
            compiled: the cell.
            epoch: whose state it is, which must be kept; `None`: its result's.
        """
        from foodvision.models.saved import save_model
        from foodvision.stages.training import load_state

        at = len(compiled.states) if epoch is None else epoch
        model = self._site.models.initial(compiled.chain.phase(at))
        load_state(self.store, compiled.chain.states[at - 1], model)
        path = self.model_path(compiled, epoch=epoch)
        return save_model(path.parent, model, name=path.stem, card=self._card(compiled, epoch))

    def _is_saved(self, compiled: CompiledCell) -> bool:
        path = self.model_path(compiled)
        return path.is_file() and path.with_suffix(".json").is_file()

    def _card(self, compiled: CompiledCell, epoch: int | None) -> Row:
        cell, phase = compiled.cell, compiled.phase
        scores = {
            part: self.store.get("score", key).notes["rows"][-1]
            for part, key in compiled.score_keys.items()
        }
        if epoch is not None:
            phase = compiled.chain.phase(epoch)
            scores = self._scores_at(compiled, epoch)
        return {
            "plan": self.plan.name,
            "plan_id": self.plan.plan_id,
            "cell_id": cell.cell_id,
            "label": cell.label,
            "result_key": compiled.result_key,
            "status": self.status(compiled),
            "classes": list(phase.train.classes),
            "transform": dict(phase.transform),
            "settings": cell.settings.model_dump(mode="json"),
            "metrics": told_scores(scores),
            **(
                {"stopped": asdict(compiled.decision)}
                if compiled.decision and epoch is None
                else {}
            ),
            **({} if epoch is None else {"epoch": epoch}),
            "digests": {
                "weights": phase.inputs["weights"],
                "train_images": phase.train.digest,
                "test_images": compiled.image_sets["test"].digest,
                "data": self.store.get("dataset", phase.train.dataset).notes["digest"],
            },
            "environment": dict(phase.inputs["environment"]),
        }

    def _scores_at(self, compiled: CompiledCell, epoch: int) -> dict[Any, Row]:
        """Return how the state after an epoch scored, where that is kept."""
        epochs = chain_epochs(self.store, compiled.curve_key, last_epoch=compiled.curve_end)
        found = {
            part: scored_epochs(self.store, epochs, images.digest).get(epoch)
            for part, images in compiled.image_sets.items()
        }
        return {part: row for part, row in found.items() if row}

    @cached_property
    def _site(self) -> Site:
        import torch

        from foodvision.stages.site import Site

        return Site(self.store, self.home, self.plan.folder, torch.device("cpu"))

    # -- TensorBoard --------------------------------------------------------------------------

    def _is_tracked(self, compiled: CompiledCell) -> bool:
        if not self.home.runs.is_dir():
            return False
        mark = _mark(compiled)
        return any(
            holds(folder / MARK, mark)
            for day in _days(self.home.runs)
            for folder in self._run_folders(compiled, day)
        )

    def _run_folders(self, compiled: CompiledCell, day: date) -> tuple[Path, Path]:
        """Return where TensorBoard's files of a cell go: usually, and beside another result."""
        from foodvision.report.tensorboard import run_folder

        axes = dict(compiled.cell.axes)
        model = axes.pop("model", None) or compiled.cell.settings.model.arch
        parts = [part for part in compiled.cell.label.split(" · ") if part != model]
        key = compiled.result_key[:_KEY_DIGITS]
        names = (" · ".join(parts), " · ".join([*parts, key]))
        usual, beside = (
            run_folder(self.home.runs, day, self.plan.name, model, name) for name in names
        )
        return usual, beside

    def _free_folder(self, compiled: CompiledCell, day: date) -> Path:
        """Return the folder of the cell that does not hold another result of this day."""
        usual, beside = self._run_folders(compiled, day)
        is_taken = (usual / MARK).exists() and not holds(usual / MARK, _mark(compiled))
        return beside if is_taken else usual

    def _track(self, compiled: CompiledCell, today: date) -> None:
        from foodvision.report.tensorboard import EpochScalars, StepScalars, write_cell

        epochs = chain_epochs(self.store, compiled.curve_key, last_epoch=compiled.curve_end)
        scores = {
            part: scored_epochs(self.store, epochs, images.digest)
            for part, images in compiled.image_sets.items()
        }
        rows = [_epoch_scalars(row, scores) for _, row in epochs]
        folder = self._free_folder(compiled, today)
        settings = compiled.cell.settings.model_dump(mode="json")
        last = rows[: len(compiled.states)][-1]
        write_cell(
            folder,
            epochs=[EpochScalars(**row) for row in rows],
            config=settings,
            hparams=_hparams(settings_at_end(settings), compiled.cell.bounds),
            final={name: last[name] for name in _FINAL if name in last} | _stop_figures(compiled),
            started_at=datetime.now(UTC) - timedelta(seconds=sum(row["seconds"] for row in rows)),
            succeeded=self.status(compiled) == "completed",
            steps=[StepScalars(**row) for row in self._steps(compiled)],
        )
        write_json(folder / MARK, _mark(compiled))
        self._draw_graph(compiled, today)

    def _steps(self, compiled: CompiledCell) -> Iterable[Row]:
        """Yield what was noted of the steps of the cell's curve."""
        steps = chain_steps(self.store, compiled.curve_key, last_epoch=compiled.curve_end)
        for row in steps.drop_columns("images").to_pylist():
            rates = row.pop("group_rates_json")
            yield row | {"group_rates": json.loads(rates) if rates else {}}

    def _draw_graph(self, compiled: CompiledCell, today: date) -> None:
        """Write the model's graph, once per architecture and day."""
        from foodvision.report.tensorboard import graph_folder, write_graph

        phase = compiled.phase
        folder = graph_folder(self.home.runs, today, self.plan.name, phase.settings.model.arch)
        if folder.exists():
            return
        facts = LibraryFacts(home=self.home, base=self.plan.folder, datasets={})
        classes = len(phase.train.classes)
        write_graph(folder, facts.operations(phase.settings, classes=classes))


def training_status(store: Store, compiled: CompiledCell) -> str:
    """Return what became of a finished training: `completed` or `diverged`."""
    notes = store.get("train", compiled.final).notes
    return "diverged" if notes["diverged"] else "completed"


def file_name(label: str) -> str:
    """Return a label as a file name that needs no quotes in a shell."""
    kept = re.sub(r"[^\w.+=-]+", "-", label.replace(" · ", "_"))
    short = kept.strip("-.").encode()[:_MAX_NAME_BYTES].decode(errors="ignore")
    return short.rstrip("-.") or "cell"


def _mark(compiled: CompiledCell) -> Row:
    return {"result_key": compiled.result_key}


def _days(folder: Path) -> Iterable[date]:
    for path in folder.iterdir():
        try:
            yield datetime.strptime(path.name, "%Y-%m-%d").replace(tzinfo=UTC).date()
        except ValueError:
            continue  # not ours


def _epoch_scalars(row: Row, scores: Mapping[Any, Mapping[int, Row]]) -> Row:
    names = ("epoch", "train_loss", "learning_rate", "seconds")
    trained = {"train_accuracy": told_accuracy(row["train_loss"], row["train_accuracy"])}
    groups = {"group_rates": row.get("learning_rates", {})}
    return (
        {name: row[name] for name in names}
        | trained
        | groups
        | told_scores({part: by_epoch[row["epoch"]] for part, by_epoch in scores.items()})
    )


def _stop_figures(compiled: CompiledCell) -> Row:
    """Return what a stop rule decided, as final figures."""
    if compiled.decision is None:
        return {}
    decision = compiled.decision
    return {"best_epoch": float(decision.epoch), "epochs_trained": float(decision.last_epoch)}


def _hparams(settings: Row, bounds: Sequence[Condition]) -> Row:
    return {
        "arch": settings["model"]["arch"],
        "freeze": settings["model"]["freeze"],
        "weights": settings["model"]["weights"],
        "dropout": settings["model"]["dropout"],
        "augment": augment_words(settings["augment"]),
        "mix": mix_words(settings["mix"]),
        "data": settings["data"]["name"],
        "batch_size": settings["batch_size"],
        "epochs": settings["epochs"],
        "optimizer": settings["optimizer"]["kind"],
        "lr": settings["optimizer"]["lr"],
        "schedule": settings["schedule"]["kind"],
        "stop": stop_words(settings["stop"], [bound.name for bound in bounds]),
        "precision": settings["precision"],
        "seed": settings["seed"],
    }
