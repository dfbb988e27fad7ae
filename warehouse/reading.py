"""What commands and pictures read: one query file and one frozen record per question."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from warehouse import statements
from warehouse.database import place_of, query, run_query
from warehouse.errors import MissingWarehouseError, SchemaVersionError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    import duckdb
    import pyarrow as pa


@dataclass(frozen=True)
class CurvePoint:
    """One epoch of one result.

    Attributes:
        result_key: the result.
        epoch: from 1.
        train_loss: mean over the images of the epoch; None where it is not known.
        train_accuracy: in [0, 1].
        valid_loss: None where no images were set aside.
        valid_accuracy: in [0, 1].
        test_loss: after the epoch.
        test_accuracy: in [0, 1].
        learning_rate: of the last step.
        seconds: that the epoch took when it was computed.
        images: that the epoch trained on.
    """

    result_key: str
    epoch: int
    train_loss: float | None
    train_accuracy: float | None
    valid_loss: float | None
    valid_accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    learning_rate: float | None
    seconds: float | None
    images: int | None


@dataclass(frozen=True)
class Result:
    """What a plan found for one cell, or for what is made of cells.

    Attributes:
        plan: name of the plan.
        label: what the plan calls it.
        cell_id: of the cell.
        result_key: the result.
        run_id: the run that told of it last.
        model_path: where the model lies now; None: it is not saved.
        test_accuracy: in [0, 1].
        status: completed or diverged.
    """

    plan: str
    label: str
    cell_id: str
    result_key: str
    run_id: str
    model_path: str | None
    test_accuracy: float | None
    status: str


@dataclass(frozen=True)
class Prediction:
    """What one model said about one scored image.

    Attributes:
        result_key: the result.
        position: place of the image in the split, from 0.
        dataset_key: the data set of the image.
        path: of the image inside the data set.
        image_sha256: of the file.
        true_class: what the data set names.
        predicted_class: what the model names.
        probability: of the predicted class, in [0, 1] (NaN where the model diverged).
        true_probability: of the true class.
        is_correct: both classes are the same.
    """

    result_key: str
    position: int
    dataset_key: str
    path: str
    image_sha256: str
    true_class: str
    predicted_class: str
    probability: float
    true_probability: float
    is_correct: bool


@dataclass(frozen=True)
class ClassMetric:
    """How one model does on one class: precision, recall and F1 in [0, 1], images in `support`."""

    result_key: str
    class_name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Metrics:
    """How one model does on one split, as a whole; shares and errors in [0, 1].

    Attributes:
        result_key: the result.
        split: valid or test.
        images: scored ones.
        loss: mean over them; None where it is not finite.
        accuracy: share classified rightly.
        top_k: 5, or one less than there are classes.
        top_k_accuracy: share whose class is among the k most probable.
        precision_macro: plain mean over classes, as recall_macro and f1_macro.
        recall_macro: see precision_macro.
        f1_macro: see precision_macro.
        precision_weighted: weighted by images, as recall_weighted and f1_weighted.
        recall_weighted: see precision_weighted.
        f1_weighted: see precision_weighted.
        calibration_error: expected calibration error; None where the model diverged.
        temperature: fitted on the validation images; None where none were set aside.
        calibrated_error: at that temperature.
        calibrated_loss: at that temperature.
    """

    result_key: str
    split: str
    images: int
    loss: float | None
    accuracy: float
    top_k: int
    top_k_accuracy: float
    precision_macro: float
    recall_macro: float
    f1_macro: float
    precision_weighted: float
    recall_weighted: float
    f1_weighted: float
    calibration_error: float | None
    temperature: float | None
    calibrated_error: float | None
    calibrated_loss: float | None


@dataclass(frozen=True)
class ReliabilityBin:
    """Test images to whose predicted class a model gives about the same probability.

    Attributes:
        result_key: the result.
        is_calibrated: probabilities are at the temperature of the result.
        lower: they are above this.
        upper: and at most this.
        images: at least 1.
        confidence: their mean probability.
        accuracy: share of the images classified rightly.
    """

    result_key: str
    is_calibrated: bool
    lower: float
    upper: float
    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Member:
    """A member of a composite: its share in the answer, in (0, 1], and the result it gave."""

    result_key: str
    position: int
    cell_id: str
    member_result_key: str
    weight: float


@dataclass(frozen=True)
class Run:
    """One execution of a plan; times in UTC, `finished_at` None while it runs or was killed."""

    run_id: str
    plan_id: str
    plan_name: str
    started_at: datetime
    finished_at: datetime | None
    status: str
    cells: int
    cells_failed: int
    wall_seconds: float | None
    device: str | None


@dataclass(frozen=True)
class PlannedRun:
    """What a run was told and where it ran; JSON texts as in the table `runs`."""

    run_id: str
    plan_name: str
    started_at: datetime
    status: str
    device: str | None
    environment_json: str
    set_json: str | None
    plan_json: str
    source_path: str | None


@dataclass(frozen=True)
class OtherSettings:
    """A version of a plan that has results: overrides and time of its latest run, and its rows."""

    set_json: str | None
    started_at: datetime
    cells: int


@dataclass(frozen=True)
class Relation:
    """A table or view: its name, what it says about itself, and the comment of each column."""

    name: str
    comment: str
    columns: dict[str, str]


@dataclass(frozen=True)
class RunDetails:
    """One execution of a plan, and what it cost.

    Attributes:
        run_id: the run.
        plan_name: of its plan.
        started_at: UTC.
        status: running, completed, failed, cancelled or crashed.
        cells: of the plan.
        cells_failed: of these.
        cells_done: of these, that completed or diverged.
        wall_seconds: None while it runs, or where it was killed.
        device: that trained.
        environment_json: versions, host and commit; None where an older version loaded it.
        set_json: overrides of the command line.
        predicted_json: work that was predicted.
        counted_json: work that was counted.
        seconds_alone: what its cells take if each trains alone.
        seconds_paid: what the run spent on them.
        stages_found: in the store.
        stages_computed: by this run.
        epochs_computed: that this run trained.
        epochs_alone: that its cells take if each trains alone, of those that have a result.
    """

    run_id: str
    plan_name: str
    started_at: datetime
    status: str
    cells: int
    cells_failed: int
    cells_done: int
    wall_seconds: float | None
    device: str | None
    environment_json: str | None
    set_json: str | None
    predicted_json: str | None
    counted_json: str | None
    seconds_alone: float | None
    seconds_paid: float | None
    stages_found: int
    stages_computed: int
    epochs_computed: int
    epochs_alone: int


@dataclass(frozen=True)
class Alert:
    """Something that somebody was to be told.

    Attributes:
        cell_id: of the row that it is about.
        label: what the plan calls that.
        rule: the condition.
        message: a sentence.
        channel: who is told.
        status: delivered, pending or given up.
        raised_at: when it was found (UTC).
        error: why it was not told; None: it was, or nobody has tried.
    """

    cell_id: str
    label: str
    rule: str
    message: str
    channel: str
    status: str
    raised_at: datetime
    error: str | None


@dataclass(frozen=True)
class Certificate:
    """One verification of a result; `difference` is None where everything was equal to the bit."""

    result_key: str
    checked_at: datetime
    is_equal: bool
    difference: str | None
    environment_json: str
    seconds: float


@dataclass(frozen=True)
class GpuUse:
    """What a GPU was seen to do while a run went on; None where it does not tell.

    Attributes:
        gpu: its number, from 0.
        gpu_name: its name.
        mean_busy_percent: in [0, 100].
        most_memory_bytes: that were in use.
        most_celsius: its temperature.
        most_watts: that it drew.
    """

    gpu: int
    gpu_name: str | None
    mean_busy_percent: float | None
    most_memory_bytes: int | None
    most_celsius: float | None
    most_watts: float | None


_Record = TypeVar(
    "_Record",
    CurvePoint,
    Result,
    Prediction,
    ClassMetric,
    Metrics,
    ReliabilityBin,
    Member,
    Run,
    RunDetails,
    PlannedRun,
    OtherSettings,
    Alert,
    Certificate,
    GpuUse,
)


def curves(path: Path, result_keys: Sequence[str]) -> list[CurvePoint]:
    """Return every epoch of these results, in the order asked for, then by epoch."""
    return _read(path, "curves", CurvePoint, {"result_keys": list(result_keys)})


def results(path: Path) -> list[Result]:
    """Return every result of every plan, the latest first."""
    found = _read(path, "results", Result, {})
    return [replace(each, model_path=place_of(path, each.model_path)) for each in found]


def predictions(path: Path, result_key: str) -> list[Prediction]:
    """Return what the result says about each scored image, in the order of the split."""
    return _read(path, "predictions", Prediction, {"result_key": result_key})


def answers(path: Path, result_keys: Sequence[str]) -> pa.Table:
    """Return what each of these results says about each scored image, paired over results.

    Returns:
        The columns of `queries/answers.sql`: `result` is the place in `result_keys`, `image` the
        same number for the same image in every result; results that are not known have no row.
    """
    return query(path, statements.query_text("answers"), {"result_keys": list(result_keys)})


def continued(path: Path, result_keys: Sequence[str]) -> set[str]:
    """Return which of these results are stages on the way to another one of them."""
    params = {"result_keys": list(result_keys)}
    found = query(path, statements.query_text("continued"), params)
    return set(found["result_key"].to_pylist())


def class_metrics(path: Path, result_key: str) -> list[ClassMetric]:
    """Return precision, recall, F1 and support of each class, by name."""
    return _read(path, "class_metrics", ClassMetric, {"result_key": result_key})


def metrics(path: Path, result_key: str) -> dict[str, Metrics]:
    """Return the metrics of a result, by split."""
    return {each.split: each for each in metrics_of(path, [result_key])}


def metrics_of(path: Path, result_keys: Sequence[str]) -> list[Metrics]:
    """Return the metrics of results, of every split that they were scored on."""
    return _read(path, "metrics", Metrics, {"result_keys": list(result_keys)})


def reliability(path: Path, result_key: str) -> list[ReliabilityBin]:
    """Return the bins of a result that hold images, by probability, the raw ones first."""
    return _read(path, "reliability", ReliabilityBin, {"result_key": result_key})


def members(path: Path, result_key: str) -> list[Member]:
    """Return what a composite's result is made of; nothing for a trained cell's."""
    return _read(path, "members", Member, {"result_key": result_key})


def runs(path: Path, *, plan_name: str | None = None) -> list[Run]:
    """Return every run, or those of one plan, the latest first."""
    return _read(path, "runs", Run, {"plan_name": plan_name})


def runs_as_planned(path: Path) -> list[PlannedRun]:
    """Return every run with its plan and its environment, the latest first."""
    return _read(path, "runs_as_planned", PlannedRun, {})


def other_settings(path: Path, plan_name: str, cell_ids: Sequence[str]) -> list[OtherSettings]:
    """Return the versions of a plan that have results, but none of these cells; latest first."""
    params = {"plan_name": plan_name, "cell_ids": list(cell_ids)}
    return _read(path, "other_settings", OtherSettings, params)


def results_of_run(path: Path, run_id: str) -> list[dict[str, Any]]:
    """Return what a run found of each cell and composite, in the plan's order."""
    found = query(path, statements.query_text("results_of_run"), {"run_id": run_id})
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def images_of_datasets(path: Path, dataset_keys: Sequence[str]) -> list[dict[str, Any]]:
    """Return split, class and sha256 of each image of these data sets."""
    params = {"dataset_keys": list(dataset_keys)}
    found = query(path, statements.query_text("images_of_datasets"), params)
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def relations(connection: duckdb.DuckDBPyConnection) -> list[Relation]:
    """Return every table, then every view, by name; columns in their order."""
    found: dict[str, Relation] = {}
    for row in run_query(connection, statements.query_text("relations")).to_pylist():
        relation = found.setdefault(row["name"], Relation(row["name"], row["comment"], {}))
        relation.columns[row["column_name"]] = row["column_comment"]
    return list(found.values())


def run_details(path: Path, plan_name: str | None, *, most: int | None) -> list[RunDetails]:
    """Return the latest runs of a plan, or of all, with what they cost; at most so many, or all."""
    return _read(path, "run_details", RunDetails, {"plan_name": plan_name, "most": most})


def certificates(path: Path, result_keys: Sequence[str]) -> list[Certificate]:
    """Return every verification of these results, the latest first."""
    return _read(path, "certificates", Certificate, {"result_keys": list(result_keys)})


def gpus(path: Path, run_id: str) -> list[GpuUse]:
    """Return what the GPUs of the machine were seen to do in a run; empty without any."""
    return _read(path, "gpus", GpuUse, {"run_id": run_id})


def alerts(path: Path, plan_name: str) -> list[Alert]:
    """Return all alerts of a plan, the latest first."""
    return _read(path, "alerts", Alert, {"plan_name": plan_name})


def latest_plan(
    path: Path, *, plan_name: str | None = None, with_results: bool = True
) -> tuple[str, str | None] | None:
    """Return the plan that ran last: its canonical JSON, and the file that it came from.

    Args:
        path: the warehouse.
        plan_name: only this plan; None: whichever ran last.
        with_results: of the runs that anything completed in; else of all, also of those that died.
    """
    params = {"plan_name": plan_name, "with_results": with_results}
    found = query(path, statements.query_text("latest_plan"), params).to_pylist()
    return (found[0]["plan_json"], found[0]["source_path"]) if found else None


def known_results(path: Path) -> frozenset[str]:
    """Return the keys of all results whose rows are loaded, for whoever loads next.

    None where there is no file yet, or one of another version: loading upgrades an older file (and
    refuses a newer one), and loads its results once more, which changes nothing.
    """
    try:
        found = query(path, statements.query_text("known_results"))
    except (MissingWarehouseError, SchemaVersionError):
        return frozenset()
    return frozenset(found["result_key"].to_pylist())


def _read(path: Path, name: str, record: type[_Record], params: dict[str, Any]) -> list[_Record]:
    table = query(path, statements.query_text(name), params)
    columns = [table.column(field.name).to_pylist() for field in fields(record)]
    return [record(*row) for row in zip(*columns, strict=True)]
