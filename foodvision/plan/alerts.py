"""Alerts: what a plan wants to be told of its cells, and how.

A rule looks at results and changes none: it is in no key of a stage. Where it ends a training, it
does so as a stop rule does, and names another cell. What a condition says of a number stands here;
who looks at which number, and when, is for `tasks`.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    field_serializer,
    model_validator,
)

from foodvision.plan.messages import nearest, show, suggestion
from foodvision.plan.stopping import Metric
from foodvision.plan.values import Clash, Settings, broken_rule, broken_rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from foodvision.plan.cell_schema import CellSettings
    from foodvision.plan.problems import PlanPath

EPOCH_METRICS: tuple[str, ...] = get_args(Metric)
_OF_OUTPUTS = (
    "top_k_accuracy",
    "precision_macro",
    "recall_macro",
    "f1_macro",
    "precision_weighted",
    "recall_weighted",
    "f1_weighted",
    "calibration_error",
    "calibrated_error",
    "calibrated_loss",
)
END_METRICS: tuple[str, ...] = (
    *EPOCH_METRICS,
    *(f"{part}.{name}" for part in ("valid", "test") for name in _OF_OUTPUTS),
)
STATES = ("diverged", "failed", "finished")
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
_COMPARISON = re.compile(r"([\w.]+)\s*(<=|>=|==|!=|<|>|=)\s*(\S+)")
# As YAML 1.2 writes numbers (core schema, 10.3.2), which is how all others in a plan are written.
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_SLOWER = re.compile(r"slower than (\S+?) ?([a-zA-Z]*)")
_BLOCK = re.compile(r"[a-z0-9][a-z0-9-]*/[^/\s]+")
_ELSEWHERE = ("slack", "teams", "email", "e-mail", "discord", "pagerduty", "mattermost", "sms")
_MASK = "…"
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")
_MASKED = re.compile(rf"https?://[^/@]+/{_MASK}[0-9a-f]{{8}}")
# The mark, as JSON and percent-encoding also write it, user and password, host and port, the rest.
# Whatever is looked at twice has a bound, so that long lines stay cheap.
_LINK = re.compile(
    r"""((?::|%3a)(?:\\?/|%2f){2})([^\s/?#]{0,300}@)?"""
    r"""((?:\[[\da-f:.]+\]|[\w.-]*)(?::\d{1,5}\b)?)([^\s"'<>]*)""",
    re.IGNORECASE,
)
_NOTHING = re.compile(rf"\\/|/?(?:{_MASK}[0-9a-f]{{0,8}})?")  # behind a host that is told
_LONGEST_LABEL = 63
Moment = Literal["epochs", "end"]
_EXAMPLE = "write test.accuracy < 0.8, diverged, failed, finished or slower than 10 min"


@dataclass(frozen=True)
class Condition:
    """What a rule waits for.

    Attributes:
        kind: a metric that is compared, how a cell ended, or how long it took.
        metric: like `test.accuracy`; empty where none is compared.
        sign: `<`, `<=`, `>` or `>=`; empty where nothing is compared.
        threshold: what is compared with; of `slower`, seconds.
    """

    kind: Literal["metric", "diverged", "failed", "finished", "slower"]
    metric: str = ""
    sign: str = ""
    threshold: float = 0.0

    @property
    def name(self) -> str:
        """Return the one way to write it, however the plan does."""
        number = repr(self.threshold).removesuffix(".0")
        if self.kind == "slower":
            return f"slower than {number} s"
        return f"{self.metric} {self.sign} {number}" if self.metric else self.kind

    @property
    def foregone(self) -> Literal["never", "always"] | None:
        """Say whether it holds for no finite number that the metric may be, or for each."""
        if self.kind != "metric":
            return None
        high = math.inf if self.metric.endswith("loss") else 1.0
        held = {self.holds(value) for value in (0.0, high, math.nextafter(0, 1))}
        return None if len(held) > 1 else "always" if held == {True} else "never"

    @property
    def part(self) -> str:
        """Return the part of the data that its metric is measured on, if there is one."""
        return self.metric.partition(".")[0]

    def holds(self, value: float | None) -> bool:
        """Say whether a value of the metric, or seconds, fulfil the condition.

        Args:
            value: `None`: no finite number, and so no answer, which is worse than any: a loss or
                an error is then above every bound, a share of right answers below.
        """
        if value is None or math.isnan(value):
            if not self.metric:
                return False
            value = math.inf if self.metric.endswith(("loss", "error")) else -math.inf
        return {
            "<": value < self.threshold,
            "<=": value <= self.threshold,
            ">": value > self.threshold,
            ">=": value >= self.threshold,
        }[self.sign]


def is_calibrated(metric: str) -> bool:
    """Say whether a metric is measured at the temperature that validation images are for."""
    return ".calibrated_" in metric


def read_condition(text: str) -> Condition:
    """Read what a rule waits for.

    Raises:
        PydanticCustomError: it breaks a rule of the language.
    """
    words = " ".join(text.split())
    if words in STATES:
        return Condition(words)  # type: ignore[arg-type]
    if slower := _SLOWER.fullmatch(words):
        return Condition("slower", sign=">", threshold=_seconds(slower[1], slower[2], text))
    comparison = _COMPARISON.fullmatch(words)
    if comparison is None:
        near = nearest(words, (*STATES, "slower than"))
        hint = f"did you mean {near!r}? " if near else ""
        rule = "must compare a metric with a number, or say how a cell ends"
        raise broken_rule(f"{rule}, got {show(text)}: {hint}{_EXAMPLE}")
    metric, sign, number = comparison.groups()
    found = Condition("metric", _metric(metric), _sign(sign, text), _number(number, text))
    if not metric.endswith("loss") and not 0 <= found.threshold <= 1:
        rule = "must compare with a number in [0, 1], in which all metrics but losses lie"
        percent = found.threshold / 100
        hint = f"write {percent:g}" if 0 < percent <= 1 else "correct it"
        raise broken_rule(f"{rule}, got {show(text)}: {hint}")
    return found


def _metric(name: str) -> str:
    if name in END_METRICS:
        return name
    part, _, what = name.partition(".")
    if part == "train" and f"test.{what}" in END_METRICS:
        rule = f"must be a metric that is computed, and {what} is one of valid and test alone"
        raise broken_rule(f"{rule}, got {name!r}: write test.{what}")
    known = EPOCH_METRICS if nearest(name, END_METRICS) is None else END_METRICS
    raise broken_rule(f"must be a metric, got {name!r}{suggestion(name, known)}")


def _sign(sign: str, text: str) -> str:
    if sign in ("=", "==", "!="):
        rule = "must be an inequality (<, <=, > or >=), because two fractions are never quite equal"
        raise broken_rule(f"{rule}, got {show(text)}: write < or >")
    return sign


def _number(text: str, whole: str) -> float:
    is_percent = text.endswith("%")
    number = _read_number(text.removesuffix("%"))
    if not math.isfinite(number) or is_percent:
        hint = f": write {number / 100:g}" if is_percent and math.isfinite(number) else ""
        rule = "must compare with a finite number, like 0.8 or 1e-3 (accuracies lie in [0, 1])"
        raise broken_rule(f"{rule}, got {show(whole)}{hint}")
    return number


def _read_number(text: str) -> float:
    """Return the number that a text is, NaN where it is none."""
    return float(text) if _NUMBER.fullmatch(text) else math.nan


def _seconds(number: str, unit: str, whole: str) -> float:
    amount = _read_number(number)
    if not 0 < amount < math.inf:
        raise broken_rule(f"must be slower than a positive time, got {show(whole)}: write 30 s")
    if unit not in _UNITS:
        hint = suggestion(unit, _UNITS) if unit else f": write {number} s or {number} min"
        raise broken_rule(
            f"must have one of the units {', '.join(_UNITS)}, got {show(whole)}{hint}"
        )
    return amount * _UNITS[unit]


def _check_when(text: str) -> str:
    read_condition(text)
    return re.sub(r"\s*(<=|>=|<|>)\s*", r" \1 ", " ".join(text.split()))


def is_variable(address: str) -> bool:
    """Say whether an address is one `${VARIABLE}`."""
    return bool(_VARIABLE.fullmatch(address))


def mask_address(address: str) -> str:
    """Return an address that can be told: without what lets its readers write to it.

    What stands in a variable is no secret by its name; of the rest, the host is shown, and a few
    digits of the digest, so that two addresses can be told apart.
    """
    if is_variable(address) or _MASKED.fullmatch(address):
        return address
    told = hashlib.sha256(address.encode(errors="replace")).hexdigest()[:8]
    begin, _, rest = address.rpartition("://")
    return f"{begin or 'https'}://{_host(rest)}/{_MASK}{told}"


def _host(rest: str) -> str:
    """Return the host of what follows the scheme; nothing where it may be part of a password."""
    host = re.split(r"[/?#\\\s]", rest, maxsplit=1)[0]
    return host.rpartition("@")[2] if "@" in host or "@" not in rest else _MASK


def mask_links(text: str) -> str:
    """Return a text that shows the host alone of every address in it, but for those of files.

    Nothing else can be told by its looks: in `ntfy.sh/lunch` a plain word is the secret. No digits
    of a digest either, by which a short password could be tried.
    """
    return _LINK.sub(_masked_link, text)


def _masked_link(link: re.Match[str]) -> str:
    mark, user, host, behind = link.groups(default="")
    rest = behind.rstrip("}]),;:.")
    tail = behind[len(rest) :]
    is_file = link.string.endswith("file", 0, link.start())
    if is_file or (not user and _NOTHING.fullmatch(rest)):
        return link[0]
    if not host or "@" in rest:  # what looks like the host may be the beginning of a password
        return f"{mark}{_MASK}{tail}"
    begin = f"{mark}{_MASK}@" if user else mark
    return f"{begin}{host}/{_MASK}{tail}" if rest else f"{begin}{host}{tail}"


def written_addresses(rules: Sequence[AlertRule]) -> list[str]:
    """Return the addresses that rules write out, the longest first."""
    targets = (target for rule in rules for target in rule.notify)
    found = {each.webhook for each in targets if isinstance(each, WebhookTarget)}
    return sorted((each for each in found if mask_address(each) != each), key=len, reverse=True)


def mask_addresses(text: str, rules: Sequence[AlertRule]) -> str:
    """Return a text that may quote a plan as it can be told."""
    for address in written_addresses(rules):
        text = text.replace(address, mask_address(address))
    return text


def _check_address(address: str) -> str:
    if is_variable(address):
        return address
    if "${" in address:
        rule = "must be written out, or be one ${NAME} that holds the whole address"
        raise broken_rule(f"{rule}, got {_shown(address)}: put all of it into a variable")
    if not _is_address(address) or address != "".join(address.split()):
        rule = "must be an address that begins with https:// or http://, or ${NAME}"
        raise broken_rule(f"{rule}, got {_shown(address)}: correct it")
    parts = urlsplit(address)
    if "@" in parts.netloc:
        host = f"{parts.scheme}://…@{parts.netloc.rpartition('@')[2]}"
        rule = "must hold no password, which everyone reads who reads the plan"
        raise broken_rule(f"{rule}, got {show(host)}: write ${{NAME}} and set that variable")
    return address


def _is_address(address: str) -> bool:
    """Say whether an address has a host that can be one, and a port, if any, that can be one."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return False
    labels = (parts.hostname or "").removesuffix(".").split(".")
    is_host = all(0 < len(label) <= _LONGEST_LABEL for label in labels)
    return is_host and parts.scheme in ("http", "https")


def _shown(address: str) -> str:
    """Write what should be an address, and may be one nearly: its host, if it has one."""
    begin, mark, rest = address.rpartition("://")
    host = _host(rest)
    is_all = host == rest and "${" not in begin
    return show(address if is_all else f"{begin}{mark}{host}/{_MASK}")


def _check_block(name: str) -> str:
    if not _BLOCK.fullmatch(name):
        rule = "must name a Prefect block as type/name (`prefect block ls` shows them)"
        raise broken_rule(f"{rule}, got {show(name)}: write slack-webhook/my-block")
    return name


class WebhookTarget(Settings):
    """An address that gets alerts as JSON.

    Attributes:
        webhook: the address, or one `${VARIABLE}`, which stays as it is here. An address that is
            written out is never told whole.
    """

    webhook: Annotated[str, AfterValidator(_check_address)]

    @field_serializer("webhook")
    def _told_address(self, address: str) -> str:
        return mask_address(address)

    @property
    def told(self) -> str:
        """Return how it is called where it is told of."""
        return f"webhook {mask_address(self.webhook)}"


class BlockTarget(Settings):
    """A notification block of Prefect: Slack, e-mail, Teams and others.

    Attributes:
        block: its type and name, as in `slack-webhook/my-block`.
    """

    block: Annotated[str, AfterValidator(_check_block)]

    @property
    def told(self) -> str:
        """Return how it is called where it is told of."""
        return f"block {self.block}"


def _check_word(word: Any) -> Any:
    if word == "log":
        return word
    rule = "must be log, {webhook: ADDRESS} or {block: TYPE/NAME}"
    hint = ""
    if isinstance(word, str) and word.lower() in _ELSEWHERE:
        hint = ": make a block of Prefect for it and write {block: TYPE/NAME}"
    elif isinstance(word, str) and "://" in word:
        word, hint = f"{word.partition('://')[0]}://…", ": write {webhook: ADDRESS}"
    raise broken_rule(f"{rule}, got {show(word)}{hint}")


def _kind_of_target(value: Any) -> str:
    if isinstance(value, BlockTarget | WebhookTarget):
        return "prefect" if isinstance(value, BlockTarget) else "address"
    if not isinstance(value, dict):
        return "text"
    return "prefect" if any(str(key).startswith("b") for key in value) else "address"


Target = Annotated[
    Annotated[Literal["log"], BeforeValidator(_check_word, json_schema_input_type=str), Tag("text")]
    | Annotated[WebhookTarget, Tag("address")]
    | Annotated[BlockTarget, Tag("prefect")],
    Discriminator(_kind_of_target),
]


def told_target(target: Literal["log"] | WebhookTarget | BlockTarget) -> str:
    """Return how a target is called where it is told of."""
    return target if isinstance(target, str) else target.told


def _listed(targets: Any) -> Any:
    if targets in ([], (), None):
        raise broken_rule(f"must say who is told, got {show(targets)}: write log")
    return targets if isinstance(targets, list | tuple) else [targets]


def _check_targets(targets: tuple[Any, ...]) -> tuple[Any, ...]:
    known = set()
    for target in targets:
        if target in known:
            raise broken_rule(f"must be different, got {told_target(target)} twice: keep one")
        known.add(target)
    return targets


Targets = Annotated[
    tuple[Target, ...],
    Field(strict=False),
    BeforeValidator(_listed, json_schema_input_type=Target | list[Target]),
    AfterValidator(_check_targets),
]


class AlertRule(Settings):
    """What is to be told of a cell, and to whom; once per cell and result.

    Attributes:
        when: a metric and a number (`test.accuracy < 0.8`), `diverged`, `failed`, `finished`, or
            `slower than 30 s` (ms, s, min, h).
        notify: `log`, `{webhook: ADDRESS}`, `{block: TYPE/NAME}`, or several of them as a list.
        on: whether a metric is looked at after every epoch (`epochs`) or that of the result
            (`end`); `None`: `epochs` where it stops the cell, else `end`.
        stop: whether the cell's training ends with the first epoch for which it holds.
    """

    when: Annotated[str, AfterValidator(_check_when)]
    notify: Targets = ("log",)
    on: Moment | None = None
    stop: bool = False

    @model_validator(mode="after")
    def _check_moment(self) -> Self:
        if clashes := list(_moment_clashes(self)):
            raise broken_rules(clashes)
        return self

    @property
    def condition(self) -> Condition:
        """Return what it waits for."""
        return read_condition(self.when)

    @property
    def moment(self) -> Moment:
        """Return when it looks: after every epoch, or at the result."""
        return self.on or ("epochs" if self.stop else "end")

    @property
    def name(self) -> str:
        """Return what tells it from the other rules of its plan."""
        return f"{self.condition.name} on {self.moment}"


def _moment_clashes(rule: AlertRule) -> Iterator[Clash]:
    """Yield why a rule cannot look when it wants to."""
    metrics = ", ".join(EPOCH_METRICS)
    condition = rule.condition
    is_late = condition.metric not in EPOCH_METRICS
    if rule.stop and is_late:
        message = (
            f"stop ends a training, and {rule.when!r} is known only when it has ended: delete "
            f"stop, or compare one of {metrics}"
        )
        yield (("stop",),), message
    elif rule.stop and rule.on == "end":
        yield (("on",),), "stop ends a training in an epoch, and on is 'end': delete on"
    elif rule.on == "epochs" and is_late:
        message = f"an epoch is measured by {metrics}; {rule.when!r} is known at the end: delete on"
        yield (("on",),), message


def stopping_bounds(rules: Sequence[AlertRule], cell: CellSettings) -> tuple[Condition, ...]:
    """Return the conditions that end the training of a cell, as far as it measures their metric."""
    found = (rule.condition for rule in rules if rule.stop)
    return tuple(bound for bound in found if bound.part != "valid" or cell.valid)


def _check_different(rules: list[AlertRule]) -> list[AlertRule]:
    first: dict[str, int] = {}
    clashes: list[Clash] = []
    for place, rule in enumerate(rules):
        if first.setdefault(rule.name, place) != place:
            message = (
                f"is the same rule as alerts[{first[rule.name]}] ({rule.when}): delete one, or "
                "list what both notify in one of them"
            )
            clashes.append((((place, "when"),), message))
    if clashes:
        raise broken_rules(clashes)
    return rules


Alerts = Annotated[list[AlertRule], AfterValidator(_check_different)]


def alert_problems(
    rules: Sequence[AlertRule], cells: Sequence[CellSettings]
) -> Iterator[tuple[PlanPath, str]]:
    """Yield what is wrong with rules given the cells of their plan: where, and what.

    Args:
        rules: of a plan.
        cells: settings of all cells of the plan.
    """
    has_valid = any(cell.valid for cell in cells)
    for place, rule in enumerate(rules):
        condition = rule.condition
        needs_valid = condition.part == "valid" or is_calibrated(condition.metric)
        if needs_valid and not has_valid:
            needed = (
                "uses a temperature that is found" if condition.part == "test" else "is measured"
            )
            message = (
                f"{condition.metric} {needed} on images set aside, and valid is 0 in every "
                f"cell: write valid: 0.2 in base, or {_without_valid(condition.metric)}"
            )
            yield ("alerts", place, "when"), message


def _without_valid(metric: str) -> str:
    """Return the nearest metric that needs no validation images."""
    if metric in EPOCH_METRICS:
        return metric.replace("valid", "train")
    name = metric.partition(".")[2]
    uncalibrated = {"calibrated_loss": "loss", "calibrated_error": "calibration_error"}
    return f"test.{uncalibrated.get(name, name)}"
