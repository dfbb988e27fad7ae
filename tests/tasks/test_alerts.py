"""Alerts without a run: what rules find, the book that knows them, and those who are told."""

from __future__ import annotations

import json
import math
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foodvision.home import Home
from foodvision.plan.alerts import read_condition
from foodvision.plan.load import load_plan
from tasks import alerts, notifying
from tasks.alerts import AlertBook, Finding, find_alerts
from tasks.journal import read_events_from
from tasks.notifying import Channels, Teller
from tests.receiving import SECRET, Receiver, dripping, receiving
from tests.running import plan_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from foodvision.plan.schema import Plan
    from tasks.alerts import Alert

DONE = Finding("c1", "one", about="a", result_key="a", status="completed", seconds=31.0)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "it's a home")


@pytest.fixture
def book(home: Home) -> AlertBook:
    return AlertBook(home)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def plan_of(tmp_path: Path, *rules: dict[str, Any]) -> Plan:
    return load_plan(plan_text(tmp_path, f"alerts: {json.dumps(list(rules))}\n", valid=0.2))


def raised(book: AlertBook, plan: Plan, run_id: str = "first", **found: Any) -> list[Alert]:
    findings = [Finding(cell, cell, **{"about": "a", "status": "completed"} | found)
                for cell in ("one", "two")]  # fmt: skip
    return book.raise_new(find_alerts(plan, findings, run_id))


def tell(home: Home, plan: Plan, given: list[Alert], *, wait_seconds: float = 20.0) -> None:
    teller = Teller(AlertBook(home), Channels(plan.alerts), home)
    teller.tell(given)
    teller.close(wait_seconds=wait_seconds)


def left(book: AlertBook, plan: Plan, run_id: str, living: Sequence[str] = ()) -> list[Alert]:
    return book.take_over(run_id, lambda: living, Channels(plan.alerts))


@pytest.mark.parametrize(
    ("text", "holding", "others"),
    [
        ("test.accuracy < 0.8", [0.0, 0.79, None, math.nan], [0.8, 1.0]),
        ("test.accuracy > 0.1", [0.2], [0.1, None, math.nan]),
        ("test.f1_macro <= 0", [0.0, None], [0.1]),
        ("test.calibration_error > 0.1", [0.2, None], [0.1]),
        ("valid.calibrated_loss < 9", [8.0], [None]),
        ("test.accuracy<=0.8", [0.8], [0.81]),
        ("train.loss > 3", [3.1, math.inf, None, math.nan], [3.0, 0.0]),
        ("train.loss >= 3", [3.0], [2.9]),
        ("test.loss < 1e-2", [0.0], [0.01, None]),
        ("slower than 1.5 min", [90.1], [90.0, None]),
        ("slower than 20ms", [0.021], [0.02]),
    ],
)
def test_a_condition_holds_on_its_side_alone(
    text: str, holding: list[float | None], others: list[float | None]
) -> None:
    condition = read_condition(text)
    assert [condition.holds(value) for value in holding] == [True] * len(holding)
    assert [condition.holds(value) for value in others] == [False] * len(others)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["<", "<=", ">", ">="]))
def test_a_condition_has_one_name(threshold: float, sign: str) -> None:
    condition = read_condition(f"test.loss{sign} {threshold!r}")
    assert read_condition(condition.name) == condition


@pytest.mark.parametrize(
    ("rule", "finding", "message"),
    [
        pytest.param(
            {"when": "test.accuracy < 0.8"},
            Finding("c", "one", metrics={"test.accuracy": 0.52345}, status="completed"),
            "small: one: test.accuracy is 0.5234, below 0.8",
            id="a metric",
        ),
        pytest.param(
            {"when": "train.loss > 3", "on": "epochs"},
            Finding("c", "one", curves={"train.loss": [2.0, 4.0, 5.0]},
                    curves_about={"train.loss": "a"}),
            "small: one: train.loss is 4 after epoch 2, above 3",
            id="the first epoch",
        ),
        pytest.param(
            {"when": "train.loss > 3", "stop": True},
            Finding("c", "one", curves={"train.loss": [None]}, curves_about={"train.loss": "a"}),
            "small: one: train.loss is no finite number after epoch 1, so above 3; its training "
            "ends there",
            id="the end of a cell",
        ),
        pytest.param({"when": "slower than 30 s"}, DONE,
                     "small: one took 31 s (slower than 30 s)", id="slow"),
        pytest.param({"when": "slower than 10 min"}, replace(DONE, seconds=725.0),
                     "small: one took 12 min 5 s (slower than 10 min)", id="slow in minutes"),
        pytest.param({"when": "slower than 20 ms"}, replace(DONE, seconds=0.0213),
                     "small: one took 0.021 s (slower than 20 ms)", id="slow in milliseconds"),
        pytest.param({"when": "finished"}, DONE, "small: one finished", id="finished"),
        pytest.param({"when": "finished"}, Finding("c", "one", status="diverged"),
                     "small: one finished (diverged)", id="finished and diverged"),
        pytest.param({"when": "diverged"}, Finding("c", "one", status="diverged"),
                     "small: one diverged", id="diverged"),
        pytest.param({"when": "failed"}, Finding("c", "one", status="failed", error="why"),
                     "small: one failed: why", id="failed"),
    ],
)  # fmt: skip
def test_a_rule_says_in_a_sentence_what_it_found(
    rule: dict[str, Any], finding: Finding, message: str, tmp_path: Path
) -> None:
    (alert,) = find_alerts(plan_of(tmp_path, rule), [finding], "run")
    assert alert.message == message


@pytest.mark.parametrize(
    "rule",
    [
        {"when": "valid.accuracy < 1"},  # is not known
        {"when": "test.accuracy < 1", "on": "epochs"},
        {"when": "diverged"},
        {"when": "failed"},
        {"when": "slower than 31 s"},
    ],
    ids=str,
)
def test_a_rule_that_does_not_hold_says_nothing(rule: dict[str, Any], tmp_path: Path) -> None:
    assert find_alerts(plan_of(tmp_path, rule), [DONE], "run") == []


def test_an_alert_is_the_same_in_every_run_and_another_of_another_result(
    tmp_path: Path, book: AlertBook
) -> None:
    plan = plan_of(tmp_path, {"when": "finished", "notify": ["log", {"block": "email/me"}]})
    assert len(raised(book, plan)) == 4
    assert raised(book, plan, run_id="second") == []
    assert len(raised(book, plan, about="b")) == 4
    assert len({each.alert.alert_id for each in book.read().values()}) == 8


def test_who_does_not_answer_is_asked_once_and_again_by_the_next_run(
    tmp_path: Path,
    home: Home,
    book: AlertBook,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("HOOK", receiver.address)
    plan = plan_of(tmp_path, {"when": "finished", "notify": {"webhook": "${HOOK}"}})
    receiver.status = 500
    tell(home, plan, raised(book, plan))
    assert receiver.refused == 3  # tries of the first; the second does not wait as long
    found = [(each.status, each.tries, each.error) for each in book.read().values()]
    assert found == [("pending", 1, "it answers 500 Internal Server Error"), ("pending", 0, None)]
    assert "It is kept, and the next run tries again: small: one finished" in caplog.text
    assert receiver.address not in caplog.text

    receiver.status = 200
    assert left(book, plan, "second", ["first", "second"]) == []  # the first goes on
    other = plan_of(tmp_path)  # whatever plan it is
    tell(home, other, left(book, other, "second", ["second"]))
    assert [each["cell"] for each in receiver.got] == ["two", "one"]  # the one not tried is first
    assert [(each.status, each.tries) for each in book.read().values()] == [
        ("delivered", 2),
        ("delivered", 1),
    ]
    assert left(book, plan, "third") == []


def test_an_address_that_is_written_out_is_known_to_its_own_plan_alone(
    tmp_path: Path, book: AlertBook, receiver: Receiver, home: Home
) -> None:
    plan = plan_of(tmp_path, {"when": "finished", "notify": {"webhook": receiver.address}})
    raised(book, plan)
    assert SECRET not in home.alerts.read_text(encoding="utf-8")
    assert SECRET not in json.dumps(plan.to_json())
    told_again = load_plan(plan.to_json())
    assert told_again.plan_id == plan.plan_id
    assert left(book, plan_of(tmp_path), "second") == []
    tell(home, plan, left(book, plan, "third"))
    assert len(receiver.got) == 2
    assert receiver.got[0]["report"] == (home.reports / "small" / "report.html").as_uri()


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("${NO_ADDRESS}", "its address is none: it must begin with https://"),
        ("${NO_HOST}", "it does not answer (ConnectError)"),
        ("${SILENT}", "it does not answer within 0.1 s"),
        ("${GONE}", "it does not answer (ConnectError)"),
        ("${REFUSED}", "it answers 404 Not Found"),
    ],
)
def test_what_never_arrives_costs_little_and_is_given_up(
    address: str,
    error: str,
    tmp_path: Path,
    home: Home,
    book: AlertBook,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "SILENT" in address:
        monkeypatch.setattr(notifying, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(alerts, "MOST_TRIES", 2)
    receiver.status = 404
    with socket.create_server(("127.0.0.1", 0)) as silent:
        here = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with socket.create_server(("127.0.0.1", 0)) as closed:
            gone = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        known = {"NO_ADDRESS": "hooks", "SILENT": here, "GONE": gone, "REFUSED": receiver.address}
        known["NO_HOST"] = "http://a..b/"
        for name, value in known.items():
            monkeypatch.setenv(name, value)
        plan = plan_of(tmp_path, {"when": "finished", "notify": {"webhook": address}})
        tell(home, plan, raised(book, plan)[:1])
        tell(home, plan, left(book, plan, "second")[-1:])
    found = next(iter(book.read().values()))
    assert (found.status, found.tries, found.error) == ("given up", 2, error)
    assert receiver.refused == (2 if "REFUSED" in address else 0)  # no use in trying again
    assert [each.label for each in left(book, plan, "third")] == ["two"]


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("ALL_PROXY", "no-scheme://127.0.0.1:1", "it cannot be asked (ValueError)"),
        ("ALL_PROXY", "socks5://127.0.0.1:1", "it does not answer (ConnectError)"),
        ("SSL_CERT_FILE", "/not/there.pem", "it cannot be asked (FileNotFoundError)"),
        ("HOOK", "http://127.0.0.1/\udcff", "it cannot be asked (UnicodeEncodeError)"),
    ],
)  # fmt: skip
def test_a_channel_that_cannot_be_asked_fails_alone(
    name: str,
    value: str,
    error: str,
    tmp_path: Path,
    home: Home,
    book: AlertBook,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    monkeypatch.setattr(notifying, "notify", lambda _name, alert: told.append(alert.label))
    monkeypatch.setenv("HOOK", "http://hooks.invalid/")
    monkeypatch.setenv(name, value)
    both = [{"webhook": "${HOOK}"}, {"block": "email/me"}]
    plan = plan_of(tmp_path, {"when": "finished", "notify": both})
    tell(home, plan, raised(book, plan))
    assert told == ["one", "two"]
    first = next(iter(book.read().values()))
    assert (first.tries, first.error) == (1, error)


def test_this_machine_is_asked_without_the_proxies_of_the_environment(
    tmp_path: Path,
    home: Home,
    book: AlertBook,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "socks5://127.0.0.1:1")
    plan = plan_of(tmp_path, {"when": "finished", "notify": {"webhook": receiver.address}})
    tell(home, plan, raised(book, plan))
    assert {each.status for each in book.read().values()} == {"delivered"}
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "example.org")
    told = ["http://localhost:80/", "http://[::1]/", "https://hooks.example.org/a", "https://x.com"]
    assert [notifying.needs_no_proxy(address) for address in told] == [True, True, True, False]


def test_who_is_named_by_no_variable_costs_no_try_and_no_line_and_what_is_given_up_is_told(
    tmp_path: Path,
    home: Home,
    book: AlertBook,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(alerts, "MOST_TRIES", 1)
    plan = plan_of(tmp_path, {"when": "finished", "notify": {"webhook": "${HOOK}"}})
    tell(home, plan, raised(book, plan))
    why = "HOOK is not set: export HOOK=ADDRESS where the plan runs"
    waiting = {("pending", 0, why)}
    assert {(each.status, each.tries, each.error) for each in book.read().values()} == waiting
    written = home.alerts.read_bytes()
    for run_id in ("second", "third"):
        given = left(book, plan, run_id)
        assert len(given) == 2
        tell(home, plan, given)
    assert home.alerts.read_bytes() == written
    assert caplog.text.count(f"because {why}. It is kept") == 3
    receiver.status = 404
    monkeypatch.setenv("HOOK", receiver.address)
    tell(home, plan, left(book, plan, "third"))
    assert receiver.refused == 2  # who answers is asked of each
    assert "it answers 404 Not Found. It is given up after the last try" in caplog.text
    assert {(each.status, each.tries) for each in book.read().values()} == {("given up", 1)}


def test_a_book_is_read_once_however_often_it_is_asked(
    tmp_path: Path, book: AlertBook, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(tmp_path, {"when": "finished"})
    seen: list[int] = []

    def reading(path: Path, start: int) -> tuple[list[dict[str, Any]], int]:
        events, end = read_events_from(path, start)
        seen.append(len(events))
        return events, end

    monkeypatch.setattr(alerts, "read_events_from", reading)
    for about in ("a", "b", "c"):
        for alert in raised(book, plan, about=about):
            book.note_told(alert.alert_id, error="why")
    assert sum(seen) == 12  # of six alerts, that they were raised and told
    other = AlertBook(home).read()  # as a process reads it that has not seen it grow
    assert book.read() == other
    with home.alerts.open("a", encoding="utf-8") as file:
        file.write('{"event": "told", "alert_id": "torn')
    assert book.read() == other
    assert book.note_told(next(iter(other)), error=None) is False
    assert [each.status for each in book.read().values()] == ["delivered"] + ["pending"] * 5
    home.alerts.unlink()
    assert book.read() == {}
    assert len(raised(book, plan)) == 2  # a book that is lost has told nothing


@pytest.mark.parametrize(
    "change",
    [{"raised_at": "yesterday"}, {"epoch": "first"}, {"cell_id": None}, {"value": "much"}],
    ids=str,
)
def test_a_line_that_cannot_be_meant_is_passed_over(
    change: dict[str, Any],
    tmp_path: Path,
    book: AlertBook,
    home: Home,
    caplog: pytest.LogCaptureFixture,
) -> None:
    raised(book, plan_of(tmp_path, {"when": "finished"}))
    before = book.read()
    line = json.loads(home.alerts.read_text(encoding="utf-8").splitlines()[0])
    told = {"event": "told", "alert_id": next(iter(before)), "at": "soon", "error": None}
    with home.alerts.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(each) + "\n" for each in (line | change, told))
    assert book.read() == before
    assert caplog.text.count("is passed over: ") == 2


def test_an_answer_has_its_time_in_all(
    tmp_path: Path, home: Home, book: AlertBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "ANSWER_SECONDS", 0.2)
    plan = plan_of(tmp_path, {"when": "finished", "notify": {"webhook": "${HOOK}"}})
    with dripping() as address:
        monkeypatch.setenv("HOOK", address)
        tell(home, plan, raised(book, plan)[:1])
    assert [each.error for each in book.read().values()] == [
        "it does not answer within 0.2 s", None]  # fmt: skip


def test_a_run_does_not_wait_for_who_is_silent(
    tmp_path: Path, home: Home, book: AlertBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("SILENT", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        plan = plan_of(tmp_path, {"when": "finished", "notify": {"webhook": "${SILENT}"}})
        teller = Teller(book, Channels(plan.alerts), home)
        teller.tell(raised(book, plan))
        assert not teller.close(wait_seconds=0.05)
        assert {each.status for each in book.read().values()} == {"pending"}
    assert teller.close(wait_seconds=20)
