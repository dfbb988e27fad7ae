from __future__ import annotations

import contextlib
import datetime as dt
import json
import math
import re
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from foodvision.plan.summary import Operation
from foodvision.report.tensorboard import (
    EpochScalars,
    StepScalars,
    graph_folder,
    pictures_folder,
    run_folder,
    system_folder,
    write_cell,
    write_graph,
    write_pictures,
    write_system,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
STARTED = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
DAY = dt.date(2026, 3, 1)
EPOCHS = [
    EpochScalars(
        epoch,
        train_loss=1 / epoch,
        train_accuracy=0.5 + epoch / 10,
        test_loss=2 / epoch,
        test_accuracy=0.4 + epoch / 10,
        learning_rate=0.1**epoch,
        seconds=10.0,
    )
    for epoch in (1, 2, 3)
]

_GRAPH = [
    Operation("input", "input", (), (-1, 8), "", 0),
    Operation(
        "Net/head [Linear]",
        "Linear",
        ("input",),
        (-1, 1200),
        "in_features=8, out_features=1200",
        10800,
    ),
    Operation("output", "output", ("Net/head [Linear]",), None, "", 0),
]


def _write(folder: Path, **changes: Any) -> None:
    arguments: dict[str, Any] = {
        "epochs": EPOCHS,
        "config": {"model": {"arch": "tiny_vgg", "weights": "none"}, "note": "a|b <b>*c*</b>"},
        "hparams": {"model.arch": "tiny_vgg", "epochs": 3, "nesterov": True, "hidden": None},
        "final": {"test_accuracy": 0.7, "test_loss": 0.66, "valid_loss": None},
        "started_at": STARTED,
    }
    write_cell(folder, **{**arguments, **changes})


def _read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def _scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, round(event.value, 6)) for event in _read(folder).Scalars(tag)]


def _event_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_steps_stand_on_an_axis_of_their_own(folder: Path) -> None:
    steps = [
        StepScalars(step, 1 + step // 3, 1 / step, None, 0.1 * step, {"head": 0.01 * step})
        for step in (1, 2, 3, 4)
    ]
    steps[3] = replace(steps[3], loss=math.inf, gradient_norm=2.5)
    _write(folder, steps=steps)
    read = _read(folder)
    assert _scalars(folder, "step/loss")[:2] == [(1, 1.0), (2, 0.5)]
    assert read.Scalars("step/loss")[3].value == math.inf
    assert _scalars(folder, "step/gradient_norm") == [(4, 2.5)]
    assert _scalars(folder, "step/learning_rate/head")[2] == (3, 0.03)
    assert _scalars(folder, "learning_rate") == [(1, 0.1), (2, 0.01), (3, 0.001)]
    times = [event.wall_time - STARTED.timestamp() for event in read.Scalars("step/loss")]
    assert times == [10.0, 10.0, 20.0, 20.0]
    layout = read.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]
    assert b"^step/loss$" in layout


def test_train_and_test_hold_the_same_tags_in_runs_of_their_own(folder: Path) -> None:
    _write(folder)
    for split in ("train", "test"):
        assert set(_read(folder / split).Tags()["scalars"]) == {"loss", "accuracy"}
    assert _scalars(folder / "test", "loss") == [(1, 2.0), (2, 1.0), (3, 0.666667)]
    assert _scalars(folder / "train", "accuracy") == [(1, 0.6), (2, 0.7), (3, 0.8)]
    assert not (folder / "valid").exists()


def test_the_cell_itself_holds_learning_rate_and_final_metrics(folder: Path) -> None:
    _write(folder)
    assert _scalars(folder, "learning_rate") == [(1, 0.1), (2, 0.01), (3, 0.001)]
    assert _scalars(folder, "final/test_accuracy") == [(3, 0.7)]
    assert "final/valid_loss" not in _read(folder).Tags()["scalars"]


def test_groups_of_blocks_show_their_rates_beside_the_optimizers(folder: Path) -> None:
    epochs = [
        EpochScalars(epoch, learning_rate=0.1, group_rates={"stem-layer2": 0.01 / epoch, "fc": 0.1})
        for epoch in (1, 2)
    ]
    _write(folder, epochs=epochs)
    assert _scalars(folder, "learning_rate") == [(1, 0.1), (2, 0.1)]
    assert _scalars(folder, "learning_rate/stem-layer2") == [(1, 0.01), (2, 0.005)]
    assert _scalars(folder, "learning_rate/fc") == [(1, 0.1), (2, 0.1)]


def test_epochs_stand_at_the_time_when_they_ended(folder: Path) -> None:
    _write(folder)
    times = [event.wall_time for event in _read(folder / "test").Scalars("loss")]
    assert times == [STARTED.timestamp() + seconds for seconds in (10, 20, 30)]


def test_the_configuration_is_a_table_that_reads_as_it_was(folder: Path) -> None:
    _write(folder)
    (event,) = _read(folder).Tensors("config")
    (text,) = make_ndarray(event.tensor_proto)
    assert text.decode().splitlines() == [
        "| setting | value |",
        "| :--- | :--- |",
        "| model.arch | tiny\\_vgg |",
        "| model.weights | none |",
        "| note | a\\|b \\<b\\>\\*c\\*\\</b\\> |",
    ]


def test_writing_again_replaces_what_was_there(folder: Path) -> None:
    _write(folder, started_at=STARTED - dt.timedelta(days=1))
    with_valid = [EpochScalars(1, valid_loss=1.0, valid_accuracy=0.5, train_loss=1.0)]
    _write(folder, epochs=with_valid)
    assert _scalars(folder / "valid", "accuracy") == [(1, 0.5)]
    _write(folder)
    assert len(_scalars(folder / "train", "loss")) == 3
    assert [path.parent.relative_to(folder) for path in _event_files(folder)] == [
        Path(),
        Path("test"),
        Path("train"),
    ]


def test_equal_cells_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _write(tmp_path / name)
    first, second = (
        [path.read_bytes() for path in _event_files(tmp_path / name)] for name in ("a", "b")
    )
    assert first == second


def test_a_diverged_cell_keeps_its_nan(folder: Path) -> None:
    _write(folder, epochs=[EpochScalars(1, train_loss=math.nan, train_accuracy=0.1)])
    ((step, loss),) = _scalars(folder / "train", "loss")
    assert step == 1
    assert math.isnan(loss)


def test_a_cell_without_epochs_has_its_configuration_all_the_same(folder: Path) -> None:
    _write(folder, epochs=[], final={}, succeeded=False)
    assert "config" in _read(folder).Tags()["tensors"]
    assert not (folder / "train").exists()


def test_a_time_without_a_zone_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="needs a time zone, got 2026-03-01T12:00:00; use UTC"):
        _write(folder, started_at=STARTED.replace(tzinfo=None))


def test_pictures_are_the_files_themselves(folder: Path, tmp_path: Path) -> None:
    _picture(tmp_path / "a.png", "red")
    for colour in ("blue", "green"):
        _picture(tmp_path / "b.png", colour)
        given = {"predictions": tmp_path / "a.png", "confusion matrix": tmp_path / "b.png"}
        write_pictures(folder, given, about="**ピザ**", at=STARTED)
    found = _read(folder)
    assert found.Tags()["images"] == ["predictions", "confusion matrix"]
    (shown,) = found.Images("confusion matrix")
    assert shown.encoded_image_string == (tmp_path / "b.png").read_bytes()
    assert (shown.width, shown.height) == (6, 4)


def test_what_the_machine_did_is_shown_over_time(tmp_path: Path) -> None:
    folder = system_folder(tmp_path, DAY, "effnet", "0c51d9b2-7d1")
    assert folder.name == "system 0c51d9b2"
    later = STARTED + dt.timedelta(seconds=5)
    samples = [
        (STARTED, {"cpu_percent": 50.0, "gpu_percent": None}),
        (later, {"cpu_percent": 75.0, "gpu_percent": None}),
    ]
    write_system(folder, samples)
    found = _read(folder)
    assert found.Tags()["scalars"] == ["system/cpu_percent"]
    assert [(e.wall_time, e.step, e.value) for e in found.Scalars("system/cpu_percent")] == [
        (STARTED.timestamp(), 0, 50.0),
        (later.timestamp(), 1, 75.0),
    ]


def _picture(path: Path, colour: str) -> Path:
    Image.new("RGB", (6, 4), colour).save(path)
    return path


@contextlib.contextmanager
def _server(logdir: Path) -> Iterator[str]:
    """Run a real TensorBoard on loopback."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir)]
    command += ["--host", "127.0.0.1", "--port", "0", "--load_fast", "false"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            found = (re.search(r"http://127\.0\.0\.1:\d+", line) for line in lines)
            yield next(match[0] for match in found if match)
        finally:
            process.terminate()


def _ask(address: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if body is not None else {}
    request = urllib.request.Request(address, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_a_real_server_shows_scalars_text_layout_hparams_and_graph(tmp_path: Path) -> None:
    for seed in (1, 2):
        folder = run_folder(tmp_path, DAY, "effnet", "tiny_vgg", f"ピザ · seed {seed}")
        _write(folder, hparams={"seed": seed, "arch": "tiny_vgg"}, final={"test_accuracy": 0.5})
    write_graph(graph_folder(tmp_path, DAY, "effnet", "tiny"), _GRAPH)
    shown = {"predictions": _picture(tmp_path / "p.png", "red")}
    write_pictures(pictures_folder(tmp_path, DAY, "effnet"), shown, about="best", at=STARTED)
    run = "2026-03-01/effnet/tiny_vgg/ピザ · seed 1"
    with _server(tmp_path) as address:
        while len(_ask(f"{address}/data/runs")) < 8:  # until it has read all (pytest's limit ends)
            pass
        tags = _ask(f"{address}/data/plugin/scalars/tags")
        assert set(tags[f"{run}/train"]) == set(tags[f"{run}/test"]) == {"loss", "accuracy"}
        assert _ask(f"{address}/data/plugin/text/tags")[run] == ["config"]
        layout = _ask(f"{address}/data/plugin/custom_scalars/layout")
        charts = [chart["multiline"]["tag"] for chart in layout["category"][0]["chart"]]
        assert charts == [["^loss$"], ["^accuracy$"], ["^learning_rate(/.*)?$"]]
        images = _ask(f"{address}/data/plugin/images/tags")
        assert list(images["2026-03-01/effnet/best model"]) == ["predictions"]
        graphs = _ask(f"{address}/data/plugin/graphs/info")
        assert list(graphs) == ["2026-03-01/effnet/graph tiny"]
        drawn = f"{address}/data/plugin/graphs/graph?run={quote('2026-03-01/effnet/graph tiny')}"
        with urllib.request.urlopen(drawn, timeout=60) as answer:
            assert b'name: "Net/head [Linear]"' in answer.read()
        groups = _ask(f"{address}/data/plugin/hparams/session_groups", _GROUPS)["sessionGroups"]
    assert [group["hparams"] for group in groups] == [
        {"seed": seed, "arch": "tiny_vgg"} for seed in (1, 2)
    ]
    metrics = {
        (metric["name"]["group"], metric["name"]["tag"]): metric["value"]
        for metric in groups[0]["metricValues"]
    }
    assert metrics["", "final/test_accuracy"] == 0.5
    assert metrics["test", "loss"] == pytest.approx(2 / 3)
    session = groups[0]["sessions"][0]
    assert session["status"] == "STATUS_SUCCESS"
    assert session["endTimeSecs"] - session["startTimeSecs"] == 30


_GROUPS = {
    "experimentName": "",
    "allowedStatuses": ["STATUS_SUCCESS"],
    "colParams": [],
    "startIndex": 0,
    "sliceSize": 10,
}


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("effnet", "b0", "pizza_20 · 10 epochs"), "effnet/b0/pizza_20 · 10 epochs"),
        (("effnet", "b0", ""), "effnet/b0"),
        (("ピザ", 'it\'s "b0"', "$x$"), "ピザ/it's -b0- c5610db4/$x$"),
    ],
)
def test_run_folders_follow_the_labels(names: tuple[str, str, str], wanted: str) -> None:
    assert run_folder(Path("runs"), DAY, *names) == Path("runs/2026-03-01") / wanted


@pytest.mark.parametrize("name", ["../evil", "..", ".", "/etc", "a/../../b", "C:\\x", "nul", "x."])
def test_no_name_leaves_the_runs_folder(name: str, tmp_path: Path) -> None:
    folder = run_folder(tmp_path, DAY, name, name, name)
    assert len(folder.relative_to(tmp_path).parts) == 4
    assert folder.resolve().is_relative_to(tmp_path.resolve())
    folder.mkdir(parents=True)


_NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300).filter(
    str.strip
)


@given(_NAMES, _NAMES)
def test_different_labels_have_different_folders(one: str, other: str) -> None:
    first, second = (run_folder(Path("r"), DAY, "p", "m", name).name for name in (one, other))
    assert (first == second) == (one == other)
    assert len(first.encode()) <= 255
    assert not set(first) & set('<>:"/\\|?*\0')


def test_the_graph_is_written_once_with_shapes_settings_and_parameters(folder: Path) -> None:
    write_graph(folder, _GRAPH)
    write_graph(folder, _GRAPH)
    (file,) = folder.iterdir()
    assert "tfevents" in file.name
    nodes = {node.name: node for node in _read(folder).Graph().node}
    assert list(nodes) == [operation.name for operation in _GRAPH]
    layer = nodes["Net/head [Linear]"]
    assert (layer.op, list(layer.input)) == ("Linear", ["input"])
    assert layer.attr["settings"].s == b"in_features=8, out_features=1200"
    assert layer.attr["parameters"].s == b"10,800"
    (shape,) = layer.attr["_output_shapes"].list.shape
    assert [dim.size for dim in shape.dim] == [-1, 1200]
    assert "_output_shapes" not in nodes["output"].attr
    assert "parameters" not in nodes["input"].attr


def test_writing_cells_needs_neither_torch_nor_matplotlib(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import datetime as dt;"
        "from foodvision.report.tensorboard import EpochScalars, write_cell;"
        "write_cell(Path(sys.argv[1]), epochs=[EpochScalars(1, train_loss=1.0)], config={},"
        " hparams={}, final={}, started_at=dt.datetime.now(dt.timezone.utc));"
        "bad = {'torch', 'matplotlib', 'tensorflow'} & set(sys.modules); assert not bad, bad"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
