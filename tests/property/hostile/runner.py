"""Runs hostile cases, each in a process of its own with bounds, and says on standard output what came of them.

Started as `python -m tests.property.hostile.runner NAME…`. The cases share what is imported, by fork.
"""

import hashlib
import json
import os
import resource
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import specs.tosca.compiler  # noqa: F401 - imported before the forks, so that each case need not
from specs.catalogue import read_catalogue
from tests.property.hostile.case import GOOD, Case, written
from tests.property.hostile.generated import generated

CASES: Mapping[str, Case] = {case.name: case for case in (*written(), *generated())}

MOST_SECONDS_ON_THE_WALL = 60
YARDSTICK_SECONDS = 0.010
"""What `_yardstick` takes on a machine that does nothing else. A shared processor may take several times as long for
everything; seconds are counted as of a machine at rest."""
ADDRESS_SPACE = 1 << 30
_FORBIDDEN = ("socket.", "urllib.", "os.system", "os.exec", "os.posix_spawn", "os.putenv", "shutil.", "ctypes.")
_READABLE = tuple(
    str(Path(str(place)).resolve())
    for place in (
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        Path(__file__).parents[3],
        tempfile.gettempdir(),
        os.devnull,
    )
)


class FileTree:
    """Files in memory. A `specs.tree.Tree`."""

    commit = "0" * 40

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self.files: Mapping[str, str] = {path: hashlib.sha1(files[path]).hexdigest() for path in sorted(files)}

    def read(self, path: str) -> bytes:
        return self._files[path]


def main() -> None:
    for name in sys.argv[1:]:
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            _attack(CASES[name], write_end)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as answers:
            answer = answers.read()
        _, status, usage = os.wait4(child, 0)
        found = json.loads(answer) if answer else {"raised": f"ended with status {status}"}
        found["megabytes"] = usage.ru_maxrss / 1024
        sys.stdout.write(json.dumps({"name": name, **found}) + "\n")


def _attack(case: Case, answers: int) -> None:
    """Be the child: read the hostile repository and say what came of it."""
    broken_rules: list[str] = []
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    signal.signal(signal.SIGALRM, _too_late)
    signal.alarm(MOST_SECONDS_ON_THE_WALL)
    tree = FileTree({**GOOD, **case.files()})
    sys.addaudithook(lambda event, arguments: _watch(event, arguments, broken_rules))
    slowness = _yardstick() / YARDSTICK_SECONDS
    before = _processor_seconds()
    try:
        diagnostics = read_catalogue(tree).diagnostics
        found: dict[str, Any] = {
            "diagnostics": [
                [item.file, item.line, item.column, item.severity, item.code, item.message] for item in diagnostics
            ]
        }
    except BaseException as error:
        found = {"raised": f"{type(error).__name__}: {error}"[:500]}
    seconds = _processor_seconds() - before
    slowness = max(1.0, slowness, _yardstick() / YARDSTICK_SECONDS)
    found |= {"seconds": seconds / slowness, "broken_rules": broken_rules}
    os.write(answers, json.dumps(found).encode())
    os._exit(0)


def _yardstick() -> float:
    """Take the processor seconds of work much like that of reading documents."""
    before = _processor_seconds()
    for _ in range(3):
        words = {f"word {number}": [number, str(number)] for number in range(4000)}
        json.loads(json.dumps(words))
    return _processor_seconds() - before


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _too_late(number: int, frame: FrameType | None) -> None:
    raise TimeoutError("it hangs")


def _watch(event: str, arguments: tuple[Any, ...], broken_rules: list[str]) -> None:
    """Note what reading a document must never do: talk to the network, run programs, open strange files."""
    if event.startswith(_FORBIDDEN):
        broken_rules.append(event)
    elif event == "subprocess.Popen" and "specs.judge.worker" not in arguments[1]:
        broken_rules.append(f"{event} {arguments[1]}")
    elif (
        event == "open"
        and isinstance(arguments[0], str)
        and not str(Path(arguments[0]).resolve()).startswith(_READABLE)
    ):
        broken_rules.append(f"{event} {arguments[0]}")


if __name__ == "__main__":
    main()
