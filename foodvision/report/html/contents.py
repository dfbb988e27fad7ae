"""What a report says: plain values, in the order of its chapters.

Scores and probabilities are in [0, 1], times in UTC. Texts are as people wrote them: whoever writes
the file escapes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from PIL import Image

Kind = Literal["share", "loss", "points", "seconds", "milliseconds", "count", "bytes"]
Verdict = Literal["winner", "tied", "worse", "better"]


@dataclass(frozen=True)
class KeyFigure:
    """A number to see first, and what it is."""

    value: str
    meaning: str


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Figure:
    """Mean and standard deviation over seeds; the latter `None` for a single one."""

    mean: float
    std: float | None = None


@dataclass(frozen=True)
class Column:
    """A column of figures in the leaderboard.

    Attributes:
        key: of an entry's figures.
        title: as people read it.
        kind: how numbers are written.
        decides: the ranking is by it.
    """

    key: str
    title: str
    kind: Kind
    decides: bool = False


@dataclass(frozen=True)
class Seed:
    """One cell of a configuration that has several: its seed, its figures by column."""

    seed: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Entry:
    """One line of the leaderboard: a configuration, or a cell that did not complete.

    Attributes:
        rank: from 1; `None` where there is nothing to rank by.
        label: what the plan calls it.
        kind: trained, or what is made of trained cells: tta, mean, weighted, vote.
        axes: label of the choice by dotted path, seeds left out.
        status: completed, failed, diverged, collapsed or pending.
        note: why it did not complete.
        log: relative URL of the file that tells more of that; `None`: there is none.
        figures: by column; those that are not known are left out.
        stopped: what a stop rule did, in words; `None` where it did nothing.
        seeds: its cells, if there are several.
        verdict: how it stands to the first; `None` where that cannot be said.
        chance: that it is the best of all.
        score: on the test images.
        behind: what it lacks to the first; negative where it is better.
    """

    rank: int | None
    label: str
    kind: str
    axes: Mapping[str, str]
    status: str
    note: str | None
    figures: Mapping[str, Figure]
    log: str | None = None
    stopped: str | None = None
    seeds: Sequence[Seed] = ()
    verdict: Verdict | None = None
    chance: float | None = None
    score: Estimate | None = None
    behind: Estimate | None = None


@dataclass(frozen=True)
class AxisValue:
    """What one value of an axis adds to the mean of all, in units of the score."""

    value: str
    configurations: int
    mean: float
    effect: Estimate


@dataclass(frozen=True)
class AxisEffect:
    """What an axis does: values as in the plan, span from worst to best, share of the variation."""

    name: str
    values: Sequence[AxisValue]
    span: float
    share: float
    is_more_than_noise: bool


@dataclass(frozen=True)
class Interaction:
    """How two axes act on one another: means and extras by row and column, `None`: no cell."""

    first: str
    second: str
    rows: Sequence[str]
    columns: Sequence[str]
    means: Sequence[Sequence[float | None]]
    extras: Sequence[Sequence[float | None]]
    strength: float
    is_more_than_noise: bool


@dataclass(frozen=True)
class Curve:
    """How one cell learned.

    Attributes:
        entry: number of its line in the leaderboard, from 0.
        label: of the cell.
        epochs: from 1.
        values: by what they are (`test_accuracy`, `train_loss` …), one per epoch; `None`: not
            known or not finite.
    """

    entry: int
    label: str
    epochs: Sequence[int]
    values: Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class Confusion:
    """How often images of a class (row) were taken for another (column)."""

    label: str
    classes: Sequence[str]
    counts: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Bin:
    """Answers of about the same probability: in (lower, upper], how many, mean, share right."""

    lower: float
    upper: float
    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """How far a model's probabilities can be trusted: expected calibration error, and bins."""

    title: str
    error: float | None
    bins: Sequence[Bin]


@dataclass(frozen=True)
class ClassResult:
    """How the winner does on a class."""

    name: str
    precision: float
    recall: float
    f1: float
    images: int


@dataclass(frozen=True)
class Tile:
    """One image and what was said of it.

    Attributes:
        image: `None` where it is no longer in the store.
        path: inside its data set.
        true_class: what the data set names.
        named: what a model, or most of them, name.
        is_right: both are the same.
        remark: how sure, how many.
    """

    image: Image.Image | None
    path: str
    true_class: str
    named: str
    is_right: bool
    remark: str


@dataclass(frozen=True)
class Tiles:
    """Images with one story; `total`: how many there are, of which the first are shown."""

    shown: Sequence[Tile]
    total: int


@dataclass(frozen=True)
class Winner:
    """What is said of the winner alone; with several seeds, of its first cell."""

    label: str
    images: int
    wrong: int
    classes: Sequence[ClassResult]
    calibrations: Sequence[Calibration]
    predictions: Tiles


@dataclass(frozen=True)
class Work:
    """A quantity of work: each cell alone, as predicted, as counted; `None`: not known.

    `fallen` says why less was counted than predicted, where no compiling saved it.
    """

    name: str
    alone: int | None
    predicted: int | None
    counted: int | None
    fallen: str = ""


@dataclass(frozen=True)
class RunLine:
    """One run of the plan."""

    started_at: datetime
    status: str
    cells: int
    cells_failed: int
    stages_found: int
    stages_computed: int
    seconds_alone: float | None
    seconds_paid: float | None
    wall_seconds: float | None
    device: str | None


@dataclass(frozen=True)
class DataLine:
    """One data set: its name in the plan, its source, what it holds, its digest."""

    name: str
    source: str
    classes: int
    train_images: int
    test_images: int
    digest: str


@dataclass(frozen=True)
class CertificateLine:
    """A cell that was trained again, alone; `difference`: `None` where it was equal to the bit."""

    label: str
    checked_at: datetime
    difference: str | None
    seconds: float


@dataclass(frozen=True)
class Told:
    """One who is told; `state`: delivered, pending or given up; `error`: why not, if it was not."""

    channel: str
    state: str
    error: str | None


@dataclass(frozen=True)
class AlertLine:
    """What a rule found of a row of the table, and who was told."""

    label: str
    raised_at: datetime
    words: str
    told: Sequence[Told]


@dataclass(frozen=True)
class Report:
    """Everything one report says; what is not known is empty.

    Attributes:
        name: of the plan.
        description: what the plan says about itself.
        made_at: UTC.
        ranked_by: the metric that decides, in words.
        score: what certainty and effects are about: accuracy or loss on the test images.
        test_images: that were scored.
        summary: paragraphs.
        key_figures: to see first.
        columns: of the leaderboard.
        entries: its lines, best first, those without a rank last.
        axes: those that vary: their values, in the order of the plan.
        effects: of axes, the strongest first.
        interactions: of pairs of axes, the strongest first.
        curves: in the order of the entries.
        confusions: of the winner and those next to it.
        winner: `None` where nothing has a rank.
        hard: images that at least half of the cells get wrong.
        suspects: images whose label is probably wrong.
        work: what the compiler saved.
        work_of: when the run was whose work that is.
        runs: of the plan, the latest first.
        plan_text: YAML.
        environment: of the latest run, by name.
        packages: versions by name, in that run.
        data: the data sets.
        certificates: the latest first.
        rules: of the plan: what it wants to be told.
        alerts: the latest first, as many as are shown.
        alerts_total: that there are.
    """

    name: str
    description: str
    made_at: datetime
    ranked_by: str
    score: str
    test_images: int
    summary: Sequence[str]
    key_figures: Sequence[KeyFigure]
    columns: Sequence[Column]
    entries: Sequence[Entry]
    axes: Mapping[str, Sequence[str]]
    effects: Sequence[AxisEffect]
    interactions: Sequence[Interaction]
    curves: Sequence[Curve]
    confusions: Sequence[Confusion]
    winner: Winner | None
    hard: Tiles
    suspects: Tiles
    work: Sequence[Work]
    work_of: datetime | None
    runs: Sequence[RunLine]
    plan_text: str
    environment: Mapping[str, str]
    packages: Mapping[str, str]
    data: Sequence[DataLine]
    certificates: Sequence[CertificateLine]
    rules: Sequence[str]
    alerts: Sequence[AlertLine]
    alerts_total: int
