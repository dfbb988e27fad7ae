"""A nursery of runs to kill: torch is imported once, each run is a fork that costs no start.

`python -m tests.killing` reads requests from its input, a JSON object a line, runs each in a
process group of its own, and writes what became of it. A run counts its *moments*: whenever it
touches a file below its home, and at every optimizer step; asked to die at one of them, it kills
its whole process group.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

import torchvision.transforms.v2  # noqa: F401 - what a run would import, imported once

from foodvision.models import build, facts  # noqa: F401
from foodvision.stages import rows, training  # noqa: F401
from foodvision.train import augmentation, engine  # noqa: F401
from tests.running import run

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Told:
    """What became of a run.

    Attributes:
        killed: whether it was.
        moments: how many it had in all, 0 where it was killed.
        failures: errors of its jobs.
        results: digest of each cell's result.
        as_predicted: whether its counted work was the predicted work.
    """

    killed: bool
    moments: int = 0
    failures: tuple[str, ...] = ()
    results: tuple[tuple[str, str], ...] = ()
    as_predicted: bool = False


class Nursery:
    """The process that forks runs; a context that ends it."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.killing"],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, text: str, home: Path, *, die_at: int = 0) -> Told:
        """Run a plan, in a process that kills its group at a moment (from 1; 0: never)."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"text": text, "home": str(home), "die_at": die_at}) + "\n")
        stdin.flush()
        told = json.loads(stdout.readline())
        told["results"] = tuple(map(tuple, told["results"]))
        return Told(**told | {"failures": tuple(told["failures"])})


class _Moments:
    """Counts moments, and ends the process group at one of them."""

    def __init__(self, home: str, die_at: int) -> None:
        self._home = home
        self._die_at = die_at
        self.count = 0
        sys.addaudithook(self._hear)
        engine._Trainer._step = self._before(engine._Trainer._step)  # type: ignore[method-assign]

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(("open", "os.", "shutil.")) and self._is_ours(arguments):
            self._pass()

    def _is_ours(self, arguments: tuple[Any, ...]) -> bool:
        paths = (os.fspath(one) for one in arguments if isinstance(one, str | os.PathLike))
        return any(path.startswith(self._home) for path in paths if isinstance(path, str))

    def _before(self, step: Callable[..., None]) -> Callable[..., None]:
        def counted(*given: Any) -> None:
            self._pass()
            step(*given)

        return counted

    def _pass(self) -> None:
        self.count += 1
        if self.count == self._die_at:
            os.killpg(0, signal.SIGKILL)


def _run(request: dict[str, Any]) -> Told:
    moments = _Moments(request["home"], request["die_at"])
    ran = run(request["text"], Path(request["home"]))
    return Told(
        killed=False,
        moments=moments.count,
        failures=tuple(ran.ledger.failures.values()),
        results=tuple(sorted(ran.results().items())),
        as_predicted=ran.counted == ran.work.predicted,
    )


def _be_a_run(request: dict[str, Any], writer: int) -> NoReturn:
    try:
        os.setsid()
        os.write(writer, json.dumps(asdict(_run(request))).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def main() -> None:
    for line in sys.stdin:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            _be_a_run(json.loads(line), writer)
        os.close(writer)
        with os.fdopen(reader) as told:
            text = told.read()
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == -signal.SIGKILL:
            text = json.dumps(asdict(Told(killed=True)))
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
