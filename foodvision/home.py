"""Where FoodVision keeps what it makes: the folders of `FOODVISION_HOME`."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from foodvision.errors import StoreError

HOME_VARIABLE = "FOODVISION_HOME"
DEFAULT_HOME = ".foodvision"


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
            raise StoreError(
                f"the home must be a folder that can be written, but {self.root} is not: "
                f"{error.strerror}. Set {HOME_VARIABLE} to another folder, or correct the "
                "permissions."
            ) from error

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
    def server(self) -> Path:
        """The local Prefect server's own files."""
        return self.root / "prefect"
