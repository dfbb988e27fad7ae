"""TensorBoard files of cells and architectures, written directly.

One cell is one run with sub-runs: `<cell>/train`, `<cell>/valid` and `<cell>/test` hold the same
tags, `loss` and `accuracy`. TensorBoard draws equal tags of different runs into one chart, so train
and test stand together in the Time Series, Scalars and Custom Scalars tabs alike; tags of their own
(`loss/train`, `loss/test`) would share a chart in the last one only. The cell's own run holds what
it has once: the learning rate, the configuration as text, the hyperparameters and the final
metrics. No run writes an HParams "experiment": TensorBoard would take the first it finds for all
plans, while without one it gathers the columns from every cell.

torch's SummaryWriter starts a thread and a queue per folder, and imports torch; a plan of a
thousand cells is written after training, all at once. So events are serialised here, through
TensorBoard's own messages and record format. Its own writer of records computes checksums in
Python, a microsecond for each byte; Google's library does the same in its processor's words.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import re
import struct
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google_crc32c import value as crc32c
from tensorboard.compat.proto.event_pb2 import Event, SourceMetadata
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as layout_metadata
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.text import metadata as text_metadata

from foodvision.files import replacing
from foodvision.report.tables import markdown_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from foodvision.plan.summary import Operation

SPLITS = ("train", "valid", "test")

_MAX_NAME_BYTES = 120  # Linux allows 255, Windows 260 for a whole path
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]+')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_FINAL = "final"
_STEP_CHARTS = (
    ("loss of each step", "step/loss"),
    ("gradient norm of each step", "step/gradient_norm"),
)


@dataclass(frozen=True)
class EpochScalars:
    """What one epoch measured; None where it was not.

    Attributes:
        epoch: from 1.
        train_loss: mean over samples; NaN or infinite where it diverged.
        train_accuracy: in [0, 1].
        valid_loss: as above.
        valid_accuracy: as above.
        test_loss: as above.
        test_accuracy: as above.
        learning_rate: of the epoch's last step.
        group_rates: the same by group of blocks, where they learn at different rates.
        seconds: that the epoch took.
    """

    epoch: int
    train_loss: float | None = None
    train_accuracy: float | None = None
    valid_loss: float | None = None
    valid_accuracy: float | None = None
    test_loss: float | None = None
    test_accuracy: float | None = None
    learning_rate: float | None = None
    seconds: float = 0.0
    group_rates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StepScalars:
    """What an optimiser step saw; None where it was not noted.

    Attributes:
        step: from 1, over the whole training.
        epoch: that it belongs to, from 1.
        loss: mean over its images; NaN or infinite where it diverged.
        gradient_norm: L2 norm of all gradients, before they were cut.
        learning_rate: of a group whose factor is 1.
        group_rates: by group of blocks, where they learn at different rates.
    """

    step: int
    epoch: int
    loss: float
    gradient_norm: float | None
    learning_rate: float
    group_rates: Mapping[str, float] = field(default_factory=dict)


def run_folder(runs_root: Path, date: dt.date, plan: str, model: str, rest: str) -> Path:
    """Return `<runs_root>/<YYYY-MM-DD>/<plan>/<model>/<rest>`, names made safe for every disk.

    Different names stay different: where a name had to be changed, a digest of it follows.

    Args:
        runs_root: the home's `runs/`.
        date: of the run.
        plan: the plan's name.
        model: the cell's architecture, or its label on the model axis.
        rest: the rest of the cell's label; where it is empty, the folder is the model's.
    """
    folder = runs_root / date.isoformat() / _safe(plan) / _safe(model)
    return folder / _safe(rest) if rest.strip() else folder


def graph_folder(runs_root: Path, date: dt.date, plan: str, arch: str) -> Path:
    """Return where the graph of an architecture goes: `<runs_root>/<date>/<plan>/graph <arch>`."""
    return runs_root / date.isoformat() / _safe(plan) / _safe(f"graph {arch}")


def pictures_folder(runs_root: Path, date: dt.date, plan: str) -> Path:
    """Return where the best model's pictures go: `<runs_root>/<date>/<plan>/best model`."""
    return runs_root / date.isoformat() / _safe(plan) / "best model"


def system_folder(runs_root: Path, date: dt.date, plan: str, run_id: str) -> Path:
    """Return where a run's system metrics go: `<runs_root>/<date>/<plan>/system <run>`."""
    return runs_root / date.isoformat() / _safe(plan) / _safe(f"system {run_id[:8]}")


def write_system(
    folder: Path, samples: Sequence[tuple[dt.datetime, Mapping[str, float | None]]]
) -> None:
    """Write what a machine was seen to do while a run went on; what was there before goes.

    Args:
        folder: see `system_folder`.
        samples: when (with a time zone), and figures by name; ascending. Steps count from 0; a
            figure that is None is left out.

    Raises:
        OSError: the folder cannot be written.
    """
    events = []
    for step, (at, figures) in enumerate(samples):
        values = [_scalar(f"system/{name}", value) for name, value in _known(figures)]
        events.append(_event(at.timestamp(), step, values))
    _replace_events(folder, events, samples[0][0].timestamp() if samples else 0.0)


def write_cell(
    folder: Path,
    *,
    epochs: Sequence[EpochScalars],
    config: Mapping[str, Any],
    hparams: Mapping[str, Any],
    final: Mapping[str, float | None],
    started_at: dt.datetime,
    succeeded: bool = True,
    steps: Sequence[StepScalars] = (),
) -> None:
    """Write everything TensorBoard shows of one cell; what was there of it before goes.

    Equal arguments give equal bytes.

    Args:
        folder: of the cell, see `run_folder`.
        epochs: ascending.
        config: the cell's configuration, nested; becomes a table in the Text tab.
        hparams: flat; numbers, booleans and strings keep their type, the rest becomes text.
        final: final metrics, such as `test_accuracy`; None is left out.
        started_at: when the cell began, with its time zone.
        succeeded: whether the cell ended well.
        steps: of its epochs, ascending, as far as they were noted.

    Raises:
        ValueError: `started_at` has no time zone.
        OSError: the folder cannot be written.
    """
    if started_at.tzinfo is None:
        raise ValueError(f"started_at needs a time zone, got {started_at.isoformat()}; use UTC")
    started = started_at.timestamp()
    times = _end_times(epochs, started)
    ended = times[-1] if times else started
    last_epoch = epochs[-1].epoch if epochs else 0
    layout = _layout(has_steps=bool(steps))
    cell = [
        _event(started, 0, [_text("config", _config_table(config)), layout]),
        _event(started, 0, [_session_start(hparams, started)]),
        *_scalar_events(epochs, times, {"learning_rate": "learning_rate"}),
        *_group_rate_events(epochs, times),
        *_step_events(steps, dict(zip((each.epoch for each in epochs), times, strict=True))),
        _event(ended, last_epoch, [_scalar(f"{_FINAL}/{name}", v) for name, v in _known(final)]),
        _event(ended, last_epoch, [_session_end(ended, succeeded=succeeded)]),
    ]
    _replace_events(folder, cell, started)
    for split in SPLITS:
        fields = {f"{split}_loss": "loss", f"{split}_accuracy": "accuracy"}
        _replace_events(folder / split, _scalar_events(epochs, times, fields), started)


def write_pictures(
    folder: Path, pictures: Mapping[str, Path], *, about: str, at: dt.datetime
) -> None:
    """Write pictures for the Images tab, and what they show for the Text tab.

    What was there before goes. Equal arguments give equal bytes.

    Args:
        folder: see `pictures_folder`.
        pictures: PNG files by the tag that they get.
        about: whose they are, in Markdown.
        at: when they were drawn, with its time zone.

    Raises:
        OSError: a picture cannot be read, or the folder cannot be written.
    """
    time = at.timestamp()
    shown = [_picture(tag, path) for tag, path in pictures.items()]
    events = [_event(time, 0, [_text("about", about)]), *(_event(time, 0, [one]) for one in shown)]
    _replace_events(folder, events, time)


def write_graph(folder: Path, operations: Sequence[Operation]) -> None:
    """Write a model's graph; an older one in the folder goes.

    Args:
        folder: see `graph_folder`.
        operations: of the model, in order.

    Raises:
        OSError: the folder cannot be written.
    """
    graph = GraphDef(node=[_graph_node(operation) for operation in operations])
    now = dt.datetime.now(dt.UTC).timestamp()
    event = Event(wall_time=now, graph_def=graph.SerializeToString(deterministic=True))
    _replace_events(folder, [event], now)


def _graph_node(operation: Operation) -> NodeDef:
    node = NodeDef(name=operation.name, op=operation.kind, input=operation.inputs)
    told = {"settings": operation.detail, "parameters": f"{operation.params:,}"}
    for name, value in told.items():
        if value not in ("", "0"):
            node.attr[name].s = value.encode()
    if operation.output_shape is not None:
        shape = node.attr["_output_shapes"].list.shape.add()
        for length in operation.output_shape:
            shape.dim.add(size=length)
    return node


def _safe(name: str) -> str:
    safe = _UNSAFE.sub("-", unicodedata.normalize("NFC", name)).strip(" .")
    safe = safe.encode("utf-8", "replace").decode()
    if len(safe.encode()) > _MAX_NAME_BYTES:
        safe = safe.encode()[:_MAX_NAME_BYTES].decode(errors="ignore").rstrip(" .")
    if safe == name and not _RESERVED.fullmatch(safe):
        return safe
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe} {digest}".strip()


def _end_times(epochs: Sequence[EpochScalars], started: float) -> list[float]:
    times, now = [], started
    for epoch in epochs:
        now += epoch.seconds
        times.append(now)
    return times


def _scalar_events(
    epochs: Sequence[EpochScalars], times: Sequence[float], fields: Mapping[str, str]
) -> list[Event]:
    """Return one event per epoch with the given fields under the given tags; without any, none."""
    events = []
    for epoch, time in zip(epochs, times, strict=True):
        known = [(tag, getattr(epoch, field)) for field, tag in fields.items()]
        values = [_scalar(tag, value) for tag, value in known if value is not None]
        if values:
            events.append(_event(time, epoch.epoch, values))
    return events


def _group_rate_events(epochs: Sequence[EpochScalars], times: Sequence[float]) -> list[Event]:
    return [
        _event(
            time,
            epoch.epoch,
            [_scalar(f"learning_rate/{name}", rate) for name, rate in epoch.group_rates.items()],
        )
        for epoch, time in zip(epochs, times, strict=True)
        if epoch.group_rates
    ]


def _step_events(steps: Sequence[StepScalars], ends: Mapping[int, float]) -> Iterator[Event]:
    """Yield an event per step; all of an epoch bear the time of its end."""
    for step in steps:
        figures = {
            "loss": step.loss,
            "gradient_norm": step.gradient_norm,
            "learning_rate": step.learning_rate,
            **{f"learning_rate/{name}": rate for name, rate in step.group_rates.items()},
        }
        values = [_scalar(f"step/{name}", value) for name, value in _known(figures)]
        yield _event(ends[step.epoch], step.step, values)


def _event(time: float, step: int, values: Sequence[Summary.Value]) -> Event:
    return Event(wall_time=time, step=step, summary=Summary(value=values))


def _scalar(tag: str, value: float) -> Summary.Value:
    return Summary.Value(tag=tag, simple_value=value)


def _known(metrics: Mapping[str, float | None]) -> Iterator[tuple[str, float]]:
    return ((name, float(value)) for name, value in metrics.items() if value is not None)


def _picture(tag: str, path: Path) -> Summary.Value:
    from PIL import Image

    with Image.open(path) as opened:
        width, height = opened.size
        channels = len(opened.getbands())
    content = path.read_bytes()
    image = Summary.Image(
        height=height, width=width, colorspace=channels, encoded_image_string=content
    )
    return Summary.Value(tag=tag, image=image)


def _text(tag: str, text: str) -> Summary.Value:
    tensor = _string_tensor(text.encode(), TensorShapeProto.Dim(size=1))
    metadata = text_metadata.create_summary_metadata(display_name="", description="")
    return Summary.Value(tag=tag, metadata=metadata, tensor=tensor)


def _layout(*, has_steps: bool) -> Summary.Value:
    """Return the layout of the Custom Scalars tab; TensorBoard merges those of all runs."""
    charts = [
        layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=[f"^{tag}$"]))
        for title, tag in (
            ("loss, train and test", "loss"),
            ("accuracy, train and test", "accuracy"),
            ("learning rate", "learning_rate(/.*)?"),
            *(_STEP_CHARTS if has_steps else ()),
        )
    ]
    layout = layout_pb2.Layout(category=[layout_pb2.Category(title="FoodVision", chart=charts)])
    return Summary.Value(
        tag=layout_metadata.CONFIG_SUMMARY_TAG,
        metadata=layout_metadata.create_summary_metadata(),
        tensor=_string_tensor(layout.SerializeToString()),
    )


def _string_tensor(content: bytes, *dims: TensorShapeProto.Dim) -> TensorProto:
    shape = TensorShapeProto(dim=dims)
    return TensorProto(dtype=DT_STRING, string_val=[content], tensor_shape=shape)


def _session_start(hparams: Mapping[str, Any], started: float) -> Summary.Value:
    info = plugin_data_pb2.SessionStartInfo(start_time_secs=started)
    for name, value in hparams.items():
        if isinstance(value, bool):
            info.hparams[name].bool_value = value
        elif isinstance(value, (int, float)) and math.isfinite(value):
            info.hparams[name].number_value = value
        else:
            info.hparams[name].string_value = "none" if value is None else str(value)
    return _session(hparams_metadata.SESSION_START_INFO_TAG, session_start_info=info)


def _session_end(ended: float, *, succeeded: bool) -> Summary.Value:
    status = api_pb2.STATUS_SUCCESS if succeeded else api_pb2.STATUS_FAILURE
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=ended)
    return _session(hparams_metadata.SESSION_END_INFO_TAG, session_end_info=info)


def _session(tag: str, **info: Any) -> Summary.Value:
    content = plugin_data_pb2.HParamsPluginData(**info)
    metadata: SummaryMetadata = hparams_metadata.create_summary_metadata(content)
    return Summary.Value(tag=tag, metadata=metadata, tensor=hparams_metadata.NULL_TENSOR)


def _config_table(config: Mapping[str, Any]) -> str:
    rows = [(path, str(value)) for path, value in _flat(config)]
    return markdown_table(("setting", "value"), rows, left=(0, 1))


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{path}.")
        else:
            yield path, value


def _replace_events(folder: Path, events: Sequence[Event], started: float) -> None:
    """Leave exactly one event file with `events` in the folder, or none without events."""
    if not events:
        _remove_events(folder)
        return
    first = Event(
        wall_time=started,
        file_version="brain.Event:2",
        source_metadata=SourceMetadata(writer="foodvision.report.tensorboard"),
    )
    path = folder / f"events.out.tfevents.{int(started)}.foodvision"
    with replacing(path) as neighbour, neighbour.open("wb") as file:
        for event in (first, *events):
            file.write(_record(event.SerializeToString(deterministic=True)))
    _remove_events(folder, but=path)


def _record(content: bytes) -> bytes:
    """Frame an event as TensorFlow's `tf_record` does: length and content, each with its checksum.

    https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
    """
    length = struct.pack("<Q", len(content))
    return length + _checksum(length) + content + _checksum(content)


def _checksum(content: bytes) -> bytes:
    """Return the masked CRC-32C, so that a checksum of checksums is none."""
    crc = crc32c(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _remove_events(folder: Path, *, but: Path | None = None) -> None:
    for path in folder.glob("*tfevents*"):
        if path != but:
            path.unlink()
