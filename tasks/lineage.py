"""Where a model comes from: from its file back to the digests of the images, step by step.

Nothing is recorded for it: journals say what a run asked for, manifests of the store what each
stage was made of.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foodvision.data.datasets import open_dataset
from foodvision.data.selection import select
from foodvision.errors import StoreError
from foodvision.plan.graph import score_key
from foodvision.report.graphs import Box, draw_graph
from foodvision.stages.curves import told_accuracy
from foodvision.store import Entry, Store
from tasks.journal import journals, read_journal
from tasks.records import latest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from foodvision.home import Home
    from warehouse.reading import Result

Event = Mapping[str, Any]

_SHORT = 12
_STAGES = {"train": "a state", "score": "a score", "dataset": "a data set"}


@dataclass(frozen=True)
class Node:
    """A thing that something was made of.

    Attributes:
        id: names it in the graph: its kind, and the beginning of its key.
        kind: model, result, epoch, run, score, state, rows, weights, images or dataset.
        key: in full; `None` where it has none.
        title: for people, short.
        facts: JSON values.
    """

    id: str
    kind: str
    key: str | None
    title: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Lineage:
    """A graph without cycles, the model (or the epoch that was asked for) first.

    Attributes:
        nodes: each before what it was made of.
        edges: ids of what was made, and of what it was made of.
    """

    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "nodes": [
                {"id": n.id, "kind": n.kind, "key": n.key, "title": n.title, **n.facts}
                for n in self.nodes
            ],
            "edges": [{"from": made, "to": source} for made, source in self.edges],
        }


def trace(result: Result, home: Home, *, epoch: int | None = None) -> Lineage:
    """Follow a result back to the images.

    Args:
        result: whose lineage.
        home: that it lies in.
        epoch: follow the state after this epoch; by default, the result.

    Raises:
        StoreError: the run's journal, or a stage, is no longer kept; or there is no such epoch.
    """
    builder = _Builder(result.run_id, home)
    if epoch is None:
        builder.result(result)
    else:
        builder.epoch(result, epoch)
    return Lineage(tuple(builder.nodes.values()), tuple(builder.edges))


def image_list(node: Node, home: Home) -> list[dict[str, str]]:
    """Return path and sha256 of every image behind a node of the kind `images`.

    Raises:
        StoreError: the data set is no longer kept.
    """
    dataset = open_dataset(Store(home.store), node.facts["dataset"])
    share: dict[str, Any] = dict(node.facts["share"])
    chosen = select(dataset, node.facts["part"], **share)
    paths = dataset.table.column("path").to_pylist()
    return [
        {"path": paths[row], "sha256": sha256}
        for row, sha256 in zip(chosen.rows, chosen.sha256, strict=True)
    ]


def _journal(run_id: str, home: Home, runs: Sequence[Sequence[Event]]) -> Sequence[Event]:
    for events in runs:
        if events[0]["run_id"] == run_id:
            return events
    raise StoreError(
        f"lineage is read off the journal of the run, and {home.journals} has none of {run_id}. "
        "Run the plan again: it writes one, and computes nothing that is kept."
    )


def _trainer(entry: Entry, runs: Sequence[Sequence[Event]]) -> Event | None:
    """Return the beginning of the run that trained a span; `None`: its journal is not kept.

    A journal names the spans that were asked for; a piece of one was written while it went on.
    """
    told = {
        event["key"]: events[0]
        for events in runs
        for event in events
        if event["event"] == "stage" and event["kind"] == "train" and _is_done(event)
    }
    written = _time(entry.manifest["written_at"])
    going_on = [e[0] for e in runs if _time(e[0]["at"]) <= written <= _time(e[-1]["at"])]
    found: str = entry.notes["states"][-1]
    return told.get(found) or (going_on[0] if len(going_on) == 1 else None)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _is_done(event: Event) -> bool:
    """Say whether the run did a stage itself: no other run that it waited for, and no error."""
    return event["error"] is None and not event["is_hit"] and not event.get("is_found")


def _run_again(started: Event) -> str:
    """Return the command that ran a plan."""
    if not started["source_path"]:
        return "Running the plan"
    flags = [f"--set {shlex.quote(each)}" for each in started["set"]]
    return f"`{' '.join(['foodvision run', shlex.quote(started['source_path']), *flags])}`"


class _Builder:
    """Collects nodes, each once, and edges between them."""

    def __init__(self, run_id: str, home: Home) -> None:
        runs = [found for path in journals(home.journals) if (found := read_journal(path))]
        events = _journal(run_id, home, runs)
        self._store = Store(home.store)
        self._started = events[0]
        self._runs = runs
        compiled = latest(events, "compiled") or {}
        self._cells = {cell["cell_id"]: cell for cell in self._started["plan_cells"]}
        self._compiled = {cell["cell_id"]: cell for cell in compiled.get("cells", ())}
        self._composites = {made["cell_id"]: made for made in compiled.get("composites", ())}
        self._datasets = {e["name"]: e for e in events if e["event"] == "dataset"}
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[str, str], None] = {}

    def result(self, result: Result) -> None:
        """Add a result, its model's file, and all that it was made of."""
        scored = "" if result.test_accuracy is None else f", test {result.test_accuracy:.4f}"
        if result.model_path:
            path = result.model_path
            self.nodes["model"] = Node("model", "model", None, path, {"path": path})
        made = self._add("result", result.result_key, f"{result.label}{scored}", plan=result.plan)
        if result.model_path:
            self.edges["model", made] = None
        if result.cell_id not in self._composites:
            self._cell(made, result.cell_id)
            return
        for voice in self._composites[result.cell_id]["voices"]:
            member = self._compiled[voice]["result_key"]
            self.edges[made, self._add("result", member, self._cells[voice]["label"])] = None
            self._cell(f"result {member[:_SHORT]}", voice)

    def epoch(self, result: Result, epoch: int) -> None:
        """Add the state after an epoch, its scores where they are kept, and what it is made of."""
        if result.cell_id in self._composites:
            raise StoreError(
                f"an epoch is one of a trained cell, and {result.label} is made of several. Ask "
                "for an epoch of one of its members."
            )
        plan = self._compiled[result.cell_id]
        state, span = self._state_after(plan["final"], epoch)
        scores = {
            part: found
            for part, score in plan["scores"].items()
            if (found := self._score_of(state, span, epoch, score["on"]))
        }
        told = ", ".join(f"{part} {_told(row)}" for part, (_, row) in scores.items())
        title = f"{result.label} after epoch {epoch}, {told or 'not scored'}"
        made = self._add("epoch", state, title, plan=result.plan, epoch=epoch)
        images = self._train_images(self._cells[result.cell_id]["settings"])
        for part, (entry, row) in scores.items():
            scored = self._score(part, plan["scores"][part], entry, row)
            self.edges[made, scored] = None
            self.edges[scored, self._states(state, images, span)] = None
        if not scores:
            self.edges[made, self._states(state, images, span)] = None

    def _entry(self, kind: str, key: str) -> Entry:
        """Return a stage that a lineage leads through.

        Raises:
            StoreError: it was removed, or cannot be read.
        """
        if self._store.has(kind, key):
            return self._store.get(kind, key)
        raise StoreError(
            f"a lineage is read off the stages in the store, and {_STAGES[kind]} of the plan "
            f"{self._started['plan_name']} is no longer among them ({kind} {key[:_SHORT]}): it was "
            f"removed, as `foodvision store gc` does. {_run_again(self._started)} computes it "
            "again, to the bit."
        )

    def _score_of(
        self, state: str, span: Entry, epoch: int, images: str
    ) -> tuple[Entry, Event] | None:
        """Return the score of a state where it is kept: its own, or its row in that of its span."""
        for held in dict.fromkeys((state, span.notes["states"][-1])):
            key = score_key(held, images)
            if not self._store.has("score", key):
                continue
            entry = self._store.get("score", key)
            if rows := [row for row in entry.notes["rows"] if row["epoch"] == epoch]:
                return entry, rows[0]
        return None

    def _run(self, made: str, span: Entry) -> None:
        """Add the run that trained a span; the one that told of it where its journal is gone."""
        started = _trainer(span, self._runs)
        lost = "" if started else ", which told of it: the one that trained it is not kept"
        started = started or self._started
        git = started["environment"].get("git")
        commit = f", commit {git['commit'][:_SHORT]}" if git else ""
        changed = " with changes" if git and git["is_dirty"] else ""
        run = self._add(
            "run",
            started["run_id"],
            f"{started['at'][:16]}, plan {started['plan_name']}{commit}{changed}{lost}",
            plan_id=started["plan_id"],
            environment=started["environment"],
        )
        self.edges[made, run] = None

    def _cell(self, made: str, cell_id: str) -> None:
        plan = self._compiled[cell_id]
        images = self._train_images(self._cells[cell_id]["settings"])
        for part, score in plan["scores"].items():
            entry = self._entry("score", score["key"])
            scored = self._score(part, score, entry, entry.notes["rows"][-1])
            self.edges[made, scored] = None
            self.edges[scored, self._states(plan["final"], images)] = None

    def _state_after(self, key: str, epoch: int) -> tuple[str, Entry]:
        """Return the state after an epoch, and the span that it lies in: not each has a name."""
        found: str | None = key
        while found:
            entry = self._entry("train", found)
            notes = entry.notes
            if notes["first_epoch"] <= epoch <= notes["last_epoch"]:
                return notes["states"][epoch - notes["first_epoch"]], entry
            found = notes["parent"]
        raise StoreError(
            f"a state of this training is named by one of its epochs, got {epoch}. Its last one is "
            f"{self._store.get('train', key).notes['last_epoch']}."
        )

    def _score(self, part: str, score: Event, entry: Entry, row: Event) -> str:
        title = f"{part} {_told(row)} on {row['images']:,} images"
        scored = self._add("score", entry.key, title, part=part, **_about(entry))
        self.edges[scored, self._images(score["on"], score)] = None
        return scored

    def _states(self, key: str, images: Event, entry: Entry | None = None) -> str:
        """Add the span that holds a state, and all that it was trained from."""
        entry = entry or self._entry("train", key)
        notes = entry.notes
        last = notes["first_epoch"] + notes["states"].index(key)
        first = notes["first_epoch"]
        title = f"epoch {last}" if first == last else f"epochs {first} to {last}"
        state = self._add("state", key, title, seed=entry.inputs["phase"]["seed"], **_about(entry))
        self._run(state, entry)
        phase = entry.inputs["phase"]
        if notes["parent"]:
            self.edges[state, self._states(notes["parent"], images)] = None
        elif phase["weights"]:
            weights = self._add("weights", phase["weights"], f"sha256 {phase['weights'][:_SHORT]}")
            self.edges[state, weights] = None
        trained = self._images(phase["images"], images)
        rows = self._rows(phase["recipe"])
        self.edges[state, rows or trained] = None
        if rows:
            self.edges[rows, trained] = None
        return state

    def _rows(self, recipe: str) -> str | None:
        """Add the rows that images became, and what they were computed from."""
        for kind in ("features", "pixels"):
            shards = [
                e for e in self._store.readable(f"{kind}-shard") if e.inputs["recipe"] == recipe
            ]
            if not shards:
                continue
            count = sum(int(shard.work["images"]) for shard in shards)
            title = f"{kind} of {count:,} images"
            rows = self._add("rows", recipe, title, **_about(shards[0]))
            if kind == "features" and (pixels := self._rows(shards[0].inputs["pixels"])):
                self.edges[rows, pixels] = None
            return rows
        return None

    def _train_images(self, settings: Event) -> Event:
        data = settings["data"]
        share = {"valid": settings["valid"], "fraction": data["fraction"], "count": data["count"]}
        key = self._datasets[data["name"]]["key"]
        return {"dataset": key, "part": "train", "share": share}

    def _images(self, digest: str, about: Event) -> str:
        part, share = about["part"], {k: v for k, v in about["share"].items() if v}
        named = "".join(f", {name} {value}" for name, value in share.items())
        facts = {"part": part, "share": dict(about["share"]), "dataset": about["dataset"]}
        images = self._add("images", digest, f"{part} images{named}", **facts)
        self.edges[images, self._dataset(about["dataset"])] = None
        return images

    def _dataset(self, key: str) -> str:
        event = next(e for e in self._datasets.values() if e["key"] == key)
        title = f"{event['name']}, from {event['source']}"
        digest = self._entry("dataset", key).notes["digest"]
        return self._add("dataset", key, title, source=event["source"], digest=digest)

    def _add(self, kind: str, key: str, title: str, **facts: Any) -> str:
        node = Node(f"{kind} {key[:_SHORT]}", kind, key, title, facts)
        self.nodes.setdefault(node.id, node)
        return node.id


def _told(row: Event) -> str:
    """Return an accuracy in words."""
    accuracy = told_accuracy(row["loss"], row["accuracy"])
    return f"accuracy {accuracy:.4f}" if accuracy is not None else "has no answers"


def _about(entry: Entry) -> dict[str, Any]:
    """Return what a manifest says of how its stage was made."""
    names = ("code_version", "written_at", "seconds")
    return {name: entry.manifest[name] for name in names} | {"inputs": dict(entry.inputs)}


# -- as text and as a picture -------------------------------------------------------------------


def tree_lines(lineage: Lineage) -> list[str]:
    """Return the graph as an indented tree; what stood before is only named again."""
    by_id = {node.id: node for node in lineage.nodes}
    below: dict[str, list[str]] = {}
    for made, source in lineage.edges:
        below.setdefault(made, []).append(source)
    told: set[str] = set()

    def tell(name: str, before: str, branch: str, after: str) -> list[str]:
        node = by_id[name]
        if name in told:
            return [f"{before}{branch}{name}: as above"]
        told.add(name)
        sources = below.get(name, [])
        lines = [f"{before}{branch}{name}: {node.title}" if node.key else f"{before}{node.title}"]
        for place, source in enumerate(sources):
            is_last = place == len(sources) - 1
            lines += tell(
                source, before + after, "└─ " if is_last else "├─ ", "   " if is_last else "│  "
            )
        return lines

    return tell(lineage.nodes[0].id, "", "", "")


def mermaid(lineage: Lineage) -> str:
    """Return the graph in Mermaid, which GitHub and notebooks draw."""
    places = {node.id: f"n{number}" for number, node in enumerate(lineage.nodes)}
    lines = ["flowchart TD"]
    for node in lineage.nodes:
        title = f"{node.id}<br>{_escaped(node.title)}" if node.key else _escaped(node.title)
        lines.append(f'  {places[node.id]}["{title}"]')
    lines += [f"  {places[made]} --> {places[source]}" for made, source in lineage.edges]
    return "\n".join(lines)


def dot(lineage: Lineage) -> str:
    """Return the graph in Graphviz' language."""
    places = {node.id: f"n{number}" for number, node in enumerate(lineage.nodes)}
    lines = ["digraph lineage {", "  node [shape=box, fontname=sans];"]
    for node in lineage.nodes:
        title = f"{node.id}\n{node.title}" if node.key else node.title
        quoted = title.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines.append(f'  {places[node.id]} [label="{quoted}"];')
    lines += [f"  {places[made]} -> {places[source]};" for made, source in lineage.edges]
    return "\n".join([*lines, "}"])


def svg(lineage: Lineage) -> str:
    """Return the graph as a picture of its own."""
    boxes = {node.id: _box(node) for node in lineage.nodes}
    return draw_graph(boxes, lineage.edges, title=f"Where {lineage.nodes[0].title} comes from")


def _box(node: Node) -> Box:
    name = node.id.removeprefix(node.kind).strip()
    return Box(node.kind, name, Path(node.title).name if node.kind == "model" else node.title)


def _escaped(text: str) -> str:
    """Return text without what ends a Mermaid label, or is HTML in it."""
    for character, entity in (("&", "&amp;"), ('"', "&quot;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, entity)
    return text
