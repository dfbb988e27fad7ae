"""Every setting of a cell is in the key of the stage that it acts on, or is said not to matter.

The settings are read off the schema (`tests.plan.changes`). A new one has to be put on `STAGES`;
then it is changed alone, and the earliest key that changes must be that stage's. The test itself is
tested: keys that forget an input, any of them, one after another, are found.
"""

from __future__ import annotations

from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from foodvision.errors import FoodVisionError
from foodvision.hashing import digest, file_sha256
from foodvision.home import Home
from foodvision.plan import graph as graph_module
from foodvision.plan.expand import expand
from foodvision.plan.graph import compile_cells
from foodvision.plan.load import load_plan
from foodvision.progress import SILENT
from tasks import facts
from tasks.devices import Device
from tasks.facts import LibraryFacts
from tasks.plan_data import fetch_data
from tests.plan.changes import ABSENT, Change, Json, every_change
from tests.running import make_photos

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from foodvision.plan.cell_schema import CellSettings
    from foodvision.plan.expand import Cell
    from foodvision.plan.schema import Plan

# The earliest stage whose key a setting changes, by dotted path; the first pattern that fits says
# it. `nothing` needs its reason beside it.
STAGES = {
    "data.*": "train",  # through the images that it chooses
    "valid": "train",
    "test.*": "score",
    "model.arch": "features",
    "model.weights": "features",
    "model.weights_sha256": "nothing",  # a check; the digest that counts is the file's
    "model.freeze": "features",
    "model.hidden": "features",
    "model.batchnorm": "train",
    "model.lr_scale": "train",
    "model.dropout": "train",
    "transform": "pixels",
    "transform.normalize*": "features",
    "transform.*": "pixels",
    "augment.*.*": "train",
    "augment*": "features",  # none: then there are pixels instead
    "mix.*.*": "train",
    "mix*": "features",
    "batch_size": "train",
    "epochs": "train",
    "optimizer*": "train",
    "phases": "train",
    "schedule*": "train",  # through the rate (and momentum) of every step
    "accumulate": "train",
    "clip*": "train",
    "ema*": "train",
    "stop*": "nothing",  # chooses one of the states; which one, its result tells
    "loss*": "train",
    "seed": "train",
    "precision": "features",
    "threads": "features",
    "micro_batch": "train",
    "device": "nothing",  # the kind of device that it means here counts, not how it is named
}
# What a cell must say for a setting to be possible at all.
CONTEXTS: dict[str, dict[str, Any]] = {
    "model.arch": {"model.arch": "resnet18"},  # whose blocks have the same names
    "model.dropout": {"model.arch": "squeezenet1_1"},
    "accumulate": {"batch_size": 2, "accumulate": 4},
    "clip.value": {"clip": {"value": 1.0}},  # in place of norm
    "phases": {"epochs": ABSENT, "phases": [{"epochs": 4}]},
    "transform": {"model.weights": "DEFAULT"},
    "transform.resize_to": {"transform.resize": "crop"},
    "optimizer.sgd.nesterov": {"optimizer.momentum": 0.9},
    "stop*": {"valid": 0.25},
    "schedule.plateau.warmup.steps": {"valid": 0.25, "schedule.warmup": {"steps": 2}},
    "schedule.plateau*": {"valid": 0.25},
    "schedule.*.warmup.steps": {"schedule.warmup": {"steps": 2}},  # in place of epochs
}
# The second of two phases, changed alone: settings of its own, and what it starts with.
PHASES: tuple[Json, ...] = (
    {"epochs": 2, "batch_size": 7},
    {"epochs": 2, "batch_size": 7, "optimizer_state": "keep"},
    {"epochs": 2, "loss.label_smoothing": 0.1},
)
# Inputs of keys that follow from others, or that no setting changes.
NO_SETTING = {
    "stage",  # constants
    "code",
    "decoder",  # versions and the machine: `facts`
    "pillow",
    "torch",
    "torchvision",
    "device",
    "capability",
    "batch",
    "classes",  # the digest of the images has each image's class
    "epoch",  # the chain counts them
}

BASES: dict[str, Json] = {
    "head on features": {"model": {"freeze": "backbone"}},
    "whole network, augmented": {
        "model": {"freeze": "none"},
        "augment": [{"kind": "horizontal_flip"}],
    },
}


class Settled(LibraryFacts):
    """Facts as the library finds them, on a machine and with published weights that are given."""

    def device(self, settings: CellSettings) -> Device:
        return Device(kind="cpu", capability="AVX2", names=("cpu",))

    def _find_weights(self, settings: CellSettings) -> tuple[Path, str]:
        if settings.model.weights == "DEFAULT":
            return Path(), digest("published")
        return super()._find_weights(settings)

    def _require_fit(self, settings: CellSettings, path: Path, sha256: str) -> None:
        """Take any weights: keys do not depend on what fits."""

    def _weights_transform(self, settings: CellSettings) -> Mapping[str, Any]:
        own = {"size": 24, "resize_to": 28, "interpolation": "bicubic", "channels": 3}
        return {**own, "mean": [0.5] * 3, "std": [0.25] * 3}


class Compiler:
    """Compiles cells of one base, in one home."""

    def __init__(self, base: Json, folder: Path, home: Home) -> None:
        self._folder = folder
        self._expanded: dict[str, Cell] = {}
        self.cell: Json = {
            "data": {"name": "photos"},
            "test": {"name": "photos"},
            "transform": {"size": 32},
            "batch_size": 6,
            "epochs": 4,
            "optimizer": {"kind": "adam", "lr": 0.01},
            **base,
        }
        self.cell["model"] = {"arch": "tiny_vgg", "weights": "./net.pth", **base["model"]}
        plan = self._plan(self.cell)
        datasets = {name: fetch_data(plan, name, home, progress=SILENT) for name in plan.data}
        self._facts = Settled(home=home, base=folder, datasets=datasets)
        self.examples = {
            "data.name": ["others"],
            "test.name": ["others"],
            "model.arch": ["resnet34"],
            "model.weights": ["./other.pth", "none"],
            "model.weights_sha256": [file_sha256(folder / "net.pth")],
            "model.freeze": [1],
            "model.lr_scale": [{"head": 0.5}],  # a block that is trained in every base
            "batch_size": [7],  # as many steps as with 6
            "transform.resize_to": [40],  # the size itself is what is taken without it
            "transform.normalize.mean": [[0.5] * 3, [0.4] * 3],
            "transform.normalize.std": [[0.5] * 3, [0.4] * 3],
            "augment.affine": [{"kind": "affine", "degrees": 10.0}],  # something must change
            "augment.color_jitter": [{"kind": "color_jitter", "hue": 0.1}],
            "schedule.piecewise.rates": [{"2": 0.1}, {"3": 0.1}],
            "schedule.cosine_restarts.t_0": [2, 3],  # 1 is the constant rate
            "schedule.*.warmup": [{"epochs": 1}],
            "schedule.plateau.metric": ["train.accuracy"],  # of the same images
            "schedule.plateau": [{"kind": "plateau", "metric": "train.loss"}],
            "phases": [[{"epochs": 2}, {"epochs": 2, "batch_size": 7}]],
            "accumulate": [5],  # 6 batches are 4 + 2 or 5 + 1: as many steps
            "clip": [{"norm": 1.0}],  # one of the two
            "device": ["cpu"],
        }

    def _plan(self, cell: Json) -> Plan:
        sources = {name: {"source": f"./{name}"} for name in ("photos", "others")}
        return load_plan({"name": "p", "data": sources, "base": cell}, folder=self._folder)

    def changes(self) -> list[Change]:
        each = every_change(self.cell, examples=self.examples, contexts=CONTEXTS)
        without_epochs = {name: value for name, value in self.cell.items() if name != "epochs"}
        one, *others = ({**without_epochs, "phases": [{"epochs": 2}, last]} for last in PHASES)
        return [*each, *(Change("phases", one, (other,)) for other in others)]

    def keys(self, cell: Json) -> dict[str, Any]:
        """Return the keys of a cell by stage, the earliest first."""
        name = repr(cell)
        if name not in self._expanded:
            (self._expanded[name],) = expand(self._plan(cell))
        expanded = self._expanded[name]
        graph = compile_cells([expanded], self._facts)
        for each in graph.left_out:
            raise each.error
        (compiled,) = graph.cells
        recipes = list(dict.fromkeys(phase.recipe for phase in compiled.chain.phases))
        return {
            "pixels": [(recipe.pixels or recipe).key for recipe in recipes],
            "features": [recipe.key for recipe in recipes],
            "train": compiled.chain.states,
            "score": dict(compiled.score_keys),
            "result": compiled.result_key,
            "cell": expanded.cell_id,
        }

    def first_allowed(self, cells: Sequence[Json]) -> dict[str, Any] | None:
        """Return the keys of the first cell that the plan's rules allow, if there is one."""
        for cell in cells:
            try:
                return self.keys(cell)
            except FoodVisionError:
                continue
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("it's here")
    make_photos(folder / "photos", train=4, test=2)
    make_photos(folder / "others", train=4, test=2, seed=1)
    for name in ("net.pth", "other.pth"):
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture(scope="module")
def compilers(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Compiler]:
    home = Home(tmp_path_factory.mktemp("home"))
    return {name: Compiler(base, folder, home) for name, base in BASES.items()}


@pytest.fixture(params=BASES)
def compiler(request: pytest.FixtureRequest, compilers: dict[str, Compiler]) -> Compiler:
    return compilers[request.param]


@pytest.fixture(autouse=True)
def _a_processor_without_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "bfloat16_instructions", lambda: "")


def problems(compiler: Compiler, changes: Sequence[Change] | None = None) -> Iterator[str]:
    """Yield what is wrong with the keys: one sentence for each setting that they get wrong."""
    known: dict[str, dict[str, Any] | None] = {}
    for change in compiler.changes() if changes is None else changes:
        stage = stage_of(change.path)
        if stage is None:
            yield (
                f"{change.path}: a setting must have its stage in STAGES, this one has none. Say "
                "which key it changes first, or that it changes `nothing`, and why."
            )
            continue
        if repr(change.before) not in known:
            known[repr(change.before)] = compiler.first_allowed([change.before])
        before, after = known[repr(change.before)], compiler.first_allowed(change.after)
        if before is None or after is None:
            yield (
                f"{change.path}: must be changed alone, but none of {len(change.after)} other "
                "values is allowed. Give one in `examples`, or what it needs in CONTEXTS."
            )
            continue
        yield from _judged(change.path, stage, before, after, compiler)


def _judged(
    path: str, stage: str, before: dict[str, Any], after: dict[str, Any], compiler: Compiler
) -> Iterator[str]:
    if before["cell"] == after["cell"]:
        yield f"{path}: cells that differ in it must have different ids, they have the same"
    stages = [name for name in before if name != "cell"]
    changed = [name for name in stages if before[name] != after[name]]
    first = next(iter(changed), "nothing")
    is_augmented = "augment" in compiler.cell
    expected = "train" if stage == "features" and is_augmented and first == "train" else stage
    if first != expected:
        yield (
            f"{path}: the first key that it changes must be that of {stage}, it is that of {first}."
            " Put it into the inputs of that key, or correct STAGES."
        )
    elif changed and changed != stages[stages.index(first) :]:
        yield f"{path}: all keys behind that of {first} must change, only {changed} do"


def stage_of(path: str) -> str | None:
    return next((stage for pattern, stage in STAGES.items() if fnmatchcase(path, pattern)), None)


def test_every_setting_is_in_the_key_of_its_stage(compiler: Compiler) -> None:
    assert "\n".join(problems(compiler)) == ""


def test_changes_reach_every_corner(compiler: Compiler) -> None:
    paths = {change.path for change in compiler.changes()}
    assert {
        "seed",
        "data.count",
        "optimizer.sgd.nesterov",
        "transform.normalize.mean",
        "augment.random_crop.padding",
        "loss.cross_entropy.label_smoothing",
    } <= paths
    unused = {pattern for pattern in STAGES if not any(fnmatchcase(p, pattern) for p in paths)}
    assert unused == set()


def test_a_setting_that_nobody_listed_is_told(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(STAGES, "batch_size")
    (told,) = problems(compiler)
    assert told.startswith("batch_size: a setting must have its stage in STAGES, this one has none")


def test_a_key_that_forgets_any_input_is_found(compilers: dict[str, Compiler]) -> None:
    """Drop the inputs of all keys, one name after another: each time a setting is missed."""
    acting = [
        (compiler, change, _acting_inputs(compiler, change))
        for compiler in compilers.values()
        for change in compiler.changes()
    ]
    names = {name for _, _, inputs in acting for name in inputs} - NO_SETTING
    assert {"seed", "batch_size", "learning_rates", "weight_decay", "previous"} <= names
    unseen = []
    for name in sorted(names):
        with _keys_of(partial(_without, name=name)):
            tried = ((compiler, change) for compiler, change, inputs in acting if name in inputs)
            if not any(any(problems(compiler, [change])) for compiler, change in tried):
                unseen.append(name)
    assert not unseen, f"no setting acts through these inputs of keys alone: {', '.join(unseen)}"


def _acting_inputs(compiler: Compiler, change: Change) -> set[str]:
    """Return the names of the inputs of keys that are others after a change."""
    seen: list[set[tuple[str, str]]] = []
    for cells in ([change.before], change.after):
        noted: set[tuple[str, str]] = set()

        def note(value: Any, noted: set[tuple[str, str]] = noted) -> Any:
            noted.update(_inputs(value))
            return value

        with _keys_of(note):
            compiler.first_allowed(cells)
        seen.append(noted)
    return {name for name, _ in seen[0] ^ seen[1]}


@contextmanager
def _keys_of(changed: Callable[[Any], Any]) -> Iterator[None]:
    """Make all keys of what their inputs are changed to, for as long as the block lasts."""
    caches = [each for each in vars(graph_module).values() if hasattr(each, "cache_clear")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph_module, "digest", lambda value: digest(changed(value)))
        for cache in caches:
            cache.cache_clear()
        yield
    for cache in caches:
        cache.cache_clear()


def _inputs(value: Any) -> Iterator[tuple[str, str]]:
    """Yield names and values of inputs, those inside of others too."""
    if isinstance(value, dict):
        yield from ((name, repr(inner)) for name, inner in value.items())
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list | tuple):
            yield from _inputs(inner)


def _without(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner, name) for key, inner in value.items() if key != name}
    if isinstance(value, list | tuple):
        return [_without(inner, name) for inner in value]
    return value
