"""The plans that we ship, the first plan, the schema for editors, what they cost to read."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from foodvision.plan.cell_schema import CellSettings
from foodvision.plan.composites import composites
from foodvision.plan.editor_schema import editor_schema
from foodvision.plan.expand import expand
from foodvision.plan.init import starter_plan
from foodvision.plan.lint import lint
from foodvision.plan.load import load_plan
from foodvision.plan.paths import all_paths
from foodvision.plan.phases import phase_steps
from foodvision.plan.schema import Plan, RankBy
from foodvision.plan.training_schema import SgdSettings
from plans import shipped_plans

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
COURSE = "https://github.com/mrdbourke/pytorch-deep-learning/raw/main/data/pizza_steak_sushi"


def values(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


CELLS = {
    "architectures": 9,
    "augmentation": 5,
    "cifar10_transfer": 5,
    "data_amount": 6,
    "demo": 8,
    "effnet": 8,
    "ensemble": 6,
    "fashion_mnist": 15,
    "mnist_dropout": 5,
    "mobilenet": 8,
    "progressive": 3,
    "schedules": 15,
}

DEMO = values(shipped_plans()["demo"].read_text(encoding="utf-8"))
BASE = DEMO["base"]
WITHOUT_EPOCHS = {key: value for key, value in BASE.items() if key != "epochs"}


def test_all_shipped_plans_are_looked_at() -> None:
    assert shipped_plans().keys() == CELLS.keys()


@pytest.mark.parametrize("name", CELLS)
def test_a_shipped_plan_says_what_it_is_for(name: str) -> None:
    path = shipped_plans()[name]
    header = path.read_text(encoding="utf-8").partition("\nname:")[0]
    assert all(word in header for word in ("# What for:", "# Costs:", f"run plans/{name}.yaml"))
    plan = load_plan(path)
    assert plan.name == name
    assert len(expand(plan)) == CELLS[name]


def test_the_classic_plan() -> None:
    plan = load_plan(shipped_plans()["effnet"])
    assert {name: data.source for name, data in plan.data.items()} == {
        "pizza_10": f"{COURSE}.zip",
        "pizza_20": f"{COURSE}_20_percent.zip",
    }
    cells = expand(plan)
    assert {cell.settings.test.name for cell in cells} == {"pizza_10"}
    assert {cell.settings.model.arch for cell in cells} == {"efficientnet_b0", "efficientnet_b2"}
    assert [warning.rule for warning in lint(plan, cells)] == ["test-ranking"]


def test_each_mobilenet_cell_is_scored_on_its_own_data() -> None:
    cells = expand(load_plan(shipped_plans()["mobilenet"]))
    assert all(cell.settings.data == cell.settings.test for cell in cells)
    assert [cell.label for cell in cells][:2] == [
        "pizza_10 · mobilenet_v2 · 5 epochs",
        "pizza_10 · mobilenet_v2 · 10 epochs",
    ]
    assert {cell.settings.model.weights for cell in cells} == {
        "${FOODVISION_MOBILENET_V2}",
        "${FOODVISION_SQUEEZENET1_0}",
    }
    override = "grid.model.mobilenet_v2.weights=/some where/w.pth"
    (weights,) = {
        cell.settings.model.weights
        for cell in expand(load_plan(shipped_plans()["mobilenet"], [override]))
        if cell.settings.model.arch == "mobilenet_v2"
    }
    assert weights == "/some where/w.pth"


def test_the_three_networks_of_the_course_on_fashion_mnist() -> None:
    path = shipped_plans()["fashion_mnist"]
    cells = expand(load_plan(path))
    assert {(c.settings.model.arch, c.settings.model.hidden) for c in cells} == {
        ("linear", 10),
        ("mlp_relu", 10),
        ("tiny_vgg_padded", 10),
    }
    assert {(c.settings.batch_size, c.settings.epochs, c.settings.optimizer) for c in cells} == {
        (32, 3, SgdSettings(kind="sgd", lr=0.1))
    }
    assert [warning.rule for warning in lint(load_plan(path), cells)] == ["test-ranking"]
    (comment,) = [line for line in path.read_text(encoding="utf-8").splitlines() if "# dev" in line]
    timed = path.read_text(encoding="utf-8").replace(comment, comment.replace("# ", "", 1))
    assert len(expand(load_plan(timed))) == 2 * len(cells)


def test_schedules_differ_in_nothing_else() -> None:
    cells = expand(load_plan(shipped_plans()["schedules"]))
    kinds = ["constant", "step", "cosine", "cosine_restarts", "plateau"]
    assert [cell.settings.schedule.kind for cell in cells[::3]] == kinds
    plan = load_plan(shipped_plans()["schedules"], ["base.stop={patience: 5}"])
    assert all(cell.settings.stop for cell in expand(plan))
    assert lint(plan, expand(plan)) == []


def test_progressive_trainings_have_as_many_epochs() -> None:
    plan = load_plan(shipped_plans()["progressive"])
    cells = expand(plan)
    assert {cell.settings.epochs for cell in cells} == {6}
    sizes = [[step.settings.transform.size for step in phase_steps(c.settings)] for c in cells]  # type: ignore[union-attr]
    assert sizes == [[224], [64, 128, 224], [64, 128, 224]]
    assert lint(plan, cells) == []


def test_dropout_is_drawn_at_random() -> None:
    path = shipped_plans()["mnist_dropout"]
    few, many = expand(load_plan(path)), expand(load_plan(path, ["search.n=20"]))
    assert [cell.cell_id for cell in many[:5]] == [cell.cell_id for cell in few]
    drawn = [cell.settings.model.dropout or 0 for cell in many]
    assert 0.01 <= min(drawn) < 0.2 < 0.6 < max(drawn) <= 0.8
    assert {cell.settings.data.fraction for cell in many} == {0.2}


def test_architectures_differ_in_the_architecture_alone() -> None:
    plan = load_plan(shipped_plans()["architectures"])
    cells = expand(plan)
    assert len({cell.settings.model.arch for cell in cells}) == len(cells)
    assert len({cell.settings.model_copy(update={"model": None}) for cell in cells}) == 1
    assert lint(plan, cells) == []


def test_augmentation_differs_in_how_images_are_changed_alone() -> None:
    plan = load_plan(shipped_plans()["augmentation"])
    cells = expand(plan)
    plain = {"augment": "none", "mix": "none"}
    assert len({cell.settings.model_copy(update=plain) for cell in cells}) == 1
    assert [cell.label for cell in cells] == ["none", "standard", "strong", "mixup", "cutmix"]
    mixes = [cell.settings.mix for cell in cells]
    assert ["none" if mix == "none" else mix.kind for mix in mixes[2:]] == [
        "none", "mixup", "cutmix",
    ]  # fmt: skip
    assert lint(plan, cells) == []


def test_amounts_of_data_set_the_same_images_aside() -> None:
    plan = load_plan(shipped_plans()["data_amount"])
    cells = expand(plan)
    assert [cell.settings.data.count for cell in cells] == [100, 100, 500, 500, None, None]
    assert [cell.settings.model.weights for cell in cells] == ["DEFAULT", "none"] * 3
    assert {cell.settings.valid for cell in cells} == {0.1}
    assert lint(plan, cells) == []


def test_ensembles_are_chosen_and_weighed_without_the_test_set() -> None:
    plan = load_plan(shipped_plans()["ensemble"])
    cells = expand(plan)
    assert lint(plan, cells) == []
    found = composites(plan, cells)
    assert {each.kind for each in found} == {"tta", "mean", "weighted", "vote"}
    assert [len(each.candidates) for each in found] == [1] * (6 + 3) + [6] * 4
    (best,) = (each for each in found if each.top)
    assert (best.top, best.by, len(best.views)) == (3, "valid.accuracy", 2)
    assert plan.evaluate.latency


def test_the_page_of_results_says_what_its_tables_were_made_by() -> None:
    """Its commands are valid, and those that the script would run."""
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    experiments = runpy.run_path(str(ROOT / "benchmarks" / "results.py"))["EXPERIMENTS"]
    assert len(experiments) == page.count("```\nfoodvision run ")
    for name, experiment in experiments.items():
        plan = load_plan(shipped_plans()[experiment.plan], list(experiment.overrides))
        rows = [*expand(plan), *composites(plan, expand(plan))]
        table = page.partition(f"<!-- {name} -->")[2].partition("<!-- end -->")[0]
        assert experiment.command in table
        assert table.count("\n| ") == len(experiment.together(_made_up(rows))) + 2


def _made_up(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Return rows as `foodvision rank --json` gives them, with any figures."""
    figures = dict.fromkeys(("test_accuracy", "params_total", "seconds_alone"), 1.0)
    return [{"label": row.label, "is_collapsed": False, **figures} for row in rows]


def test_the_demo_needs_no_network_and_no_warning() -> None:
    plan = load_plan(shipped_plans()["demo"])
    cells = expand(plan)
    assert {data.source for data in plan.data.values()} == {"sklearn:digits"}
    assert {cell.settings.model.weights for cell in cells} == {"none"}
    assert lint(plan, cells) == []


@pytest.mark.parametrize(
    ("name", "folders", "split"),
    [('my food\'s "best" 食', ["pizza", "sushi"], 0.2), ("a", ["train", "test"], None)],
)
def test_the_first_plan_of_a_folder(
    tmp_path: Path, name: str, folders: list[str], split: float | None
) -> None:
    folder = tmp_path / name
    for part in folders:
        (folder / part).mkdir(parents=True)
    plan = load_plan(starter_plan(folder))
    cells = expand(plan)
    assert (plan.name, len(cells)) == (name, 4)
    assert plan.data[name].source == str(folder)
    assert plan.data[name].split == split
    assert lint(plan, cells) == []


def test_the_first_plan_of_a_folder_whose_name_is_none() -> None:
    assert 'source: "/data/b", ' in starter_plan(Path("/data/a/../b"))
    assert load_plan(starter_plan(Path("/"))).name == "images"
    assert load_plan(starter_plan(Path("/tmp/a\tb"))).name == "images"


# The schema for editors


@pytest.mark.parametrize(
    "text",
    [path.read_text(encoding="utf-8") for path in shipped_plans().values()]
    + [starter_plan(Path("/x"))],
    ids=[*shipped_plans(), "starter"],
)
def test_the_editor_accepts_our_plans(text: str) -> None:
    jsonschema.Draft202012Validator(editor_schema()).validate(values(text))


@pytest.mark.parametrize(
    "change",
    [
        {"augment": "standard"},
        {"augment": [{"kind": "random_crop", "padding": 0.5}, {"kind": "trivial_augment"}]},
        {"mix": {"kind": "either", "p": 0.5}},
    ],
    ids=str,
)
def test_the_editor_accepts_what_the_loader_accepts(change: dict[str, Any]) -> None:
    plan = {**DEMO, "base": {**BASE, **change}}
    load_plan(plan)
    jsonschema.Draft202012Validator(editor_schema()).validate(plan)


@pytest.mark.parametrize(
    "change",
    [
        {"nmae": "x"},
        {"base": {**BASE, "augment": "standart"}},
        {"base": {**BASE, "augment": [{"kind": "random_crop", "padding": 1.5}]}},
        {"base": {**BASE, "mix": {"kind": "mix_up"}}},
        {"grid": {"modle": ["x"]}},
        {"grid": {"epochs": []}},
        {"zip": [{"epoch": [1]}]},
        {"exclude": [{"epoch": 1}]},
        {"when": {"epochs": {"optimizer.knd": "sgd"}}},
        {"rank": {"by": "test.acc"}},
        {"save": "some"},
        {"seeds": "three"},
        {"base": {}},
        {"phases": []},
        {"base": {**BASE, "phases": [{"epochs": 1}]}},
        {"base": {**WITHOUT_EPOCHS, "phases": []}},
        {"base": {**WITHOUT_EPOCHS, "phases": [{"batch_size": 3}]}},
        {"base": {**WITHOUT_EPOCHS, "phases": [{"epochs": 3, "modle": {}}]}},
        {"base": {**WITHOUT_EPOCHS, "phases": [{"epochs": 3, "optimizer_state": "kept"}]}},
    ],
    ids=str,
)
def test_the_editor_refuses_what_the_loader_refuses(change: dict[str, Any]) -> None:
    plan = {**DEMO, **change}
    assert list(jsonschema.Draft202012Validator(editor_schema()).iter_errors(plan))


def test_the_editor_accepts_phases() -> None:
    phases = [{"epochs": 1}, {"epochs": 2, "optimizer.lr": 0.1, "optimizer_state": "keep"}]
    plan = {**DEMO, "grid": {}, "base": {**WITHOUT_EPOCHS, "phases": phases}}
    jsonschema.validate(plan, editor_schema(), jsonschema.Draft202012Validator)
    assert load_plan(plan).base.epochs == 3


def test_the_editor_knows_every_path_and_says_what_keys_mean() -> None:
    schema = editor_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert set(schema["properties"]) == set(Plan.model_fields)
    assert set(schema["properties"]["grid"]["properties"]) == set(all_paths())
    freeze = schema["$defs"]["ModelSettings"]["properties"]["freeze"]
    assert freeze["description"].startswith("`none`, `backbone`")
    json.dumps(schema)


# What others rely on


def test_rankings_know_which_end_is_better() -> None:
    up = {key for key in RankBy if key.direction == "max"}
    assert up == {RankBy.TEST_ACCURACY, RankBy.VALID_ACCURACY, RankBy.TRAIN_ACCURACY}
    assert [key.part for key in RankBy] == [
        "test", "test", "valid", "valid", "train", "train", None, None,
    ]  # fmt: skip


def test_every_default_of_a_cell_is_valid() -> None:
    required = {name for name, f in CellSettings.model_fields.items() if f.is_required()}
    assert required == {
        "data", "test", "model", "transform", "batch_size", "epochs", "optimizer",
    }  # fmt: skip


def test_reading_a_plan_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from foodvision.plan.load import load_plan\n"
        "from foodvision.plan.expand import expand\n"
        "from foodvision.plan.lint import lint\n"
        "plan = load_plan(Path(sys.argv[1])); lint(plan, expand(plan))\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-c", code, str(shipped_plans()["effnet"])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"torch", "torchvision", "numpy", "prefect", "duckdb", "pyarrow", "rapidfuzz", "rich"}
    assert not heavy & set(done.stdout.split())
