"""What a plan may say: every key, its type, its range and its default.

The models are frozen, know no other keys, and take no text where a number belongs. What one cell
says stands in `foodvision.plan.cell_schema` and the modules that it is made of. Axes (`grid`,
`zip`, `exclude`, `include`, `when`) are checked here in shape only: what they mean stands in
`foodvision.plan.axes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable  # noqa: TC003 - pydantic reads them
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, Tag

from foodvision.hashing import digest
from foodvision.plan.alerts import Alerts  # noqa: TC001 - pydantic reads it
from foodvision.plan.cell_schema import MAX_SEED, CellSettings
from foodvision.plan.combination import EnsembleSettings, NamedTta, Pattern
from foodvision.plan.input_schema import Sha256  # noqa: TC001 - pydantic reads it
from foodvision.plan.messages import suggestion
from foodvision.plan.names import Name
from foodvision.plan.problems import Place, PlanPath
from foodvision.plan.values import (
    MAX_ITEMS,
    Count,
    Positive,
    Share,
    broken_rule,
    check_variables,
    text_or,
)
from foodvision.plan.values import Settings as _Settings
from foodvision.plan.views import ViewChoice

MAX_BYTES = 10**18
TTA_NAME = "TTA"
_SOURCE_KINDS = ("https", "http", "file", "torchvision", "sklearn")


def _check_source(source: str) -> str:
    kind = re.match(r"([A-Za-z]{2,}):", source)
    if kind and kind[1] not in _SOURCE_KINDS:
        known = ", ".join(f"{name}:" for name in _SOURCE_KINDS)
        rule = f"must be a path or begin with one of {known}, got {source!r}"
        raise broken_rule(rule + suggestion(kind[1], _SOURCE_KINDS))
    return check_variables(source)


def _check_seeds(seeds: Any) -> Any:
    is_whole = isinstance(seeds, int) and not isinstance(seeds, bool)
    if is_whole and seeds > MAX_ITEMS:
        raise broken_rule(f"must be a count of at most {MAX_ITEMS}, got {seeds}")
    if is_whole and seeds >= 1:
        return seeds
    if not isinstance(seeds, list) or not seeds:
        rule = "must be a count of at least 1 or a list of seeds that is not empty"
        raise broken_rule(f"{rule}, got {seeds!r}")
    wrong = [s for s in seeds if isinstance(s, bool) or not isinstance(s, int)]
    wrong = wrong or [s for s in seeds if not 0 <= s <= MAX_SEED]
    if wrong:
        raise broken_rule(f"must be whole numbers in [0, 2**63), got {wrong[0]!r}")
    if twice := [s for s in seeds if seeds.count(s) > 1]:
        raise broken_rule(f"must be different, got {twice[0]} twice: keep one")
    return seeds


class DataSource(_Settings):
    """Where the images of one data set come from.

    Attributes:
        source: an address, an archive, a folder, `torchvision:NAME` or `sklearn:digits`; may
            contain `${VARIABLE}`, which stays as it is here.
        split: share of the images that becomes the test split of a folder without splits.
        sha256: what a downloaded archive must have, 64 hex digits.
        on_bad_image: what an image that cannot be read does.
    """

    source: Annotated[str, Field(min_length=1), AfterValidator(_check_source)]
    split: Share | None = None
    sha256: Sha256 | None = None
    on_bad_image: Literal["fail", "skip"] = "fail"


class RankBy(StrEnum):
    """What cells can be ranked by, and which end is better."""

    TEST_ACCURACY = "test.accuracy"
    TEST_LOSS = "test.loss"
    VALID_ACCURACY = "valid.accuracy"
    VALID_LOSS = "valid.loss"
    TRAIN_ACCURACY = "train.accuracy"
    TRAIN_LOSS = "train.loss"
    SECONDS = "seconds"
    PARAMS = "params"

    @property
    def direction(self) -> Literal["max", "min"]:
        """Return `max` where more is better, else `min`."""
        return "max" if self.value.endswith("accuracy") else "min"

    @property
    def part(self) -> str | None:
        """Return the part of the data that it is measured on, if any."""
        return self.value.partition(".")[0] if "." in self.value else None


RankKey = Annotated[RankBy, Field(strict=False)]


class Rank(_Settings):
    """The order of the table: by `by`, then by `then`, then in the plan's order."""

    by: RankKey = RankBy.TEST_ACCURACY
    then: RankKey | None = RankBy.TEST_LOSS

    @property
    def keys(self) -> tuple[RankBy, ...]:
        """Return both keys, the first first."""
        return (self.by,) if self.then is None else (self.by, self.then)


class Limits(_Settings):
    """What a plan may cost at most.

    Attributes:
        cells: more are refused.
        features_bytes: of cached features on disk; `None`: no limit.
    """

    cells: Positive = 10_000
    features_bytes: Annotated[int, Field(ge=1, le=MAX_BYTES)] | None = None


class EvaluateSettings(_Settings):
    """What is found out about trained models beside their scores.

    Attributes:
        latency: whether models are timed, and their memory measured, after everything else; models
            of one shape once.
    """

    latency: bool = False


class RecordSettings(_Settings):
    """What is noted of a training while it runs, beside its epochs; it acts on no result.

    Attributes:
        steps: loss and learning rates of every optimiser step.
        gradient_norm: these, and the L2 norm of all gradients before they are cut.
        tensorboard: whether files for TensorBoard are written.
    """

    steps: bool = False
    gradient_norm: bool = False
    tensorboard: bool = True

    @property
    def notes_steps(self) -> bool:
        """Whether steps are noted."""
        return self.steps or self.gradient_norm


class RandomSearch(_Settings):
    """So many different cells, drawn at random from the axes; fewer are the first of more.

    Attributes:
        n: how many, before `include` and `seeds`.
        seed: of the draws; in [0, 2**63).
    """

    kind: Literal["random"]
    n: Count
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 42


Search = Annotated[
    Annotated[Literal["grid"], Tag("text")] | Annotated[RandomSearch, Tag("random")],
    text_or("random"),
]


Seeds = Annotated[
    int | list[int], BeforeValidator(_check_seeds, json_schema_input_type=int | list[int])
]


def _named_tta(section: Any) -> Any:
    return {TTA_NAME: section} if isinstance(section, list) else section


Tta = Annotated[
    dict[Name, NamedTta],
    BeforeValidator(_named_tta, json_schema_input_type=list[ViewChoice] | dict[Name, NamedTta]),
]


class Plan(_Settings):
    """A whole plan, as the file says it after overrides.

    Attributes:
        name: names folders, runs and tables.
        data: the data sets by name.
        base: one complete cell.
        grid: choices, or ranges to draw from, by dotted path into the cell.
        zip: groups of axes that move together.
        exclude: partial matches of cells that are left out.
        include: cells that are added, each over the base.
        when: conditions under which an axis counts.
        seeds: a count (from `base.seed` on) or a list.
        rank: the order of the table.
        tta: views by name; every cell gets a row of its own for each (a list: one, named `TTA`).
        ensembles: cells that answer together, by name; each is a row of its own.
        evaluate: what else is found out about the trained models.
        record: what is noted while it trains, beside epochs.
        save: which models are kept as files.
        limits: what it may cost at most.
        search: `grid` for every combination, or some that are drawn at random.
        alerts: what is to be told of cells, and to whom.
    """

    name: Name
    description: str = ""
    data: Annotated[dict[Name, DataSource], Field(min_length=1)]
    base: CellSettings
    grid: dict[str, Any] = Field(default_factory=dict)
    zip: list[dict[str, Any]] = Field(default_factory=list)
    exclude: list[Pattern] = Field(default_factory=list)
    include: list[Pattern] = Field(default_factory=list)
    when: dict[str, Pattern] = Field(default_factory=dict)
    seeds: Seeds | None = None
    rank: Rank = Rank()
    tta: Tta = Field(default_factory=dict)
    ensembles: dict[Name, EnsembleSettings] = Field(default_factory=dict)
    evaluate: EvaluateSettings = EvaluateSettings()
    record: RecordSettings = RecordSettings()
    save: Literal["all", "best", "none"] = "all"
    limits: Limits = Limits()
    search: Search = "grid"
    alerts: Alerts = Field(default_factory=list)

    _folder: Path = PrivateAttr(default_factory=Path.cwd)
    _source_path: Path | None = PrivateAttr(default=None)
    _places: Callable[[PlanPath], Place] | None = PrivateAttr(default=None)
    _order: tuple[str, ...] = PrivateAttr(default=())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.plan_id == other.plan_id

    def __hash__(self) -> int:
        return hash(self.plan_id)

    @property
    def folder(self) -> Path:
        """Return what relative paths in the plan start from; not part of its identity."""
        return self._folder

    @property
    def source_path(self) -> Path | None:
        """Return the file that the plan was read from, if any; not part of its identity."""
        return self._source_path

    @property
    def plan_id(self) -> str:
        """Return the sha256 (64 hex digits) of the plan's canonical JSON."""
        return digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values: defaults included, keys without value left out."""
        whole = self.model_dump(mode="json")
        for part in ("data", "base"):
            whole[part] = self.model_dump(mode="json", include={part}, exclude_none=True)[part]
        # Sections that came when plans were kept already leave old plans' identity alone.
        defaults = {
            name: field.get_default(call_default_factory=True)
            for name, field in type(self).model_fields.items()
            if name in ("tta", "ensembles", "evaluate", "record", "alerts")
        }
        return {
            name: value
            for name, value in whole.items()
            if value is not None and (name not in defaults or getattr(self, name) != defaults[name])
        }

    def sections(self) -> dict[str, Any]:
        """Return the fields in the order in which the file has them."""
        names = dict.fromkeys((*self._order, *type(self).model_fields))
        return {name: getattr(self, name) for name in names if name in type(self).model_fields}

    def place(self, path: PlanPath) -> Place:
        """Return where in its text the plan says `path`, as far as that is known."""
        return self._places(path) if self._places else Place("")

    def placed(
        self,
        *,
        folder: Path,
        source_path: Path | None,
        places: Callable[[PlanPath], Place],
        order: Iterable[str],
    ) -> Plan:
        """Return the same plan that knows where it came from.

        Args:
            folder: what relative paths start from.
            source_path: the file, if any.
            places: tells where in the text a path of the plan stands.
            order: of the keys at the top.
        """
        copy = self.model_copy()
        copy._folder, copy._source_path, copy._places = folder, source_path, places
        copy._order = tuple(order)
        return copy
