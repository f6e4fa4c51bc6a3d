"""Who works here: the name a process takes locks by, and whether the process behind a lock lives.

Linux tells apart two processes that carry one number in turn by the moment they began, counted from
the start of the machine, and by the boot that count belongs to.
"""

from __future__ import annotations

import getpass
import os
from datetime import datetime
from hashlib import blake2b
from pathlib import Path

from state.store import Lock


def this_process(site: str, now: datetime) -> Lock:
    """Give the lock this process takes on a site."""
    return Lock(
        site=site,
        owner=f"{_user()}@{os.uname().nodename}",
        host=_host(),
        pid=os.getpid(),
        born=f"{_boot()} {_namespace()} {_started(os.getpid())}",
        since=now,
    )


def is_gone(lock: Lock) -> bool:
    """Tell whether the process that took a lock certainly lives no more.

    Never certain of another host, nor of another container on this one.
    """
    if lock.host != _host():
        return False
    match lock.born.split(" "):
        case [boot, _, _] if boot != _boot():
            return True
        case [_, namespace, started] if namespace == _namespace():
            return _has_ended(lock.pid, started)
    return False


def is_alive(lock: Lock) -> bool:
    """Tell whether the process that took a lock certainly lives; never certain of one that cannot be seen from here."""
    match lock.born.split(" "):
        case [boot, namespace, started] if (lock.host, boot, namespace) == (_host(), _boot(), _namespace()):
            return bool(started) and _started(lock.pid) == started
    return False


def _has_ended(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass  # somebody else's process carries the number; perhaps since later
    now = _started(pid)
    return bool(now) and now != started


def _started(pid: int) -> str:
    """Tell when a process began, in clock ticks since boot: `ended` for a zombie, empty if hidden."""
    _, _, behind_name = _read(f"/proc/{pid}/stat").rpartition(")")
    state, *numbers = behind_name.split() or [""]
    if state in ("Z", "X"):
        return "ended"
    return numbers[18] if state else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except KeyError:  # a container may run as a number without a name
        return str(os.getuid())


def _host() -> str:
    """Name the machine: two of one name are told apart by a digest of their ids, which stay private."""
    machine = blake2b(_read("/etc/machine-id").strip().encode(), digest_size=8, person=b"reconciler").hexdigest()
    return f"{os.uname().nodename} {machine}"


def _boot() -> str:
    return _read("/proc/sys/kernel/random/boot_id").strip()


def _namespace() -> str:
    """Name the set of processes this one can see; containers have their own."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _read(path: str) -> str:
    """Read a small file of the system; empty if it is not there or not for us."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
