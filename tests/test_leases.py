"""Leases: whoever holds one lives; nobody else is taken for dead, or for alive."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from foodvision import leases
from foodvision.leases import Lease, forget_dead, is_over, own_lease

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOLD = (
    "import sys; from pathlib import Path; from foodvision.leases import own_lease\n"
    "print(own_lease(Path(sys.argv[1])), flush=True); sys.stdin.readline()\n"
)


def holder(folder: Path) -> tuple[subprocess.Popen[str], Lease]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lease = Lease.parse(process.stdout.readline().strip())
    assert lease is not None
    return process, lease


@pytest.mark.parametrize("end", [lambda process: process.kill(), lambda process: None])
def test_a_lease_ends_with_its_process(
    end: Callable[[subprocess.Popen[str]], None], tmp_path: Path
) -> None:
    process, lease = holder(tmp_path)
    assert not is_over(tmp_path, lease)
    end(process)
    process.communicate()
    assert is_over(tmp_path, lease)
    assert is_over(tmp_path, lease)  # and stays so
    assert list(tmp_path.iterdir()) == []


def test_own_lease_is_one_and_not_over(tmp_path: Path) -> None:
    lease = own_lease(tmp_path / "a folder")
    assert own_lease(tmp_path / "a folder") == lease
    assert Lease.parse(str(lease)) == lease
    assert not is_over(tmp_path / "a folder", lease)
    forget_dead(tmp_path / "a folder")
    assert len(list((tmp_path / "a folder").iterdir())) == 1


def test_what_other_machines_hold_is_never_over(tmp_path: Path) -> None:
    process, lease = holder(tmp_path)
    process.kill()
    process.communicate()
    assert not is_over(tmp_path, replace(lease, host="elsewhere", boot="0ther"))
    forget_dead(tmp_path)
    assert is_over(tmp_path, lease)


def test_containers_of_one_system_see_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have names of their own, and numbers of processes that mean nothing to the others."""
    process, lease = holder(tmp_path)
    monkeypatch.setattr(leases, "_machine", lambda: ("container", lease.boot))
    assert not is_over(tmp_path, lease)
    process.kill()
    process.communicate()
    assert is_over(tmp_path, lease)


def test_a_forked_child_has_a_lease_of_its_own(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from foodvision.leases import *\n"
        "folder = Path(sys.argv[1]); ours = own_lease(folder)\n"
        "reader, writer = os.pipe(); child = os.fork()\n"
        "if not child: os.write(writer, str(own_lease(folder)).encode()); os._exit(0)\n"
        "os.waitpid(child, 0); theirs = Lease.parse(os.read(reader, 999).decode())\n"
        "print(theirs != ours, is_over(folder, theirs), is_over(folder, ours))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["True", "True", "False"]


@pytest.mark.parametrize("text", ["", "a-b", "a-b-c-d", "--", "0123456789abcdef-host-17-cafe"])
def test_other_names_are_no_leases(text: str) -> None:
    assert Lease.parse(text) is None


def test_the_own_lease_is_never_over_where_locks_bind_other_processes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As over NFS, which makes locks of files of those of processes."""
    lease = own_lease(tmp_path)
    monkeypatch.setattr("foodvision.leases.fcntl.flock", lambda *_: None)
    assert not is_over(tmp_path, lease)
    assert (tmp_path / f"{lease}.lease").exists()
