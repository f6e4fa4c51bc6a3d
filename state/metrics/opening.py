"""Which store of metrics is meant, and a connection to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from state.metrics.embedded import Embedded
from state.metrics.influxql import InfluxQL
from state.metrics.vocabulary import Metrics, MetricsError

KINDS = ("embedded", "influxql", "flux")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsPlace:
    """Where metrics are and how they are reached."""

    kind: str = "embedded"
    """`embedded`: a file; `influxql`: InfluxDB 1.x; `flux`: InfluxDB 2.x, or 1.8 with Flux switched on."""
    url: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    """Of InfluxDB 1.x."""
    token: str = field(default="", repr=False)
    """Of InfluxDB 2.x; 1.8 takes `user:password`."""
    org: str = "-"
    retention: str = ""
    """Retention policy of InfluxDB 1.x; empty: the default one."""
    timeout: timedelta = timedelta(seconds=10)
    keep: timedelta = timedelta(days=7)
    """How long the embedded store keeps points."""


def open_metrics(place: MetricsPlace, file: Path) -> Metrics:
    """Connect to a store of metrics; `file` is where the embedded one lies. `MetricsError` says what is missing."""
    seconds = place.timeout.total_seconds()
    match place.kind:
        case "embedded":
            return Embedded(file, place.keep)
        case "influxql":
            return InfluxQL(
                place.url, user=place.user, password=place.password, retention=place.retention, timeout=seconds
            )
        case "flux":
            return _flux(place, seconds)
    raise MetricsError(f"no store of metrics {place.kind!r}; known: {', '.join(KINDS)}")


def _flux(place: MetricsPlace, seconds: float) -> Metrics:
    try:
        from state.metrics.flux import Flux  # influxdb-client is optional, and slow to load
    except ImportError as error:
        raise MetricsError(f"Flux needs influxdb-client: {error}; pip install tosca-reconciler[clmc]") from error
    return Flux(place.url, token=place.token, org=place.org, timeout=seconds)
