"""Where FoodVision keeps what it makes: the folders of `FOODVISION_HOME`."""

from __future__ import annotations

import errno
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from foodvision.errors import StoreError

HOME_VARIABLE = "FOODVISION_HOME"
DEFAULT_HOME = ".foodvision"
_UNUSABLE = {
    errno.EACCES,
    errno.EEXIST,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}


_DEPTH = 3  # logs/<run>/<file>, models/<plan>/<file>


def path_in_home(path: str | Path) -> str:
    """Return how records name a log or a model: its path from the home on, with slashes.

    So a home can be moved and copied. The home itself need not be known: it may have been another
    one when older versions wrote the whole path down.
    """
    return "/".join(Path(path).parts[-_DEPTH:])


@dataclass(frozen=True)
class Home:
    """The folders below one home; nothing is made until somebody writes."""

    root: Path

    @classmethod
    def current(cls) -> Home:
        """Return the home that `FOODVISION_HOME` names, or `.foodvision` here; absolute."""
        return cls(Path(os.environ.get(HOME_VARIABLE) or DEFAULT_HOME).expanduser().absolute())

    def require_usable(self) -> None:
        """See to it that everything can be kept here, before any work is done.

        Raises:
            StoreError: the folder cannot be made or written, or DuckDB could not open its file.
        """
        if "?" in str(self.root):
            raise StoreError(
                f"the home's path must be one that DuckDB opens, which takes what follows a '?' "
                f"for options; found {self.root}. Set {HOME_VARIABLE} to another folder."
            )
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise self.unusable(error) from error

    def spoils(self, error: OSError) -> bool:
        """Say whether an error of the system is about this home: it, or a part, cannot be used."""
        if error.errno not in _UNUSABLE or not isinstance(
            error.filename, str | bytes | os.PathLike
        ):
            return False
        place = Path(os.fsdecode(error.filename)).absolute()
        return place.is_relative_to(self.root) or self.root.is_relative_to(place)

    def unusable(self, error: OSError) -> StoreError:
        """Return what to raise where the system does not let the home be used."""
        place = self.root if error.filename is None else os.fsdecode(error.filename)
        return StoreError(
            f"the home must be a folder that can be written, but {self.root} is not: "
            f"{error.strerror} ({place}). Set {HOME_VARIABLE} to another folder, or correct the "
            "permissions."
        )

    @property
    def store(self) -> Path:
        """Finished stages, by key."""
        return self.root / "store"

    @property
    def warehouse(self) -> Path:
        """The published DuckDB file."""
        return self.root / "warehouse.duckdb"

    @property
    def runs(self) -> Path:
        """TensorBoard's event files."""
        return self.root / "runs"

    @property
    def models(self) -> Path:
        """Saved models: a state dict and its JSON."""
        return self.root / "models"

    @property
    def reports(self) -> Path:
        """Pictures and reports."""
        return self.root / "reports"

    @property
    def journals(self) -> Path:
        """One append-only JSON-lines file per run."""
        return self.root / "journals"

    @property
    def certificates(self) -> Path:
        """One append-only JSON-lines file per verification."""
        return self.journals / "certificates"

    @property
    def logs(self) -> Path:
        """What was said while runs went on: a folder per run."""
        return self.root / "logs"

    @property
    def alerts(self) -> Path:
        """One append-only JSON-lines file: every alert, and what became of telling it."""
        return self.journals / "alerts" / "alerts.jsonl"

    @property
    def downloads(self) -> Path:
        """Fetched archives, whole or partial."""
        return self.root / "downloads"

    @property
    def sources(self) -> Path:
        """What each source was found to contain when last asked."""
        return self.root / "sources"

    @property
    def facts(self) -> Path:
        """What only torch can tell, asked once per library version."""
        return self.root / "facts"

    @property
    def paces(self) -> Path:
        """What stages took on which machine."""
        return self.root / "paces"

    @property
    def server(self) -> Path:
        """The local Prefect server's own files."""
        return self.root / "prefect"
