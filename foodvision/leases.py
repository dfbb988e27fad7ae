"""Signs of life: files that a process holds locked as long as it lives, however it dies.

The number of a process says nothing where containers or machines share a folder: it means another
process there, or none. A lock of the system's does.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import platform
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from foodvision.hashing import digest

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SHORT = 8
_HELD: dict[Path, tuple[Lease, int]] = {}


@dataclass(frozen=True)
class Lease:
    """What names a process in a shared folder.

    Attributes:
        host: short name of its machine.
        boot: of the machine's system since it was started; containers on one system share it.
        token: of the process, never used again.
    """

    host: str
    boot: str
    token: str

    @classmethod
    def parse(cls, text: str) -> Lease | None:
        """Read what `str` gives."""
        parts = text.split("-")
        return cls(*parts) if len(parts) == 3 and all(parts) else None

    def __str__(self) -> str:
        return f"{self.host}-{self.boot}-{self.token}"


def own_lease(folder: Path) -> Lease:
    """Return this process's lease in a folder; it is taken when it is first asked for."""
    folder = folder.absolute()
    if folder not in _HELD:
        lease = Lease(*_machine(), uuid.uuid4().hex)
        _HELD[folder] = (lease, _hold(_path(folder, lease)))
    return _HELD[folder][0]


def is_over(folder: Path, lease: Lease) -> bool:
    """Say whether the process that took a lease is gone for sure.

    What another machine's process holds cannot always be seen from here, so it is never over.
    """
    host, boot = _machine()
    if lease.host != host and lease.boot != boot:
        return False
    if any(held == lease for held, _ in _HELD.values()):
        return False
    return _take_over(_path(folder, lease))


def may_have_died_with_system(lease: Lease) -> bool:
    """Say whether the system of a lease that is over may have ended with its process, or since.

    What the process wrote and did not flush is then lost, or may be.
    """
    host, boot = _machine()
    return lease.boot != boot or boot == host


def forget_dead(folder: Path) -> None:
    """Remove the lease files of this machine's processes that are gone."""
    for path in folder.glob("*.lease"):
        lease = Lease.parse(path.stem)
        if lease:
            is_over(folder, lease)


def _path(folder: Path, lease: Lease) -> Path:
    return folder / f"{lease}.lease"


def _hold(path: Path) -> int:
    """Make a file and lock it; whoever looks for dead processes may be faster once, not twice."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(handle, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        os.close(handle)


def _take_over(path: Path) -> bool:
    """Remove the file if nobody holds it; return whether it is gone, then or before."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except OSError:  # somebody holds it, or locks cannot be had here
        return False
    finally:
        os.close(handle)
    return True


@atexit.register
def give_up() -> None:
    """Remove the lease files of this process, which is about to end."""
    for folder, (lease, _) in _HELD.items():
        with suppress(OSError):
            _path(folder, lease).unlink(missing_ok=True)


def _begin_anew() -> None:
    """Let a forked child have leases of its own; its parent's stay its parent's."""
    for _, handle in _HELD.values():
        os.close(handle)
    _HELD.clear()


os.register_at_fork(after_in_child=_begin_anew)


@cache
def _machine() -> tuple[str, str]:
    """Return short names of this machine, and of its system since it was started."""
    host = digest(platform.node())[:_SHORT]
    try:
        boot = _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return host, host
    return host, digest(boot)[:_SHORT]
