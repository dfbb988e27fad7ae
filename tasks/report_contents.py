"""What a report says, gathered from the warehouse, the store and the journals."""

from __future__ import annotations

import io
import json
import math
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ruamel.yaml import YAML

from foodvision.errors import FoodVisionError
from foodvision.evaluate.effects import axis_effects
from foodvision.plan.alerts import mask_addresses, told_target, written_addresses
from foodvision.plan.expand import expand
from foodvision.report.html.contents import (
    AlertLine,
    AxisEffect,
    AxisValue,
    CertificateLine,
    Column,
    Confusion,
    Curve,
    DataLine,
    Entry,
    Estimate,
    Figure,
    Interaction,
    Report,
    RunLine,
    Seed,
    Tiles,
    Told,
    Winner,
    Work,
)
from foodvision.report.tables import file_size
from tasks.accounting import fallen_words
from tasks.certainty import Judged, judge_leaderboard, read_answers, read_configurations
from tasks.journal import journals, read_journal
from tasks.plan_data import known_plan_data
from tasks.plans import open_plan
from tasks.ranking import told_status
from tasks.records import latest
from tasks.report_images import Jury, Photos, describe_winner
from tasks.report_words import WORK, describe_key_figures, gpu_words, metric_words, summarize
from warehouse import reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from foodvision.home import Home
    from foodvision.plan.alerts import AlertRule
    from foodvision.plan.schema import Plan
    from foodvision.store import Store
    from tasks.certainty import Configuration

Row = dict[str, Any]

_NOT_TOLD = frozenset({"pid"})  # of the environment
_FIRST_PACKAGES = ("foodvision", "torch", "torchvision", "prefect", "duckdb", "numpy", "pillow")
_RUNS = 20
_ALERTS = 100
_CONFUSIONS = 6
_NO_TILES = Tiles((), 0)
_ONLY_IF_KNOWN = frozenset({"latency_ms"})
_CURVES = tuple(
    f"{part}_{name}" for part in ("train", "valid", "test") for name in ("loss", "accuracy")
)
_DECIDERS = {
    "valid.accuracy": Column("valid_accuracy", "Validation accuracy", "share", decides=True),
    "valid.loss": Column("valid_loss", "Validation loss", "loss", decides=True),
    "train.accuracy": Column("train_accuracy", "Training accuracy", "share", decides=True),
    "train.loss": Column("train_loss", "Training loss", "loss", decides=True),
}
_COLUMNS = {
    "test.accuracy": Column("test_accuracy", "Test accuracy", "share"),
    "test.loss": Column("test_loss", "Test loss", "loss"),
    "ece": Column("test_calibration_error", "ECE", "loss"),
    "seconds": Column("seconds_alone", "Time alone", "seconds"),
    "params": Column("params_total", "Parameters", "count"),
    "bytes": Column("model_bytes", "Size", "bytes"),
    "latency": Column("latency_ms", "Time an image", "milliseconds"),
}


@dataclass(frozen=True, eq=False)
class Gatherer:
    """Gathers one plan's report.

    Attributes:
        plan: the plan.
        home: whose warehouse and journals say what was found.
        store: where the images lie.
        leaderboard: rows as `rank_cells` returns them; at least one.
        folder: that the report will lie in.
    """

    plan: Plan
    home: Home
    store: Store
    leaderboard: Sequence[Mapping[str, Any]]
    folder: Path

    def gather(self) -> Report:
        """Return the report.

        Raises:
            WarehouseError: the warehouse cannot be read.
        """
        judged = self._judged
        effects, interactions = self._effects()
        winner, hard, suspects = self._winner(), *self._suspicious()
        work, work_of = self._work()
        return Report(
            name=self.plan.name,
            description=self.plan.description,
            made_at=datetime.now(UTC),
            ranked_by=metric_words(self.plan.rank.by.value),
            score=judged.score if judged else "accuracy",
            test_images=judged.certainty.images if judged else 0,
            summary=summarize(
                self._entries, judged, effects, by=self.plan.rank.by.value, winner=winner,
                hard=hard.total, suspects=suspects.total, work=work,
            ),
            key_figures=describe_key_figures(self._entries, judged, winner, work),
            columns=self._columns,
            entries=self._entries,
            axes=self._axes(),
            effects=effects,
            interactions=interactions,
            curves=self._curves(),
            confusions=self._confusions(),
            winner=winner,
            hard=hard,
            suspects=suspects,
            work=work,
            work_of=work_of,
            runs=[_run_line(run) for run in self._runs],
            plan_text=self._plan_text(),
            environment=self._environment(),
            packages=self._known_environment.get("packages", {}),
            data=list(self._data()),
            certificates=self._certificates(),
            rules=[_rule_words(rule) for rule in self.plan.alerts],
            alerts=self._alerts[:_ALERTS],
            alerts_total=len(self._alerts),
        )  # fmt: skip

    # -- the leaderboard ----------------------------------------------------------------------

    @cached_property
    def _configurations(self) -> tuple[Configuration, ...]:
        return read_configurations(self.leaderboard)

    @cached_property
    def _judged(self) -> Judged | None:
        return judge_leaderboard(self.leaderboard, by=self.plan.rank.by.value, home=self.home)

    @cached_property
    def _columns(self) -> list[Column]:
        by = self.plan.rank.by.value
        known = {
            name for row in self.leaderboard for name, value in row.items() if value is not None
        }
        columns = {
            name: column
            for name, column in _COLUMNS.items()
            if column.key in known or column.key not in _ONLY_IF_KNOWN
        }
        if by in columns:
            found = columns.pop(by)
            decider = Column(found.key, found.title, found.kind, decides=True)
        else:
            decider = _DECIDERS[by]
        return [decider, *columns.values()]

    @cached_property
    def _entries(self) -> list[Entry]:
        ranked = [self._ranked_entry(each) for each in self._configurations]
        others = [self._other_entry(row) for row in self.leaderboard if row["rank"] is None]
        return [*ranked, *others]

    def _ranked_entry(self, configuration: Configuration) -> Entry:
        rows = configuration.rows
        entry = Entry(
            rank=configuration.rank,
            label=configuration.label,
            kind=rows[0]["kind"],
            axes={name: str(label) for name, label in configuration.axes.items()},
            status=told_status(rows[0]),
            note=None,
            figures=self._figures(rows),
            stopped=_stopped(rows),
            seeds=[Seed(str(row["seed"]), self._figures([row])) for row in rows]
            if len(rows) > 1
            else (),
        )
        return self._judge(entry)

    def _judge(self, entry: Entry) -> Entry:
        if self._judged is None or entry.rank is None:
            return entry
        standing = self._judged.standing(entry.rank)
        if standing is None:
            return entry
        return replace(
            entry,
            verdict=standing.verdict,
            chance=standing.chance,
            score=Estimate(standing.mean, standing.low, standing.high),
            behind=Estimate(standing.behind, standing.behind_low, standing.behind_high),
        )

    def _other_entry(self, row: Mapping[str, Any]) -> Entry:
        axes = json.loads(row["axes_json"])
        return Entry(
            rank=None,
            label=row["label"],
            kind=row["kind"],
            axes={name: str(label) for name, label in axes.items() if name != "seed"},
            status=told_status(row),
            note=row["error"],
            log=self._link(row["log_path"]),
            figures=self._figures([row]),
        )

    def _link(self, log: str | None) -> str | None:
        """Return the URL of a file of the home, as seen from the report."""
        if log is None or not (self.home.root / log).is_file():
            return None
        return quote(Path(os.path.relpath(self.home.root / log, self.folder)).as_posix())

    def _figures(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
        found = {}
        for column in self._columns:
            values = [row[column.key] for row in rows if row[column.key] is not None]
            if values:
                spread = stdev(values) if len(values) > 1 else None
                found[column.key] = Figure(fmean(values), spread)
        return found

    def _axes(self) -> dict[str, list[str]]:
        found: dict[str, dict[str, None]] = {
            name: {} for cell in expand(self.plan) for name in cell.axes if name != "seed"
        }
        for row in sorted(self.leaderboard, key=lambda row: row["position"]):
            for name, label in json.loads(row["axes_json"]).items():
                if name != "seed":
                    found.setdefault(name, {})[str(label)] = None
        return {name: list(values) for name, values in found.items() if len(values) > 1}

    # -- what axes did, how cells learned -------------------------------------------------------

    def _effects(self) -> tuple[list[AxisEffect], list[Interaction]]:
        judged = self._judged
        if judged is None or len(judged.configurations) < 2:
            return [], []
        trained = [
            number
            for number, each in enumerate(judged.configurations)
            if each.rows[0]["kind"] == "trained"
        ]
        trained.sort(key=lambda number: judged.configurations[number].rows[0]["position"])
        axes = [judged.configurations[number].axes for number in trained]
        mains, pairs = axis_effects(judged.resampled.only(trained), axes)
        return [_axis_effect(each) for each in mains], [_interaction(each) for each in pairs]

    def _curves(self) -> list[Curve]:
        points: dict[str, list[reading.CurvePoint]] = {}
        cells = self._cells_by_entry()
        keys = [row["result_key"] for _, row in cells if row["result_key"]]
        for point in reading.curves(self.home.warehouse, keys):
            points.setdefault(point.result_key, []).append(point)
        return [
            Curve(
                entry=number,
                label=row["label"],
                epochs=[point.epoch for point in points[row["result_key"]]],
                values={name: _column(points[row["result_key"]], name) for name in _CURVES},
            )
            for number, row in cells
            if row["result_key"] in points  # what is made of cells was never trained
        ]

    def _cells_by_entry(self) -> list[tuple[int, Mapping[str, Any]]]:
        """Return every cell with the number of its entry."""
        ranked = [
            (number, row) for number, each in enumerate(self._configurations) for row in each.rows
        ]
        first = len(self._configurations)
        others = (row for row in self.leaderboard if row["rank"] is None)
        return [*ranked, *enumerate(others, start=first)]

    # -- images ---------------------------------------------------------------------------------

    @cached_property
    def _photos(self) -> Photos:
        return Photos(self.store)

    def _winner(self) -> Winner | None:
        if not self._configurations:
            return None
        return describe_winner(self._configurations[0].rows[0], self.home.warehouse, self._photos)

    def _suspicious(self) -> tuple[Tiles, Tiles]:
        rows = [row for each in self._configurations for row in each.rows]
        trained = dict.fromkeys(r["result_key"] for r in rows if r["kind"] == "trained")
        if not trained:
            return _NO_TILES, _NO_TILES
        begun = reading.continued(self.home.warehouse, list(trained))  # one training is one juror
        keys = [key for key in trained if key not in begun]
        jury = Jury(read_answers(keys, self.home), len(keys))
        return jury.hard(self._photos), jury.suspects(self._photos)

    def _confusions(self) -> list[Confusion]:
        chosen = self._configurations[:_CONFUSIONS]
        keys = list(dict.fromkeys(each.rows[0]["result_key"] for each in chosen))
        jury = Jury(read_answers(keys, self.home), len(keys)) if keys else None
        if jury is None or not jury.table.num_rows:
            return []
        return [
            jury.confusion(keys.index(each.rows[0]["result_key"]), each.label) for each in chosen
        ]

    # -- where it comes from --------------------------------------------------------------------

    @cached_property
    def _runs(self) -> list[reading.RunDetails]:
        return reading.run_details(self.home.warehouse, self.plan.name, most=_RUNS)

    def _work(self) -> tuple[list[Work], datetime | None]:
        """Return the work of the latest run that had any, beside what cells alone would be."""
        for run in self._runs:
            predicted, counted = (_object(text) for text in (run.predicted_json, run.counted_json))
            if any(predicted.values()) or any(counted.values()):
                alone = self._naive(run.run_id)
                work = [
                    # A cell alone keeps no rows: what it would write is not known, no zero.
                    Work(
                        words,
                        alone.get(name) or None,
                        predicted.get(name),
                        counted.get(name),
                        self._fallen(predicted, counted) if name == "epochs" else "",
                    )
                    for name, words in WORK.items()
                ]
                return [line for line in work if line.alone or line.predicted], run.started_at
        return [], None

    def _fallen(self, predicted: Mapping[str, int], counted: Mapping[str, int]) -> str:
        if not predicted or not counted:
            return ""
        return fallen_words(predicted["epochs"], counted["epochs"], self.leaderboard)

    def _naive(self, run_id: str) -> Mapping[str, int]:
        for path in journals(self.home.journals):
            if path.stem.partition("-")[2] == run_id:
                compiled = latest(read_journal(path), "compiled")
                return compiled["naive"] if compiled else {}
        return {}

    @cached_property
    def _known_environment(self) -> dict[str, Any]:
        return _object(self._runs[0].environment_json) if self._runs else {}

    def _environment(self) -> dict[str, str]:
        if not self._runs:
            return {}
        run, known = self._runs[0], dict(self._known_environment)
        memory, git, packages = (
            known.pop(name, None) for name in ("memory_bytes", "git", "packages")
        )
        facts = {"run": run.run_id, "device": run.device or "–"}
        facts |= {name: str(value) for name, value in known.items() if name not in _NOT_TOLD}
        if memory:
            facts["memory"] = file_size(memory)
        if git:
            facts["git commit"] = _commit(git)
        for gpu in reading.gpus(self.home.warehouse, run.run_id):
            facts[f"GPU {gpu.gpu}"] = gpu_words(gpu)
        return facts | {
            name: packages[name] for name in _FIRST_PACKAGES if packages and name in packages
        }

    def _data(self) -> Iterable[DataLine]:
        for name, dataset in known_plan_data(self.plan, self.plan.data, self.home).found.items():
            splits = dataset.table.column("split").to_pylist()
            yield DataLine(
                name=name,
                source=self.plan.data[name].source,
                classes=len(dataset.classes),
                train_images=splits.count("train"),
                test_images=splits.count("test"),
                digest=dataset.digest,
            )

    def _certificates(self) -> list[CertificateLine]:
        labels = {row["result_key"]: row["label"] for row in self.leaderboard if row["result_key"]}
        return [
            CertificateLine(labels[each.result_key], each.checked_at, each.difference, each.seconds)
            for each in reading.certificates(self.home.warehouse, list(labels))
        ]

    @cached_property
    def _alerts(self) -> list[AlertLine]:
        lines: dict[tuple[Any, ...], AlertLine] = {}
        for each in reading.alerts(self.home.warehouse, self.plan.name):
            words = each.message.removeprefix(f"{self.plan.name}: {each.label}").lstrip(": ")
            line = AlertLine(each.label, each.raised_at.astimezone(UTC), words, ())
            same = (each.cell_id, each.rule, each.message)
            told = Told(each.channel, each.status, each.error)
            lines[same] = replace(found := lines.get(same, line), told=[*found.told, told])
        return list(lines.values())

    def _plan_text(self) -> str:
        """Return the plan as its file has it, if that still says the same; else all it says.

        A file of JSON, which programs write in one line, is told as YAML, too.
        """
        path = self.plan.source_path
        try:
            plan = None if path is None else open_plan(path)
            if path is not None and plan is not None and plan.plan_id == self.plan.plan_id:
                written = path.read_text(encoding="utf-8")
                shows = all(address in written for address in written_addresses(plan.alerts))
                if shows and not written.lstrip().startswith("{"):
                    return mask_addresses(written, plan.alerts)
        except (FoodVisionError, OSError):  # moved or edited since: what ran is known without it
            pass
        whole = io.StringIO()
        yaml = YAML()
        yaml.default_flow_style = None
        yaml.dump(self.plan.to_json(), whole)
        return whole.getvalue()


def _stopped(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Say what a stop rule did to the cells of a configuration."""
    asked, trained = rows[0]["epochs"], sorted({row["epochs_trained"] or 0 for row in rows})
    best = sorted({row["best_epoch"] for row in rows if row["best_epoch"] is not None})
    if trained[-1:] == [asked] and len(trained) == 1 and not best:
        return None
    words = [f"{_range(trained)} of {asked} epochs"] if 0 < trained[0] < (asked or 0) else []
    words += [f"the state of epoch {_range(best)}"] if best else []
    return ", ".join(words) or None


def _rule_words(rule: AlertRule) -> str:
    """Say what a rule asks for, and of whom: `train.loss > 3, on epochs, ends the cell: log`."""
    parts = [rule.when]
    parts += ["on epochs"] if rule.moment == "epochs" else []
    parts += ["ends the cell"] if rule.stop else []
    return f"{', '.join(parts)}: {', '.join(map(told_target, rule.notify))}"


def _range(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _commit(git: Mapping[str, Any]) -> str:
    """Name a commit; what differs from it is left out, a report may go far."""
    notes = ["with uncommitted changes"] if git.get("is_dirty") else []
    notes += [f"{git['untracked']} untracked files"] if git.get("untracked") else []
    branch = f" on {git['branch']}" if git.get("branch") else ""
    return f"{git['commit']}{branch}" + (f" ({', '.join(notes)})" if notes else "")


def _axis_effect(found: Any) -> AxisEffect:
    return AxisEffect(
        name=" + ".join(found.names),
        values=[
            AxisValue(
                each.value, each.configurations, each.mean,
                Estimate(each.effect, each.low, each.high),
            )
            for each in found.effects
        ],
        span=found.span,
        share=found.share,
        is_more_than_noise=found.is_more_than_noise,
    )  # fmt: skip


def _interaction(found: Any) -> Interaction:
    return Interaction(
        first=" + ".join(found.first),
        second=" + ".join(found.second),
        rows=found.rows,
        columns=found.columns,
        means=found.means,
        extras=found.extras,
        strength=found.strength,
        is_more_than_noise=found.is_more_than_noise,
    )


def _run_line(run: reading.RunDetails) -> RunLine:
    return RunLine(
        started_at=run.started_at.astimezone(UTC),
        status=run.status,
        cells=run.cells,
        cells_failed=run.cells_failed,
        stages_found=run.stages_found,
        stages_computed=run.stages_computed,
        seconds_alone=run.seconds_alone,
        seconds_paid=run.seconds_paid,
        wall_seconds=run.wall_seconds,
        device=run.device,
    )


def _column(points: Sequence[reading.CurvePoint], name: str) -> list[float | None]:
    values = (getattr(point, name) for point in points)
    return [value if value is not None and math.isfinite(value) else None for value in values]


def _object(text: str | None) -> dict[str, Any]:
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}
