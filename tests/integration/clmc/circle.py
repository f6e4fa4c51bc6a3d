"""The whole circle on real servers: InfluxDB, git over HTTP, and the emulated site."""

from __future__ import annotations

from pathlib import Path

from reconciler.loop import Loop
from reconciler.project import Place
from tests.support.alerting import FILES, SITE
from tests.support.watchtower import Tower
from tests.testbed.git.sandbox import bare, commit


def files(influx: str, database: str) -> dict[str, bytes]:
    """Give the documents, with the metrics in an InfluxDB."""
    settings = f"{{plugin: clmc, settings: {{database: {database}, metrics: {{kind: influxql, url: '{influx}'}}}}}}"
    site = SITE.replace("{plugin: clmc}", settings)
    return {path: text.encode() for path, text in {**FILES, "sites/bristol.yaml": site}.items()}


class Circle(Tower):
    """A tower whose specs are on a git server."""

    address: str = ""

    def restart(self, listen: str = "") -> Loop:
        """Begin with a new loop."""
        place = Place(directory=self.folder, repo=self.address)
        self.loops.append(Loop(place, clock=lambda: self.now, listen=listen))
        return self.loops[-1]


def publish(root: Path, name: str, documents: dict[str, bytes]) -> Path:
    """Make a repository on the server, with one commit."""
    folder = bare(root / name)
    commit(folder, documents, "Begin")
    return folder
