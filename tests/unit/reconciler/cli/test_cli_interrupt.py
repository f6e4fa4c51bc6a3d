"""Signals, on a process that is never done."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
ENDLESS = """
import os, time
from reconciler.cli.interrupt import Interrupt
with Interrupt(lambda: os.write(1, b"first\\n")) as interrupt:  # a handler may come while `print` prints
    os.write(1, b"ready\\n")
    while True:
        time.sleep(0.01)
"""


@pytest.fixture
def endless() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_leaves_at_once(endless: subprocess.Popen[str], how: signal.Signals, code: int) -> None:
    endless.send_signal(how)
    assert endless.stdout is not None
    assert endless.stdout.readline() == "first\n"
    deadline = time.monotonic() + 20
    while endless.poll() is None and time.monotonic() < deadline:
        endless.send_signal(how)
        time.sleep(0.1)

    assert endless.returncode == code
    assert endless.stderr is not None
    assert "left at once" in endless.stderr.read()


def test_a_signal_that_is_sent_twice_by_its_sender_counts_once(endless: subprocess.Popen[str]) -> None:
    endless.send_signal(signal.SIGTERM)
    endless.send_signal(signal.SIGTERM)
    assert endless.stdout is not None
    assert endless.stdout.readline() == "first\n"

    assert endless.poll() is None
