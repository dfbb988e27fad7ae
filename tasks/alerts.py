"""Alerts: what the rules of a plan have to tell, each once, written down before it is told.

A home keeps one book of alerts, an append-only file of events beside the journals of its runs:

* `raised`: what is to be told, and to whom; the run that wrote it is to tell it;
* `taken`: another tells it now, because that one is over: a run, or a process that holds a lease;
* `waiting`: nobody was asked, because it is not known whom, and why;
* `told`: what became of telling it.

An alert is named by the digest of what makes it the same one: plan, cell, rule, the result that the
rule looked at, and who is told. Whoever finds it again, in this run or another, finds its name in
the book. Without it, what is found is new: a book that is lost lets alerts be told again. Where it
cannot be used, only the log is told, which no alert that comes twice can wake.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter

from foodvision.errors import FoodVisionError
from foodvision.hashing import digest
from foodvision.leases import Lease, is_over
from foodvision.plan.alerts import told_target
from foodvision.report.tables import duration
from foodvision.store import Store
from tasks.journal import Journal, read_events_from

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from foodvision.home import Home
    from foodvision.plan.alerts import AlertRule, Condition
    from foodvision.plan.schema import Plan
    from tasks.notifying import Channels

logger = logging.getLogger("foodvision.run")

MOST_TRIES = 5
NOBODY = "no run"
LOG: Final = "log"
_LOCK = "alerts"
_ID_LENGTH = 32
_SIGNS = {"<": "below", "<=": "at most", ">": "above", ">=": "at least"}


@dataclass(frozen=True)
class Finding:
    """What is known of a row of the table: of a cell, or of what is made of cells.

    Attributes:
        cell_id: of the row.
        label: what the plan calls it.
        about: key of what was looked at; the same finding in another run has the same.
        result_key: of its result, if it has one.
        status: completed, diverged or failed; running: its training goes on.
        error: why it failed.
        seconds: of its whole chain; `None`: not known.
        metrics: of the result, by name; `None`: no finite number. What is not known is not there.
        curves: of metrics after every epoch from the first on, likewise.
        curves_about: by metric, key of what was looked at.
    """

    cell_id: str
    label: str
    about: str = ""
    result_key: str | None = None
    status: str = "running"
    error: str | None = None
    seconds: float | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    curves_about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Alert:
    """One thing to be told, to one who is to know.

    Attributes:
        alert_id: what makes it the same one, 32 hex digits.
        run_id: the run that found it.
        plan_name: whose rule it is.
        cell_id: of the cell, or of what is made of cells.
        label: what the plan calls that.
        result_key: of the result; `None`: there is none.
        rule: the rule, as the plan says it.
        value: of the metric, or seconds; `None`: none is compared, or it is no finite number.
        epoch: that the value is of, from 1; `None`: it is the result's.
        message: a sentence.
        channel: who is told: log, `webhook ADDRESS` or `block TYPE/NAME`.
        raised_at: when it was found (UTC), in ISO 8601.
    """

    alert_id: str
    run_id: str
    plan_name: str
    cell_id: str
    label: str
    result_key: str | None
    rule: str
    value: float | None
    epoch: int | None
    message: str
    channel: str
    raised_at: str


_ALERT = TypeAdapter(Alert)


@dataclass(frozen=True)
class Kept:
    """An alert as the book has it.

    Attributes:
        alert: the alert.
        teller: the run that is to tell it, the lease of who does without one, or nobody.
        tries: runs that tried to.
        told_at: when it was told; `None`: it was not.
        error: why the last try failed, or nobody could be asked.
    """

    alert: Alert
    teller: str
    tries: int = 0
    told_at: str | None = None
    error: str | None = None

    @property
    def status(self) -> str:
        """Return `delivered`, `pending` or `given up`."""
        if self.told_at:
            return "delivered"
        return "given up" if self.tries >= MOST_TRIES else "pending"


@dataclass(frozen=True)
class _Hit:
    """What a rule found: the value, the epoch that it is of, and the key of what was looked at."""

    value: float | None
    epoch: int | None
    about: str


def find_alerts(plan: Plan, findings: Iterable[Finding], run_id: str) -> list[Alert]:
    """Return what the rules of a plan have to say of rows, whether it was told before or not.

    Args:
        plan: whose rules count.
        findings: what is known of its rows.
        run_id: the run that asks.
    """
    rules = [(rule, rule.condition) for rule in plan.alerts]
    return [
        alert
        for finding in findings
        for rule, condition in rules
        if (hit := _looked(rule, condition, finding)) is not None
        for alert in _alerts(plan, rule, finding, hit, run_id)
    ]


def _looked(rule: AlertRule, condition: Condition, finding: Finding) -> _Hit | None:
    """Return what a rule finds, if its condition holds."""
    if rule.moment == "epochs":
        return _in_curve(condition, finding)
    if condition.kind == "metric":
        value = finding.metrics.get(condition.metric)
        holds = condition.metric in finding.metrics and condition.holds(value)
        return _Hit(value, None, finding.about) if holds else None
    if condition.kind == "slower":
        holds = finding.seconds is not None and condition.holds(finding.seconds)
        return _Hit(finding.seconds, None, finding.about) if holds else None
    wanted = ("completed", "diverged") if condition.kind == "finished" else (condition.kind,)
    return _Hit(None, None, finding.about) if finding.status in wanted else None


def _in_curve(condition: Condition, finding: Finding) -> _Hit | None:
    """Return the first epoch for which a condition holds."""
    values = finding.curves.get(condition.metric, ())
    for epoch, value in enumerate(values, start=1):
        if condition.holds(value):
            return _Hit(value, epoch, finding.curves_about[condition.metric])
    return None


def _alerts(
    plan: Plan, rule: AlertRule, finding: Finding, hit: _Hit, run_id: str
) -> Iterator[Alert]:
    first = Alert(
        alert_id="",
        run_id=run_id,
        plan_name=plan.name,
        cell_id=finding.cell_id,
        label=finding.label,
        result_key=finding.result_key,
        rule=rule.when,
        value=hit.value,
        epoch=hit.epoch,
        message=_message(plan.name, rule, finding, hit),
        channel="",
        raised_at=datetime.now(UTC).isoformat(),
    )
    for target in rule.notify:
        channel = told_target(target)
        same = [plan.name, finding.cell_id, rule.name, hit.about, channel]
        yield replace(first, alert_id=digest(same)[:_ID_LENGTH], channel=channel)


def _message(plan_name: str, rule: AlertRule, finding: Finding, hit: _Hit) -> str:
    """Say in a sentence what was found."""
    condition, who = rule.condition, f"{plan_name}: {finding.label}"
    if condition.kind == "failed":
        return f"{who} failed: {finding.error}"
    if condition.kind == "diverged":
        return f"{who} diverged"
    if condition.kind == "finished":
        return f"{who} finished" + ("" if finding.status == "completed" else f" ({finding.status})")
    if condition.kind == "slower":
        seconds = hit.value or 0.0
        took = duration(seconds) if seconds >= 10 else f"{seconds:.2g} s"
        return f"{who} took {took} ({rule.when})"
    when = f" after epoch {hit.epoch}" if hit.epoch else ""
    value = "no finite number" if hit.value is None else f"{hit.value:.4g}"
    counts = "" if hit.value is not None else "so "  # what is no number is worse than any
    # In words: a chat takes < and > for the ends of a link.
    bound = f"{counts}{_SIGNS[condition.sign]} {condition.threshold:.10g}"
    stopped = "; its training ends there" if rule.stop else ""
    return f"{who}: {condition.metric} is {value}{when}, {bound}{stopped}"


class AlertBook:
    """The book of a home; every change is on the disk before anything is told.

    A book that cannot be used, and a line that cannot be read, are a warning: no run fails for it.
    What was read once is not read again, as long as the file only grows.
    """

    def __init__(self, home: Home) -> None:
        """Open it; nothing is made until something is written."""
        self._path = home.alerts
        self._store = Store(home.store)
        self._warned: set[str] = set()
        self._lock = threading.Lock()
        self._kept: dict[str, Kept] = {}
        self._read_until = (0, 0)  # inode of the file, bytes

    def read(self) -> dict[str, Kept]:
        """Return all alerts, by name."""
        with self._guarded():
            return self._read()
        return {}

    def _read(self) -> dict[str, Kept]:
        """Return all alerts, by name.

        Raises:
            OSError: the book cannot be read.
        """
        with self._lock:
            inode, read = self._read_until
            try:
                about = self._path.stat()
            except FileNotFoundError:
                about = None
            if about is None or about.st_ino != inode or about.st_size < read:
                self._kept, read = {}, 0
            events, read = read_events_from(self._path, read) if about else ([], 0)
            for event in events:
                try:
                    _apply(event, self._kept)
                except (KeyError, TypeError, ValueError) as error:
                    self._warn(f"a line of {self._path} is passed over: {_why(error)}")
            self._read_until = (about.st_ino if about else 0, read)
            return dict(self._kept)  # another thread may read on

    def raise_new(self, alerts: Sequence[Alert]) -> list[Alert]:
        """Write down those that are new; return them, and what the log is to tell in any case."""
        if not alerts:
            return []
        new = {each.alert_id: each for each in alerts if each.channel == LOG}
        with self._guarded(), self._writing() as write:
            known = self._read()
            unknown = {each.alert_id: each for each in alerts if each.alert_id not in known}
            new = {}
            for alert in unknown.values():
                write("raised", **asdict(alert))
                new[alert.alert_id] = alert
        return list(new.values())

    def take_over(
        self, teller: str, living: Callable[[], Collection[str]], channels: Channels
    ) -> list[Alert]:
        """Let one tell what others were to tell and did not before they ended; return that.

        Args:
            teller: the run, or else a lease of the store.
            living: gives the ids of the runs that go on.
            channels: whom it can tell; where nobody can be asked just now, nothing is taken over.
        """
        taken: list[Kept] = []
        if not any(each.status == "pending" for each in self.read().values()):
            return []
        with self._guarded(), self._writing() as write:
            alive = {*living(), *self._leases()} - {teller}
            for each in self._read().values():
                is_left = each.status == "pending" and each.teller not in alive
                if is_left and channels.reaches(each.alert.channel):
                    if channels.hindrance(each.alert.channel) is None:
                        write("taken", alert_id=each.alert.alert_id, run_id=teller)
                    taken.append(each)
        # One that its receiver cannot bear comes after the others, which it would silence.
        return [each.alert for each in sorted(taken, key=lambda kept: kept.tries)]

    def leave(self, teller: str) -> None:
        """Let others tell what one that goes on took over and could not tell."""
        with self._guarded(), self._writing() as write:
            for each in self._read().values():
                if each.status == "pending" and each.teller == teller:
                    write("taken", alert_id=each.alert.alert_id, run_id=NOBODY)

    def note_waiting(self, alert_ids: Iterable[str], why: str) -> None:
        """Write down why nobody could be asked, where the book does not say so yet."""
        with self._guarded(), self._writing() as write:
            known = self._read()
            for each in alert_ids:
                if each in known and known[each].error != why:
                    write("waiting", alert_id=each, error=why)

    def note_told(self, *alert_ids: str, error: str | None = None) -> bool:
        """Write down what became of telling alerts.

        Args:
            alert_ids: of the alerts.
            error: why they could not be told; `None`: they were.

        Returns:
            Whether that was the last try of any.
        """
        with self._guarded(), self._writing() as write:
            for each in alert_ids:
                write("told", alert_id=each, error=error)
        known = self.read() if error else {}
        return any(known[each].status == "given up" for each in alert_ids if each in known)

    @contextmanager
    def _writing(self) -> Iterator[Callable[..., None]]:
        """Give what writes events, to the one process that may now; at the end they are safe."""
        journal = Journal(self._path)
        with self._store.lock(_LOCK), journal.flushing_together():
            yield journal.write

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Make a warning of what keeps the book from being used."""
        try:
            yield
        except (OSError, FoodVisionError) as error:
            self._warn(
                f"the book of alerts, {self._path}, cannot be used, and of the alerts that it "
                f"should hold the log alone tells: {_why(error)}. Let it be a file that can be "
                "read and written"
            )

    def _leases(self) -> Iterator[str]:
        """Yield the leases of those who tell without a run, and go on."""
        for teller in {each.teller for each in self.read().values()}:
            lease = Lease.parse(teller)
            if lease and not is_over(self._store.leases, lease):
                yield teller

    def _warn(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            logger.warning("%s", message)


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"


def _apply(event: Mapping[str, Any], kept: dict[str, Kept]) -> None:
    """Note what an event tells of an alert.

    Raises:
        KeyError: something is missing in it.
        ValueError: something in it is none of what it should be.
    """
    if event["event"] == "raised":
        found = {name: event[name] for name in Alert.__dataclass_fields__}
        alert = _ALERT.validate_python(found)
        datetime.fromisoformat(alert.raised_at)
        kept[alert.alert_id] = Kept(alert, alert.run_id)
    elif event["alert_id"] in kept:
        datetime.fromisoformat(event["at"])
        kept[event["alert_id"]] = _changed(kept[event["alert_id"]], event)


def _changed(kept: Kept, event: Mapping[str, Any]) -> Kept:
    if event["event"] == "taken":
        return replace(kept, teller=str(event["run_id"]))
    if event["event"] == "waiting":
        return replace(kept, error=event["error"])
    tries, error = kept.tries + 1, event["error"]
    return replace(kept, tries=tries, error=error, told_at=None if error else event["at"])


def alert_row(kept: Kept) -> dict[str, Any]:
    """Return the row of an alert in the warehouse."""
    told_at = kept.told_at and datetime.fromisoformat(kept.told_at)
    return asdict(kept.alert) | {
        "raised_at": datetime.fromisoformat(kept.alert.raised_at),
        "status": kept.status,
        "tries": kept.tries,
        "told_at": told_at,
        "error": kept.error,
    }
