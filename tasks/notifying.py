"""Tell alerts: to the log, to a webhook, to a notification block of Prefect; off the run's path.

Whoever is told may be slow, or gone. So telling happens in a thread of its own, with short limits;
what cannot be told is a warning, is kept, and is tried again by the next run.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import ipaddress
import logging
import os
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

import tenacity

from foodvision.errors import FoodVisionError
from foodvision.plan.alerts import BlockTarget, WebhookTarget, is_variable, told_target
from tasks.alerts import LOG
from tasks.reporting import report_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx

    from foodvision.home import Home
    from foodvision.plan.alerts import AlertRule
    from tasks.alerts import Alert, AlertBook

logger = logging.getLogger("foodvision.run")

ANSWER_SECONDS = 2.0
WAIT_SECONDS = 5.0
_TRIES = 3
_FIRST_PAUSE_SECONDS = 0.1
_MAY_HEAL = frozenset({408, 425, 429})
_KEPT = "It is kept, and the next run tries again"

AnyTarget = Literal["log"] | WebhookTarget | BlockTarget


class _NotToldError(FoodVisionError):
    """An alert could not be told; what is said of it gives no address away."""


class _NoAnswerError(_NotToldError):
    """Who is to be told does not answer, or not now: trying again may help."""


class _RefusedError(_NotToldError):
    """Who is to be told answers, and wants none of this alert; of others it may."""


class Channels:
    """Who can be told by a run: those whom its plan names, and those whom anyone can reach."""

    def __init__(self, rules: Iterable[AlertRule]) -> None:
        """Take note of whom the rules of a plan name."""
        self._named: dict[str, AnyTarget] = {
            told_target(target): target for rule in rules for target in rule.notify
        }

    def reaches(self, channel: str) -> bool:
        """Say whether it is known who is meant."""
        return self.find(channel) is not None

    def find(self, channel: str) -> AnyTarget | None:
        """Return who is meant; `None`: an address that only the plan knows which raised it."""
        if channel in self._named:
            return self._named[channel]
        kind, _, name = channel.partition(" ")
        if kind == "block":
            return BlockTarget(block=name)
        if kind == "webhook" and is_variable(name):
            return WebhookTarget(webhook=name)
        return LOG if kind == LOG else None

    def hindrance(self, channel: str) -> str | None:
        """Say why nobody can be asked now, if so: a variable that holds the address is not set."""
        target = self.find(channel)
        if not isinstance(target, WebhookTarget) or _resolved(target.webhook):
            return None
        name = target.webhook[2:-1]
        return f"{name} is not set: export {name}=ADDRESS where the plan runs"


class Teller:
    """Tells alerts one after the other, in a thread that lives as long as there are any.

    Args:
        book: where it is written what became of each.
        channels: who can be told.
        home: where the reports lie that alerts name.
    """

    def __init__(self, book: AlertBook, channels: Channels, home: Home) -> None:
        self._book = book
        self._channels = channels
        self._home = home
        self._waiting: queue.SimpleQueue[Alert | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._silent: set[str] = set()
        self._warned: set[tuple[str, str]] = set()
        self._told_at = time.monotonic()

    def tell(self, alerts: Iterable[Alert]) -> None:
        """Tell alerts that stand in the book: the log here and now, all others soon."""
        logged = []
        hindered: dict[str, list[Alert]] = {}
        for alert in alerts:
            if self._channels.find(alert.channel) == LOG:
                logger.warning("alert: %s", alert.message)
                logged.append(alert.alert_id)
            elif (hindrance := self._channels.hindrance(alert.channel)) is not None:
                hindered.setdefault(hindrance, []).append(alert)
            elif self._channels.reaches(alert.channel):
                self._waiting.put(alert)
                self._start()
        if logged:
            self._book.note_told(*logged)
        for hindrance, kept in hindered.items():
            self._book.note_waiting([each.alert_id for each in kept], hindrance)
            self._warn(kept[0], hindrance, _KEPT)

    def close(self, *, wait_seconds: float = WAIT_SECONDS) -> bool:
        """Wait for what is being told, as long as it gets on.

        Args:
            wait_seconds: the longest time in which nothing is told; the rest is for the next run.

        Returns:
            Whether nothing is being told any more.
        """
        if self._thread is None:
            return True
        self._waiting.put(None)
        self._told_at = time.monotonic()
        while self._thread.is_alive() and time.monotonic() - self._told_at < wait_seconds:
            self._thread.join(timeout=0.02)
        return not self._thread.is_alive()

    def _start(self) -> None:
        if self._thread is None:
            context = contextvars.copy_context()  # Prefect's settings and its log are in there
            self._thread = threading.Thread(
                target=context.run, args=(self._work,), name="alerts", daemon=True
            )
            self._thread.start()

    def _work(self) -> None:
        with _Poster() as poster:
            while (alert := self._waiting.get()) is not None:
                if alert.channel not in self._silent:  # else all that follow would wait as long
                    self._try(alert, poster)
                self._told_at = time.monotonic()

    def _try(self, alert: Alert, poster: _Poster) -> None:
        """Tell an alert, and note what became of it; whatever goes wrong is its channel's alone."""
        try:
            self._ask(alert, poster)
        except Exception as error:
            known = isinstance(error, _NotToldError)
            reason = str(error) if known else f"it cannot be asked ({type(error).__name__})"
            if not isinstance(error, _RefusedError):
                self._silent.add(alert.channel)
            is_given_up = self._book.note_told(alert.alert_id, error=reason)
            self._warn(alert, reason, "It is given up after the last try" if is_given_up else _KEPT)
        else:
            self._book.note_told(alert.alert_id)

    def _ask(self, alert: Alert, poster: _Poster) -> None:
        """Tell an alert.

        Raises:
            Exception: it could not be told, whyever; FoodVision's own give no address away.
        """
        target = self._channels.find(alert.channel)
        if isinstance(target, WebhookTarget):
            report = report_path(self._home, alert.plan_name).absolute().as_uri()
            poster.post(target.webhook, payload(alert, report=report), key=alert.alert_id)
        elif isinstance(target, BlockTarget):
            notify(target.block, alert)

    def _warn(self, alert: Alert, reason: str, after: str) -> None:
        """Say once of each channel that it got an alert not, and what becomes of it."""
        if (alert.channel, after) in self._warned:
            return
        self._warned.add((alert.channel, after))
        logger.warning(
            "%s: an alert could not be delivered, because %s. %s: %s",
            alert.channel,
            reason,
            after,
            alert.message,
        )


def payload(alert: Alert, *, report: str) -> dict[str, Any]:
    """Return what a webhook gets, as JSON values; `text` is what Slack and its like show."""
    return {
        "text": alert.message,
        "alert_id": alert.alert_id,
        "plan": alert.plan_name,
        "run_id": alert.run_id,
        "cell": alert.label,
        "cell_id": alert.cell_id,
        "result_key": alert.result_key,
        "rule": alert.rule,
        "value": alert.value,
        "epoch": alert.epoch,
        "at": alert.raised_at,
        "report": report,
    }


class _Poster:
    """Sends JSON to addresses over connections that it keeps open.

    Time is limited by a loop of asyncio: a limit of a socket begins anew with every byte.
    """

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._clients: dict[bool, httpx.AsyncClient] = {}

    def __enter__(self) -> _Poster:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            self._runner.run(client.aclose())
        self._runner.close()

    def post(self, address: str, content: dict[str, Any], *, key: str) -> None:
        """Send JSON to an address, at most a few times, and in `ANSWER_SECONDS` in all.

        Args:
            address: may be a `${VARIABLE}`.
            content: JSON values.
            key: tells a receiver that it got the same alert before (header `Idempotency-Key`).

        Raises:
            Exception: it could not be sent, or was refused; FoodVision's own give no address away.
        """
        self._runner.run(self._post(_resolved(address), content, key))

    async def _post(self, address: str, content: dict[str, Any], key: str) -> None:
        client = self._client(is_direct=needs_no_proxy(address))
        trying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(_TRIES),
            wait=tenacity.wait_exponential(multiplier=_FIRST_PAUSE_SECONDS),
            retry=tenacity.retry_if_exception_type(_NoAnswerError),
            reraise=True,
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await trying(_post_once, client, address, content, key)
        except TimeoutError as error:
            raise _NoAnswerError(f"it does not answer within {ANSWER_SECONDS:g} s") from error

    def _client(self, *, is_direct: bool) -> httpx.AsyncClient:
        """Return a client that asks directly, or by the proxies that the environment names."""
        import httpx

        if is_direct not in self._clients:
            transport = httpx.AsyncHTTPTransport() if is_direct else None
            self._clients[is_direct] = httpx.AsyncClient(timeout=None, transport=transport)
        return self._clients[is_direct]


def _resolved(address: str) -> str:
    """Put the value of a variable in its place; empty: it is not set."""
    return os.environ.get(address[2:-1], "") if is_variable(address) else address


def needs_no_proxy(address: str) -> bool:
    """Say whether a host is asked without a proxy: this machine, and what `NO_PROXY` names."""
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return False
    if proxy_bypass(host) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # it is a name
        return False


async def _post_once(
    client: httpx.AsyncClient, address: str, content: dict[str, Any], key: str
) -> None:
    import httpx

    sending = client.stream("POST", address, json=content, headers={"Idempotency-Key": key})
    try:
        async with sending as answer:  # what it says besides its status is not waited for
            pass
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise _NotToldError("its address is none: it must begin with https://") from error
    except httpx.HTTPError as error:
        raise _NoAnswerError(f"it does not answer ({type(error).__name__})") from error
    if answer.is_success:
        return
    may_heal = answer.is_server_error or answer.status_code in _MAY_HEAL
    problem = _NoAnswerError if may_heal else _RefusedError
    raise problem(f"it answers {answer.status_code} {answer.reason_phrase}")


def notify(name: str, alert: Alert) -> None:
    """Let a notification block of Prefect tell an alert.

    Raises:
        FoodVisionError: there is no such block, or it failed; what it said may hold an address,
            and is not told.
    """
    block = _load_block(name)
    try:
        _finished(block.notify(alert.message, subject=f"{alert.plan_name}: {alert.rule}"))
    except Exception as error:
        raise _NotToldError(f"the block failed ({type(error).__name__})") from error


def _load_block(name: str) -> Any:
    from prefect.blocks.abstract import NotificationBlock
    from prefect.blocks.core import Block

    try:
        block = _finished(Block.load(name))
    except ValueError as error:
        raise _NotToldError("Prefect knows no such block (`prefect block ls`)") from error
    except Exception as error:
        raise _NotToldError(f"Prefect cannot load it ({type(error).__name__})") from error
    if not isinstance(block, NotificationBlock):
        raise _NotToldError(f"it is no notification block, but a {type(block).__name__}")
    return block


def _finished(called: Any) -> Any:
    """Wait for what Prefect gives back where it calls itself asynchronous."""

    async def wait() -> Any:
        return await called

    return asyncio.run(wait()) if inspect.isawaitable(called) else called
