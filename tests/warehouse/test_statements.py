from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import warehouse
from warehouse import migrations, statements

PACKAGE = Path(warehouse.__file__).parent
LANDED = json.loads((Path(__file__).parent / "data" / "landed.json").read_text())
FILES = sorted(PACKAGE.rglob("*.sql"))
KEYWORDS = re.compile(r"\b(SELECT|FROM|WHERE|CREATE|TABLE|VIEW|WITH|ORDER|GROUP|INSERT|AND|NOT)\b")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_there_are_sql_files_of_each_kind() -> None:
    assert {path.parent.name for path in FILES} == {"migrations", "views", "queries", "questions"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_file_states_its_grain_first_and_has_lower_case_keywords(path: Path) -> None:
    lines = path.read_text().splitlines()
    if path.parent.name == "questions":
        assert re.fullmatch(r"-- question: [A-Z].*\?", lines.pop(0))
    assert re.fullmatch(r"-- grain: one row\b.*", lines[0])
    code = "\n".join(line.partition("--")[0] for line in lines)
    code = re.sub(r"'[^']*'", "''", code)
    assert not KEYWORDS.findall(code)


def test_migrations_are_numbered_from_one_without_a_gap() -> None:
    numbers = [int(migration.name[:4]) for migration in statements.migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_landed_migrations_are_never_edited() -> None:
    digests = {migration.name: _sha256(migration.sql) for migration in statements.migrations()}
    assert {name: digests.get(name) for name in LANDED["migrations"]} == LANDED["migrations"]


def test_a_changed_view_raises_the_schema_version() -> None:
    """A file of the same version has the same views, so that reading code may rely on them.

    When this fails: add a migration (a comment alone will do), then write the new digests to
    tests/warehouse/data/landed.json.
    """
    digests = {view.name: _sha256(view.sql) for view in statements.views()}
    assert digests == LANDED["views"] or migrations.latest_version() > LANDED["version"]


def test_the_sql_is_found_inside_a_zip(tmp_path: Path) -> None:
    """The package is read through importlib.resources, not by paths of files."""
    archive = tmp_path / "wheel with space.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        for path in PACKAGE.rglob("*"):
            if path.suffix in {".py", ".sql"}:
                bundle.write(path, path.relative_to(PACKAGE.parent))
    script = (
        "import warehouse; from warehouse import statements as s; assert '.zip' in"
        " warehouse.__file__; print(len(s.migrations()), len(s.views()), len(s.query_text('runs')))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": str(archive)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [
        len(statements.migrations()),
        len(statements.views()),
        len(statements.query_text("runs")),
    ]
    assert found.stdout.split() == [str(number) for number in expected]
