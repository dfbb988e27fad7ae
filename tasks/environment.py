"""Where a run took place: packages, machine, and the state of the plan's repository."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import distributions
from typing import TYPE_CHECKING, Any

import psutil

from foodvision.plan.alerts import mask_links

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_GIT_SECONDS = 10.0
_MOST_DIFF_BYTES = 64 * 1024


def describe_environment(folder: Path, mask: Callable[[str], str] = mask_links) -> dict[str, Any]:
    """Return JSON values: Python, all packages, the machine, and the git repository of a folder.

    Args:
        folder: the plan's.
        mask: takes out of a diff what is not to be told.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": platform.node(),
        "pid": os.getpid(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "packages": _packages(),
        "git": describe_repository(folder, mask),
    }


def describe_repository(
    folder: Path, mask: Callable[[str], str] = mask_links
) -> dict[str, Any] | None:
    """Return the commit of the repository that a folder lies in, and what differs from it.

    Args:
        folder: in the repository.
        mask: takes out of a diff what is not to be told.

    Returns:
        `commit`; `branch`, `None` where none is checked out; `is_dirty`, whether tracked files
        differ from the commit; `diff`, at most 64 KiB of it; `untracked`, the number of files that
        git neither tracks nor ignores. `None` where there is no repository with a commit, or no
        git.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    diff = _git(folder, "diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color") or ""
    untracked = (
        _git(folder, "ls-files", "--others", "--exclude-standard", "--full-name", ":/") or ""
    )
    diff = mask(diff)  # whole: of an address that is cut, a mask would know nothing
    cut = diff.encode()[:_MOST_DIFF_BYTES].decode(errors="ignore")
    return {
        "commit": commit,
        "branch": _git(folder, "symbolic-ref", "--short", "-q", "HEAD") or None,
        "is_dirty": bool(diff),
        "diff": cut if len(cut) == len(diff) else f"{cut}\n[cut: {len(diff):,} characters in all]",
        "untracked": len(untracked.splitlines()),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git says; `None` where it fails, hangs or is not there."""
    try:
        done = subprocess.run(
            [
                "git",
                "-C",
                str(folder),
                "-c",
                "core.fsmonitor=false",
                "-c",
                "core.quotePath=false",
                *arguments,
            ],
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=True,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip("\n")


def _packages() -> dict[str, str]:
    """Return name and version of every package that this Python can import."""
    found: dict[str, str] = {}
    for distribution in distributions():
        about = distribution.metadata
        if about["Name"]:  # a half-removed package has none
            found.setdefault(about["Name"].lower(), about["Version"])
    return dict(sorted(found.items()))
