"""What people install holds everything that it reads: SQL, plans, the deployments' file."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
READ_AT_RUN_TIME = [
    *ROOT.glob("plans/*.yaml"),
    *ROOT.glob("warehouse/**/*.sql"),
    *ROOT.glob("flows/*.yaml"),
]


def test_wheel_holds_code_and_data(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {path.relative_to(ROOT).as_posix() for path in READ_AT_RUN_TIME}
    assert len(wanted) > 20
    assert wanted <= names
    assert {"flows/cli/__init__.py", "foodvision/store.py", "tasks/records.py"} <= names
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)
