"""Prometheus and Alertmanager of their own for one test: fresh, on loopback only, ended with it.

Needs the programs of Debian's packages `prometheus` and `prometheus-alertmanager`; `install.sh` gets them.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.influx.ports import free_port

LIFE_SECONDS = 300
"""After that the servers end, even if nobody is left to end them."""


@dataclass(frozen=True, slots=True)
class Monitoring:
    """Both servers."""

    folder: Path
    prometheus: int
    alertmanager: int

    def watch(self, expression: str, labels: Mapping[str, str]) -> None:
        """Exchange the one rule, and let Prometheus read it."""
        rule = {
            "alert": "Load",
            "expr": expression,
            "labels": dict(labels),
            "annotations": {"value": "{{ $value }}"},
        }
        text = json.dumps({"groups": [{"name": "tour", "interval": "500ms", "rules": [rule]}]})
        (self.folder / "rules.yml").write_text(text)
        status, _ = _call(self.prometheus, "POST", "/-/reload")
        if status != 200:
            raise RuntimeError(
                f"Prometheus did not read the rules: {status}\n{(self.folder / 'prometheus.log').read_text()}"
            )

    def told(self) -> int:
        """Give how often Alertmanager has told the webhook."""
        _, text = _call(self.alertmanager, "GET", "/metrics")
        found = re.search(r'^alertmanager_notifications_total\{[^}]*integration="webhook"[^}]*\} (\d+)', text, re.M)
        return int(found[1]) if found else 0


@contextmanager
def running_prometheus(webhook: str, secret: str) -> Iterator[Monitoring]:
    """Start both, with alerts sent to a webhook."""
    folder = Path(tempfile.mkdtemp(prefix="reconciler-prometheus-"))
    servers = Monitoring(folder, free_port(), free_port())
    _configure(servers, webhook, secret)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        processes.append(_start(folder, "prometheus-alertmanager", [
            f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/alertmanager",
            f"--web.listen-address=127.0.0.1:{servers.alertmanager}", "--cluster.listen-address=",
        ]))  # fmt: skip
        processes.append(_start(folder, "prometheus", [
            f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{servers.prometheus}", "--web.enable-lifecycle",
            "--rules.alert.resend-delay=2s",
        ]))  # fmt: skip
        _wait(servers, processes)
        yield servers
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=20)
        shutil.rmtree(folder)


def _configure(servers: Monitoring, webhook: str, secret: str) -> None:
    receiver = {"url": webhook, "http_config": {"authorization": {"credentials": secret}}}
    alertmanager = {
        "route": {"receiver": "reconciler", "group_wait": "100ms", "group_interval": "1s", "repeat_interval": "2s"},
        "receivers": [{"name": "reconciler", "webhook_configs": [receiver]}],
    }
    prometheus = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "500ms"},
        "rule_files": [str(servers.folder / "rules.yml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{servers.alertmanager}"]}]}]},
    }
    (servers.folder / "alertmanager.yml").write_text(json.dumps(alertmanager))
    (servers.folder / "prometheus.yml").write_text(json.dumps(prometheus))
    (servers.folder / "rules.yml").write_text("groups: []\n")


def _start(folder: Path, name: str, options: list[str]) -> subprocess.Popen[bytes]:
    program = shutil.which(name)
    if program is None:
        raise FileNotFoundError(f"{name} is not installed; run tests/testbed/prometheus/install.sh as root")
    command = ["timeout", "--signal=TERM", "--kill-after=10", str(LIFE_SECONDS), program, *options]
    with (folder / f"{name.removeprefix('prometheus-')}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)


def _wait(servers: Monitoring, processes: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + 40
    for port in (servers.alertmanager, servers.prometheus):
        while _call(port, "GET", "/-/ready")[0] != 200:
            if time.monotonic() > deadline or any(process.poll() is not None for process in processes):
                logs = "\n".join(file.read_text() for file in servers.folder.glob("*.log"))
                raise RuntimeError(f"Prometheus or Alertmanager did not start:\n{logs}")
            time.sleep(0.1)


def _call(port: int, method: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()
