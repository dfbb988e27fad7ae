"""What a run notes of where it took place."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tasks.environment import describe_environment, describe_repository

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "it's a repository"
    plans = folder / "plans"
    plans.mkdir(parents=True)
    (folder / "model.py").write_text("rate = 1\n")
    (folder / ".gitignore").write_text("*.log\n")
    for command in (
        ["init", "-q", "-b", "trunk"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "first"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return plans


def test_a_clean_repository_is_its_commit(repository: Path) -> None:
    found = describe_repository(repository)
    assert found is not None
    assert len(found.pop("commit")) == 40
    assert found == {"branch": "trunk", "is_dirty": False, "diff": "", "untracked": 0}


def test_changes_anywhere_in_the_repository_are_told(repository: Path) -> None:
    (repository.parent / "model.py").write_text("rate = 'ピザ'\n")
    (repository.parent / "new.py").write_text("x = 1\n")
    (repository.parent / "run.log").write_text("ignored\n")
    found = describe_repository(repository)
    assert found is not None
    assert found["is_dirty"]
    assert "-rate = 1\n+rate = 'ピザ'" in found["diff"]
    assert found["untracked"] == 1


def test_a_diff_tells_of_addresses_the_host_alone(repository: Path) -> None:
    """Of whatever file, added or removed, nor the beginning of one that is cut."""
    file = repository.parent / "model.py"
    file.write_text("notify:\n  - webhook:\n      https://hooks.slack.com/SECRET/1\n")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-a", "-m", "next"]
    subprocess.run(git, cwd=repository, check=True)
    long = "x" * (64 * 1024 - 290)
    new = "notify: {webhook: https://hooks.slack.com/SECRET/2}\nrate = 2\n"
    new += "data = 'https://me:SECRET@example.org/data.zip'\nask('https://x.org?token=SECRET')\n"
    file.write_text(f"{new}{long}\nsee: http://x.org/{'SECRET' * 100}\n")
    found = describe_repository(repository)
    assert found is not None
    assert "SECRET" not in found["diff"]
    assert "\n-      https://hooks.slack.com/…\n" in found["diff"]
    told = "+rate = 2\n+data = 'https://…@example.org/…'\n+ask('https://x.org/…')\n"
    assert told in found["diff"]


def test_a_long_diff_is_cut_and_says_so(repository: Path) -> None:
    (repository.parent / "model.py").write_text("rate = 1\n" * 30_000)
    found = describe_repository(repository)
    assert found is not None
    assert len(found["diff"]) < 66_000
    assert found["diff"].endswith("characters in all]")


def test_no_repository_and_no_git_are_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert describe_repository(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    environment = describe_environment(tmp_path)
    assert environment["git"] is None
    assert environment["packages"]["torch"]
    assert environment["packages"]["prefect"]
    assert environment["memory_bytes"] > 0
