"""Which of the known names a word means: as it is written, or shortened."""

from __future__ import annotations

import re
import unicodedata
from itertools import islice
from typing import TYPE_CHECKING

from foodvision.plan.messages import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]+(?:\.\d+)?")
_MOST = 5


def meant(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that a name means, in their order.

    It is one of them; else it means those that have all its words; else those in which each of its
    words begins one. So `mlp 10` and `ml sgd` may both be `mlp · sgd · 10 epochs`. Of a cell and
    what is made of it alone (`mlp · 5 epochs · flips`), it means the cell.

    Args:
        name: as somebody typed it; case, the order of words and what stands between them do not
            count.
        known: to choose from.
    """
    known = list(dict.fromkeys(known))
    if name in known:
        return [name]
    wanted = _words(name)
    if not wanted:
        return []
    words = {each: _words(each) for each in known}
    found = [each for each in known if wanted <= words[each]] or [
        each
        for each in known
        if all(any(_abbreviates(part, word) for word in words[each]) for part in wanted)
    ]
    bare = [each for each in found if all(words[each] <= words[other] for other in found)]
    return bare if len(bare) == 1 else found


def _abbreviates(part: str, word: str) -> bool:
    """Say whether a word begins so; in languages without blanks, whether it has it anywhere."""
    return word.startswith(part) if part.isascii() else part in word


def hint(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence: what to do about a name that means no known one, or several."""
    known = list(dict.fromkeys(known))
    found = meant(name, known)
    if len(found) > 1:
        return f"; it may mean {_listed(map(repr, found), len(found))}: write more of it."
    if near := nearest(name, known):
        return f"; did you mean {near!r}?"
    return f"; known: {_listed(known, len(known))}." if known else "."


def _listed(names: Iterable[str], count: int) -> str:
    rest = f" and {count - _MOST} more" if count > _MOST else ""
    return f"{', '.join(islice(names, _MOST))}{rest}"


def _words(name: str) -> set[str]:
    return set(_WORD.findall(unicodedata.normalize("NFKC", name).casefold()))
