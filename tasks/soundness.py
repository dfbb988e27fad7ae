"""Look at every byte of what missing work is about to read.

Whether a stage is finished is told by names and sizes, which is quick. But a damaged entry must not
become the input of a new result, so the entries that a run will read are compared with their
checksums first; one that was looked at and has not been touched since is not read again.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from foodvision.errors import StoreError
from tasks.facts import FactsFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from foodvision.home import Home
    from foodvision.plan.graph import Recipe
    from foodvision.plan.work import Work
    from foodvision.store import Entry, Store

logger = logging.getLogger(__name__)
_FLAG = TypeAdapter(bool)


def set_damaged_aside(work: Work, store: Store, home: Home) -> int:
    """Set damaged entries aside that the work would read, each with a warning.

    Returns:
        Their number. Where it is not 0, the work has to be planned again: what was set aside is
        missing now.
    """
    checked = FactsFolder(home.facts)
    damaged = 0
    for kind, key in dict.fromkeys(_inputs(work, store)):
        problems = _problems(kind, key, store, checked)
        if problems:
            kept = store.set_aside(kind, key)
            logger.warning(
                "%s %s is damaged and is made again (%s); what was there lies in %s",
                kind,
                key[:12],
                problems[0],
                kept,
            )
            damaged += 1
    return damaged


def _problems(kind: str, key: str, store: Store, checked: FactsFolder) -> list[str]:
    try:
        entry = store.get(kind, key)
    except StoreError as error:
        return [str(error)]
    question = {"about": "sound entry", "kind": kind, "key": key, "files": _touched(entry)}
    if checked.recall(question, _FLAG):
        return []
    problems = store.verify(kind, key)
    if not problems:
        checked.ask(question, lambda: True, _FLAG)
    return problems


def _touched(entry: Entry) -> list[list[str | int]]:
    """Return what changes when a file is written, moved or replaced."""
    found: list[list[str | int]] = []
    for name in sorted(entry.manifest["files"]):
        path = entry.path / name
        if path.is_file():
            about = path.stat()
            found.append([name, about.st_size, about.st_mtime_ns, about.st_ino])
    return found


def _inputs(work: Work, store: Store) -> Iterator[tuple[str, str]]:
    """Yield kind and key of every finished entry that the work reads."""
    made = {job.span.key for job in work.training if not job.replay}
    recipes: dict[Recipe, None] = {}
    for job in work.training:
        parent = job.span.parent
        recipes[job.span.phase.recipe] = None
        if parent and parent not in made:
            yield "train", store.get("train", parent).notes["states"][-1]
    for score in work.scoring:
        recipes[score.phase.recipe] = None
        yield "train", score.finished.key
    for view in work.views:
        recipes |= dict.fromkeys((view.score.recipe, view.score.recipe.pixels or view.score.recipe))
    yield from _composite_inputs(work, store, made)
    for rows in work.rows:
        recipes |= {recipe: None for recipe in (rows.recipe, rows.recipe.pixels) if recipe}
        if rows.missing:
            yield from (("dataset", images.dataset) for images in rows.needed)
    for recipe in recipes:
        yield from _shards(recipe, store)


def _composite_inputs(work: Work, store: Store, made: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the states that views are scored with, and the outputs that are combined."""
    for view in work.views:
        final = view.score.compiled.final
        if final not in made and store.has("train", final):
            yield "train", store.get("train", final).notes["states"][-1]
    for job in work.combining:
        for voice in job.compiled.voices:
            for part in voice.views:
                yield from (stage for stage in voice.stages(part) if store.has(*stage))


def _shards(recipe: Recipe, store: Store) -> Iterator[tuple[str, str]]:
    kind = f"{recipe.kind}-shard"
    for key in list(store.keys(kind)):
        try:
            is_read = store.get(kind, key).notes.get("recipe") == recipe.key
        except StoreError:
            is_read = True  # nobody can say whose it is, so it goes aside
        if is_read:
            yield kind, key
