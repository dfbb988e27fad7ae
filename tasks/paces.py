"""What stages took on this machine, kept from run to run; and what a run will therefore take."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from foodvision.files import read_json, write_json
from foodvision.hashing import digest
from foodvision.plan.pace import Observation, amount, expect_seconds, stage_paces
from tasks.devices import machine_fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from foodvision.home import Home
    from foodvision.plan.pace import Pace
    from foodvision.plan.work import Tally, Work

_KEPT = 8
_AROUND = {"stage": "around a run"}
_OBSERVED = TypeAdapter(list[Observation])


@dataclass(frozen=True)
class Forecast:
    """How long a run will take.

    Attributes:
        stages: seconds of each missing stage, by key; `None`: nothing like it was measured here.
        around: seconds of a run beside its stages: starting, saving, drawing; `None`: unknown.
    """

    stages: Mapping[str, float | None]
    around: float | None

    @property
    def known(self) -> float:
        """Seconds of all stages of which something is known."""
        return sum(seconds for seconds in self.stages.values() if seconds is not None)

    @property
    def unknown(self) -> int:
        """Number of the stages of which nothing is known."""
        return sum(seconds is None for seconds in self.stages.values())

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "stages": self.known if self.unknown < len(self.stages) else None,
            "stages_unknown": self.unknown,
            "around": self.around,
        }


class PaceBook:
    """Small JSON files, one for each pace on this machine: the last few stages that had it."""

    def __init__(self, home: Home) -> None:
        self._folder = home.paces

    def forecast(self, work: Work, *, cells: int) -> Forecast:
        """Say how long the missing stages of a plan with so many cells will take."""
        return Forecast(
            {key: self._expect(pace, wanted) for key, (pace, wanted) in stage_paces(work).items()},
            around=expect_seconds(self._observed(_AROUND), cells),
        )

    def learn(self, work: Work, measured: Mapping[str, tuple[Tally, float]]) -> None:
        """Keep what stages took.

        Args:
            work: that was planned.
            measured: counted work and seconds of each stage that this run did, by key.
        """
        seen: dict[str, tuple[Mapping[str, Any], list[Observation]]] = {}
        for key, (pace, wanted) in stage_paces(work).items():
            tally, seconds = measured.get(key, (None, 0.0))
            if tally is None:
                continue  # it failed, or another run had done it
            done = amount(tally) if pace.is_counted else wanted
            if not done:
                continue
            for about in {digest(each): each for each in (pace.exact, pace.alike)}.values():
                seen.setdefault(digest(about), (about, []))[1].append((done, seconds))
        for about, observed in seen.values():
            self._keep(about, observed)

    def learn_around(self, *, cells: int, seconds: float) -> None:
        """Keep what a run with so many cells took beside its stages."""
        self._keep(_AROUND, [(float(cells), seconds)])

    def _expect(self, pace: Pace, wanted: float) -> float | None:
        found = expect_seconds(self._observed(pace.exact), wanted)
        return expect_seconds(self._observed(pace.alike), wanted) if found is None else found

    def _observed(self, about: Mapping[str, Any]) -> list[Observation]:
        kept = read_json(self._folder / f"{_name(about)}.json")
        try:
            return _OBSERVED.validate_python(kept["observed"])
        except (KeyError, TypeError, ValidationError):
            return []

    def _keep(self, about: Mapping[str, Any], observed: Sequence[Observation]) -> None:
        """Keep the latest; where two runs keep at once, one of them is not remembered."""
        latest = [*self._observed(about), *observed][-_KEPT:]
        write_json(
            self._folder / f"{_name(about)}.json", {"about": dict(about), "observed": latest}
        )


def _name(about: Mapping[str, Any]) -> str:
    return digest({"about": dict(about), "machine": _machine()})


@lru_cache(maxsize=1)
def _machine() -> str:
    return digest(machine_fingerprint())
