"""Alerts of whole runs: each once per rule and cell, whatever runs again, dies or is silent."""

from __future__ import annotations

import json
import logging
import subprocess
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import pytest
from prefect.blocks.abstract import NotificationBlock
from prefect.client.orchestration import get_client

import warehouse
from flows.alarms import Alarms, tell_left
from flows.cli import main
from flows.cli.running import alert_words
from flows.grid import run_plan
from foodvision.errors import ModelError
from foodvision.home import Home
from foodvision.plan.expand import expand
from foodvision.plan.load import load_plan
from foodvision.progress import SILENT
from foodvision.stages import training
from tasks.alerts import AlertBook, Finding, find_alerts
from tasks.journal import read_events
from tasks.loading import rebuild
from tasks.notifying import Channels, Teller
from tests.flows.starting import kill_when, start
from tests.receiving import SECRET, Receiver, free_port, receiving
from tests.running import make_photos, plan_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from flows.outcome import RunOutcome
    from flows.server import ServerHandle

ROWS = "select rule, label, channel, status, tries, value, error from alerts order by all"
GRID = "grid: {epochs: [1, 2]}\nsave: none\n"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_photos(tmp_path_factory.mktemp("photos") / "photos", train=4, test=2)


@pytest.fixture
def home(tmp_path: Path, server: ServerHandle) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def text(photos: Path, *rules: dict[str, Any], rest: str = GRID, **settings: Any) -> str:
    model = {"model": "{arch: mlp, hidden: 4}"}
    return plan_text(photos, f"alerts: {json.dumps(list(rules))}\n{rest}", **(model | settings))


def run(plan: str, home: Home) -> RunOutcome:
    return run_plan(plan, home=home, progress=SILENT)


def rows(home: Home, sql: str = ROWS) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = warehouse.query(home.warehouse, sql).to_pylist()
    return found


def test_each_rule_tells_of_each_cell_once_and_the_address_nowhere(
    photos: Path,
    home: Home,
    receiver: Receiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hook = {"webhook": receiver.address}
    later = [
        {"when": "train.loss>0", "on": "epochs", "notify": [hook, "log"]},
        {"when": "test.loss < 100"},
    ]
    rules = [
        {"when": "finished", "notify": hook},
        {"when": "test.accuracy <= 1", "notify": hook},
        {"when": "test.f1_macro >= 0", "notify": hook},
        {"when": "slower than 0.01 ms", "notify": ["log"]},
        {"when": "test.accuracy > 1", "notify": hook},
        {"when": "diverged", "notify": hook},
        {"when": "failed", "notify": hook},
    ]
    with caplog.at_level(logging.WARNING, logger="foodvision.run"):
        first = run(text(photos, *rules), home)
    cells = ["1 epoch", "2 epochs"]
    fired = ["finished", "test.accuracy <= 1", "test.f1_macro >= 0"]
    assert receiver.cells() == [(rule, cell) for rule in fired for cell in cells]
    assert (first.alerts, first.undelivered) == (8, 0)
    told = [record.message for record in caplog.records if record.message.startswith("alert: ")]
    assert len(told) == 2
    assert all(line.endswith(" s (slower than 0.01 ms)") for line in told)

    again = run(text(photos, *rules), home)
    assert (again.alerts, again.undelivered, again.counted.epochs) == (0, 0, 0)
    assert len(receiver.got) == len(set(receiver.keys)) == 6
    assert receiver.keys == [each["alert_id"] for each in receiver.got]

    (said,) = [each for each in receiver.got if each["rule"] == fired[1] and "1" in each["cell"]]
    (row,) = rows(home, "select * from leaderboard where label = '1 epoch'")
    assert said["text"].startswith("small: 1 epoch: test.accuracy is ")
    assert said["value"] == row["test_accuracy"]
    assert {name: said[name] for name in ("plan", "cell_id", "result_key", "epoch")} == {
        "plan": "small",
        "cell_id": row["cell_id"],
        "result_key": row["result_key"],
        "epoch": None,
    }
    assert said["run_id"] == first.run_id
    assert said["report"] == first.report.absolute().as_uri()

    # A rule that comes later, and one more who is to be told, hear of what is in the store.
    (tmp_path / "plan.yaml").write_text(text(photos), encoding="utf-8")
    for words in (["init", "-q"], ["add", "plan.yaml"], ["commit", "-q", "-m", "a plan"]):
        user = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *user, *words], cwd=tmp_path, check=True)
    (tmp_path / "plan.yaml").write_text(f"{text(photos)}# {receiver.address}\n", encoding="utf-8")
    monkeypatch.setenv("FOODVISION_HOME", str(home.root))
    override = f"alerts=[{{notify: {{webhook: '{receiver.address}'}}, when: finished}}"
    override += f", {json.dumps([*rules[1:], *later])[1:]}"
    assert main(["run", str(tmp_path / "plan.yaml"), "--quiet", "--set", override]) == 0
    assert "\nalerts: 4; foodvision sql -f alerts\n" in capsys.readouterr().out
    assert [each["epoch"] for each in receiver.got[6:]] == [1, 1]
    before = rows(home)
    assert {row["status"] for row in before} == {"delivered"}
    rebuild(home)
    assert rows(home) == before
    assert _files_with(home.root, SECRET.encode()) == []
    assert not any(SECRET in record.getMessage() for record in caplog.records)
    (last,) = rows(
        home, "select run_id, environment_json from runs order by started_at desc limit 1"
    )
    assert f"127.0.0.1:{receiver.port}/…" in json.loads(last["environment_json"])["git"]["diff"]
    with get_client(sync_client=True) as client:
        tags = client.read_flow_run(UUID(last["run_id"])).tags
    assert any(tag.startswith("alerts=") for tag in tags)
    assert "/services" not in str(tags)


def _files_with(folder: Path, words: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and words in path.read_bytes()]


def shows(home: Home, event: str) -> bool:
    """Say whether the book of alerts has an event."""
    events = read_events(home.alerts) if home.alerts.is_file() else []
    return any(each["event"] == event for each in events)


def test_a_killed_runs_alerts_arrive_exactly_once(photos: Path, home: Home, tmp_path: Path) -> None:
    """It dies when it has found them and nobody listens, and again when the first one is told."""
    port = free_port()
    plan = tmp_path / "plan.yaml"
    hook = {"webhook": f"http://127.0.0.1:{port}{SECRET}"}
    rules = [{"when": "test.loss > 0", "on": "epochs", "notify": hook}]
    rules += [{"when": "finished", "notify": hook}]
    plan.write_text(text(photos, *rules), encoding="utf-8")
    kill_when(start(plan, home), partial(shows, home, "raised"))
    with receiving(port) as receiver:
        # Between an answer and its line nobody knows: here no other answer is on its way.
        receiver.most = 1
        kill_when(start(plan, home), partial(shows, home, "told"))
        assert len(receiver.got) == 1
        receiver.most = None
        outcome = run(str(plan), home)
    assert outcome.undelivered == 0
    cells = ("1 epoch", "2 epochs")
    assert receiver.cells() == [(rule["when"], cell) for rule in rules[::-1] for cell in cells]
    assert {row["status"] for row in rows(home)} == {"delivered"}


def test_what_a_dead_run_left_is_told_without_another_run(
    photos: Path, home: Home, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", receiver.address)
    hooks = [{"webhook": "${HOOK}"}, {"webhook": receiver.address}]
    plan = load_plan(text(photos, {"when": "finished", "notify": hooks}))
    done = Finding("cell", "small", about="a result", result_key="key", status="completed")
    AlertBook(home).raise_new(find_alerts(plan, [done], "dead"))
    tell_left(home, lambda: ["dead"])
    assert not receiver.got
    tell_left(home, list)
    tell_left(home, list)
    assert len(receiver.got) == 1  # the other address is known to runs of the plan alone
    assert {row["status"]: row["tries"] for row in rows(home)} == {"delivered": 1, "pending": 0}


def test_what_was_kept_from_before_is_counted_apart(
    photos: Path, home: Home, receiver: Receiver
) -> None:
    hook = {"webhook": receiver.address}
    plan = load_plan(
        text(photos, *({"when": when, "notify": hook} for when in ("finished", "failed")))
    )
    done = Finding("cell", "small", about="a result", result_key="key", status="completed")
    AlertBook(home).raise_new(find_alerts(plan, [done], "dead"))
    receiver.status = 404
    alarms = Alarms(plan, home, "second")
    alarms.begin(list)
    alarms.fail([(cell, "why") for cell in expand(plan)])
    alarms.close()
    assert (alarms.count, alarms.undelivered, alarms.undelivered_before) == (2, 3, 1)


def test_what_is_told_without_a_run_is_told_by_no_other_meanwhile(
    photos: Path, home: Home, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", receiver.address)
    plan = load_plan(text(photos, {"when": "finished", "notify": {"webhook": "${HOOK}"}}))
    done = Finding("cell", "small", about="a result", result_key="key", status="completed")
    book = AlertBook(home)
    book.raise_new(find_alerts(plan, [done], "dead"))
    meanwhile: list[int] = []
    tell = Teller.tell

    def telling(teller: Teller, alerts: Sequence[Any]) -> None:
        meanwhile.append(len(book.take_over("a run", lambda: ["a run"], Channels(()))))
        receiver.status = 500
        tell(teller, alerts)

    monkeypatch.setattr(Teller, "tell", telling)
    tell_left(home, list)
    assert meanwhile == [0]
    assert len(book.take_over("a run", lambda: ["a run"], Channels(()))) == 1  # it was let go


def test_a_book_that_cannot_be_used_fails_no_run_and_is_missed_by_the_log_alone(
    photos: Path, home: Home, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    home.alerts.mkdir(parents=True)
    rule = {"when": "finished", "notify": ["log", {"webhook": receiver.address}]}
    plan = text(photos, rule, rest="")
    assert not run(plan, home).failures
    assert "should hold the log alone tells: IsADirect" in caplog.text
    assert caplog.text.count("alert: small: ") == 1
    assert not receiver.got
    home.alerts.rmdir()
    home.alerts.write_text('{"event": "raised", "alert_id": "x"}\n{"event": "told"}\n')
    outcome = run(plan, home)
    assert (outcome.alerts, outcome.undelivered, len(receiver.got)) == (1, 0, 1)
    assert f"a line of {home.alerts} is passed over: KeyError" in caplog.text


def test_failures_are_told_in_each_run_and_divergence_once(
    photos: Path,
    home: Home,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hook = {"webhook": receiver.address}
    rules = [{"when": word, "notify": hook} for word in ("failed", "diverged")]
    rates = "grid: {optimizer.lr: [0.1, 1.0e+30]}\nsave: none\n"
    plan = text(photos, *rules, rest=rates, optimizer="{kind: sgd, lr: 0.1}", epochs=1)
    train_epochs = training.train_epochs

    def failing(*args: Any, learning_rates: Sequence[Any], **kwargs: Any) -> Any:
        if learning_rates[0][0] < 1:
            raise ZeroDivisionError("planted")
        return train_epochs(*args, learning_rates=learning_rates, **kwargs)

    monkeypatch.setattr(training, "train_epochs", failing)
    for _ in range(2):
        assert run(plan, home).failures
    monkeypatch.undo()
    assert not run(plan, home).failures
    assert receiver.cells() == [
        ("diverged", "lr 1e+30"),
        ("failed", "lr 0.1"),
        ("failed", "lr 0.1"),
    ]
    (text_of_one, _) = [each["text"] for each in receiver.got if each["rule"] == "failed"]
    assert text_of_one == "small: lr 0.1 failed: ZeroDivisionError: planted"


def test_a_run_that_dies_tells_of_all_that_it_has_not_got_to(
    photos: Path, home: Home, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [{"when": "failed", "notify": {"webhook": receiver.address}}]
    told = "select label, status, error from leaderboard order by position"
    runs = "select status, cells, cells_failed from runs order by started_at desc limit 1"
    assert not run(text(photos, *rules, rest="save: none\n", epochs=1), home).failures

    def failing_with(error: BaseException) -> Callable[..., None]:
        def fail(*_: Any, **__: Any) -> None:
            raise error

        return fail

    errors = [KeyboardInterrupt(), ModelError("these weights do not fit")]
    for error in errors:  # whoever interrupts a run knows: it tells of nothing
        assert not receiver.got
        with monkeypatch.context() as planted:
            planted.setattr("flows.computing.plan_tasks", failing_with(error))
            with pytest.raises(type(error)):
                run(text(photos, *rules), home)
    assert receiver.cells() == [("failed", "2 epochs")]
    assert receiver.got[0]["text"] == "small: 2 epochs failed: these weights do not fit"
    (done, failed) = rows(home, told)
    assert (done["status"], done["error"]) == ("completed", None)
    assert (failed["status"], failed["error"]) == ("failed", "these weights do not fit")
    assert rows(home, runs) == [{"status": "failed", "cells": 2, "cells_failed": 1}]

    broken = make_photos(tmp_path / "broken", train=2, test=1)
    next(broken.rglob("*.png")).write_bytes(b"no picture")
    receiver.got.clear()
    plan = text(broken, *rules, rest=GRID + "ensembles: {all: {kind: mean}}\n")
    plan = plan.replace("name: small", "name: other")
    assert set(run(plan, home).failures) == {"1 epoch", "2 epochs", "all"}
    assert receiver.cells() == [("failed", label) for label in ("1 epoch", "2 epochs", "all")]
    assert rows(home, runs) == [{"status": "failed", "cells": 2, "cells_failed": 2}]
    found = rows(home, f"from ({told}) where label <> 'all' and error like '%png%'")
    assert {row["status"] for row in found} == {"failed"}


def test_what_diverged_is_beyond_every_bound_and_above_none(
    photos: Path, home: Home, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = {"webhook": receiver.address}
    whens = ["train.loss > 2.6", "train.accuracy < 0.1", "test.loss > 2.6", "test.accuracy < 0.5"]
    rules = [{"when": when, "on": on, "notify": hook} for when in whens for on in ("epochs", "end")]
    rules += [{"when": "train.loss > 2.2", "stop": True, "notify": hook}]
    late = ["test.f1_macro < 0.5", "test.calibration_error > 0.5"]
    rules += [{"when": when, "notify": hook} for when in late]
    never = ["train.loss < 9", "test.accuracy > 0", "test.f1_macro >= 0", "valid.accuracy < 1"]
    rules += [{"when": when, "notify": hook} for when in never]
    settings = {"optimizer": "{kind: sgd, lr: 1.0e+30}", "epochs": 2, "batch_size": 2}
    rest = "grid: {valid: [0.0, 0.5]}\nsave: none\nensembles: {all: {kind: mean}}\n"
    at_end: list[int] = []
    judge = Alarms.judge

    def judging(alarms: Alarms, *given: Any) -> None:
        at_end.append(alarms.count)
        judge(alarms, *given)

    monkeypatch.setattr(Alarms, "judge", judging)
    plan = text(photos, *rules, rest=rest, **settings)
    assert not run(plan, home).failures
    of_end = {(when, None) for when in [*whens, *late]}
    of_epochs = {(when, 1) for when in [*whens, "train.loss > 2.2"]}
    cell = [each for each in receiver.got if each["cell"] == "valid 0.0"]
    other = [each for each in receiver.got if each["cell"] == "valid 0.5"]
    made = [each for each in receiver.got if each not in cell + other]
    found = [(each["rule"], each["epoch"]) for each in cell]
    assert sorted(found, key=str) == sorted(of_end | of_epochs, key=str)
    assert {(each["rule"], each["epoch"]) for each in other} == {
        *of_end,
        *of_epochs,
        ("valid.accuracy < 1", None),
    }
    assert {each["rule"] for each in made} == {*whens[2:], *late}
    assert {each["value"] for each in receiver.got} == {None}
    assert all("is no finite number" in each["text"] for each in receiver.got)

    # Of what lies in the store since long, another plan is told the same.
    told = {(each["cell_id"], each["rule"], each["epoch"]) for each in receiver.got}
    receiver.got.clear()
    run(plan.replace("name: small", "name: other"), home)
    assert {(each["cell_id"], each["rule"], each["epoch"]) for each in receiver.got} == told
    assert at_end[0] > at_end[1] == 0  # the second run had nothing to compute


def test_epochs_are_told_while_the_run_goes_on_and_a_bound_ends_cells(
    photos: Path, home: Home, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = {"webhook": receiver.address}
    rules = [
        {"when": "test.loss > 0", "on": "epochs", "notify": hook},
        {"when": "train.loss > 0", "stop": True, "notify": hook},
        {"when": "train.loss > 1000", "on": "epochs", "notify": hook},
        {"when": "train.loss > 0", "on": "end", "notify": hook},
    ]
    plan = text(photos, *rules, rest="grid: {seed: [1, 2], epochs: [2, 4]}\nsave: none\n")
    at_end: list[int] = []
    judge = Alarms.judge

    def judging(alarms: Alarms, *given: Any) -> None:
        at_end.append(alarms.count)
        judge(alarms, *given)

    monkeypatch.setattr(Alarms, "judge", judging)
    outcome = run_plan(plan, home=home, progress=SILENT, workers=2)
    assert outcome.counted.epochs == 2  # one of each seed, and not one more
    assert outcome.alerts == 12
    assert at_end == [8]  # those on epochs as soon as the stage was done, and not again at the end
    assert len(receiver.got) == len(set(receiver.keys)) == 12
    assert {(each["rule"], each["epoch"]) for each in receiver.got} == {
        ("test.loss > 0", 1),
        ("train.loss > 0", 1),
        ("train.loss > 0", None),
    }
    (stopping,) = {each["text"] for each in receiver.got if each["text"].endswith("there")} & {
        each["text"] for each in receiver.got if each["cell"] == "seed 1 · 2 epochs"
    }
    assert stopping.endswith(" after epoch 1, above 0; its training ends there")
    told = rows(home, "select epochs_trained, epochs from leaderboard order by position")
    assert [(row["epochs_trained"], row["epochs"]) for row in told] == [(1, 2), (1, 4)] * 2
    again = run_plan(plan, home=home, progress=SILENT)
    assert (again.alerts, again.counted.epochs) == (0, 0)


@pytest.mark.parametrize(
    ("found", "late", "before", "words"),
    [
        (2, 0, 0, "alerts: 2"),
        (2, 1, 0, "alerts: 2, 1 not delivered yet (the next run tries again)"),
        (0, 12, 12, "alerts: 0, 12 kept from earlier runs, not delivered yet (the next run "
                    "tries again)"),
        (2, 3, 1, "alerts: 2, 2 not delivered yet, 1 kept from earlier runs, not delivered yet "
                  "(the next run tries again)"),
    ],
)  # fmt: skip
def test_what_is_kept_from_before_is_told_apart(
    found: int, late: int, before: int, words: str
) -> None:
    outcome = SimpleNamespace(alerts=found, undelivered=late, undelivered_before=before)
    assert alert_words(cast("RunOutcome", outcome)) == f"{words}; foodvision sql -f alerts"


class Slate(NotificationBlock):
    """Takes down what it is told."""

    _block_type_slug = "slate"
    path: str
    breaks: bool = False

    def notify(self, body: str, subject: str | None = None) -> None:  # type: ignore[override]
        if self.breaks:
            raise ConnectionError(f"cannot reach {SECRET}")
        with open(self.path, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(f"{subject}|{body}\n")


def test_a_block_of_prefect_is_told(
    photos: Path, home: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = tmp_path / "said.txt"
    Slate(path=str(said)).save("mine", overwrite=True)
    Slate(path=str(said), breaks=True).save("broken", overwrite=True)
    blocks = [{"block": f"slate/{name}"} for name in ("mine", "broken", "missing")]
    plan = load_plan(text(photos, {"when": "finished", "notify": blocks}, rest=""))
    book = AlertBook(home)
    teller = Teller(book, Channels(plan.alerts), home)
    done = Finding("cell", "small", about="a result", result_key="key", status="completed")
    teller.tell(book.raise_new(find_alerts(plan, [done], "a run")))
    teller.close(wait_seconds=60)
    assert said.read_text() == "small: finished|small: small finished\n"
    assert {each.alert.channel: each.error for each in book.read().values()} == {
        "block slate/mine": None,
        "block slate/broken": "the block failed (ConnectionError)",
        "block slate/missing": "Prefect knows no such block (`prefect block ls`)",
    }
    assert SECRET not in caplog.text
