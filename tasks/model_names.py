"""Names of models for people: `demo:best`, a label, a file, an epoch of one; and links by them.

In `models/<plan>/` a saved model bears its label and the beginning of its result's key. Beside it
lie links without the key: `best` and `latest` of the plan, and each label's latest version.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from foodvision.errors import WarehouseError
from foodvision.plan.naming import hint, meant
from tasks.publishing import file_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from warehouse.reading import Result

BEST, LATEST = "best", "latest"
_COMPLETED = "completed"
_EPOCH = re.compile(r"(?P<name>.*)@epoch-(?P<epoch>[1-9]\d*)")
_NEARLY_EPOCH = re.compile(r"(?P<name>.*)@\D*(?P<epoch>[1-9]\d*)")
_SHORTEST_KEY = 6
_SAVED = re.compile(r".*-[0-9a-f]{8}")  # what a saved model is called, without its suffix
_SUFFIXES = (".pth", ".json")


def split_epoch(name: str) -> tuple[str, int | None]:
    """Return a name without its epoch, and the epoch: `demo:best@epoch-10`, or `@epoch-10`."""
    found = _EPOCH.fullmatch(name)
    return (found["name"] or BEST, int(found["epoch"])) if found else (name, None)


def split_plan(name: str) -> tuple[str, str]:
    """Return the plan that a name begins with, if any, and the rest: `demo:best` or `demo/best`."""
    plan, _, rest = name.rpartition(":")
    if not plan and rest.endswith((f"/{BEST}", f"/{LATEST}")):
        plan, _, rest = name.rpartition("/")
    return plan, rest


def find_result(name: str, results: Sequence[Result], *, best: Collection[str]) -> Result:
    """Return the result that a name means.

    Args:
        name: a saved model's file, or a link to it; `best` or `latest`, alone or behind a plan's
            name (`demo:best`, `demo/best`), which no diverged one is; a label or words that only
            it has, alone or behind a plan's name, whose latest result is meant; or the beginning of
            a result's key.
        results: to choose from, the latest first.
        best: keys of the results that are the best of their plan.

    Raises:
        WarehouseError: none is called so, or several are.
    """
    plan, alias = split_plan(name)
    of_plan = [each for each in results if not plan or each.plan == plan]
    if alias == LATEST:
        found = [each for each in of_plan if each.status == _COMPLETED][:1]
    elif alias == BEST:
        found = [each for each in of_plan if each.result_key in best][:1]
    else:
        found = [each for each in results if _is_called(each, name)]
        found = _latest(found or _shortened(alias if plan else name, of_plan))
    if len({each.result_key for each in found}) == 1:  # of several plans, perhaps
        return next((each for each in found if each.model_path), found[0])
    told = f"{len(found)} results are" if found else "no result is"
    known = [f"{each.plan}:{each.label}" for each in found] or _known_names(
        name, of_plan or results
    )
    raise WarehouseError(
        "a result is named by its model's file, its label or words of it, "
        f"{_SHORTEST_KEY} or more letters of its key, or as best or latest of a plan; {told} "
        f"called {name!r}{hint(name, known)}"
    )


def _latest(results: Sequence[Result]) -> list[Result]:
    """Return of the results of a plan with one label the latest, as the link by that label does."""
    found: dict[tuple[str, str], Result] = {}
    for each in results:
        found.setdefault((each.plan, each.label), each)
    return list(found.values())


def _shortened(name: str, results: Sequence[Result]) -> list[Result]:
    """Return the results of the one label that a name abbreviates."""
    labels = meant(name, [each.label for each in results])
    return [each for each in results if [each.label] == labels]


def _known_names(name: str, results: Sequence[Result]) -> list[str]:
    """Return what could have been meant: written as the name is, with its plan or without."""
    has_plan = bool(split_plan(name)[0])
    labels = [f"{each.plan}:{each.label}" if has_plan else each.label for each in results]
    aliases = [f"{each.plan}:{alias}" for each in results for alias in (BEST, LATEST)]
    of_epoch = _NEARLY_EPOCH.fullmatch(name)
    return [
        *([f"{of_epoch['name']}@epoch-{of_epoch['epoch']}"] if of_epoch else ()),
        *dict.fromkeys(aliases),
        *labels,
    ]


def _is_called(result: Result, name: str) -> bool:
    if name in (result.label, f"{result.plan}:{result.label}"):
        return True
    if len(name) >= _SHORTEST_KEY and result.result_key.startswith(name.lower()):
        return True
    return result.model_path is not None and Path(result.model_path).resolve() == (
        Path(name).resolve()
    )


# -- links --------------------------------------------------------------------------------------


def link_names(
    folder: Path, models: Mapping[str, Path], *, best: Path | None, latest: Path | None
) -> None:
    """Let readable names beside a plan's saved models mean them.

    They are relative links, so that the folder can be moved; copies where the system has no links.
    A label that reads like a saved model's own name has none: it would take that model's place.

    Args:
        folder: of the plan's saved models.
        models: by label.
        best: the plan's best; `None`: it is not saved.
        latest: the one that was finished last and did not diverge; `None`: it is not saved.
    """
    if not folder.is_dir():
        return
    names = {label: file_name(label) for label in models}
    count = Counter(names.values())
    wanted: dict[str, Path | None] = {
        names[label]: path
        for label, path in models.items()
        if count[names[label]] == 1 and not _SAVED.fullmatch(names[label])
    }
    for name, path in (wanted | {BEST: best, LATEST: latest}).items():
        for suffix in _SUFFIXES:
            target = None if path is None else path.with_suffix(suffix)
            _link(folder / f"{name}{suffix}", target)


def _link(link: Path, target: Path | None) -> None:
    if target is None or not target.is_file():
        link.unlink(missing_ok=True)
        return
    if link.is_symlink() and link.readlink() == Path(target.name):
        return
    beside = link.with_name(f".{link.name}.{uuid4().hex[:8]}")
    try:
        beside.symlink_to(target.name)
    except OSError:  # not on this system, or not for this user
        shutil.copyfile(target, beside)
    beside.replace(link)
