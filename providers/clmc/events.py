"""Configuration events as points, so that dashboards can lay changes over metrics."""

from __future__ import annotations

from providers.base import ConfigurationEvent
from state.metrics.moments import nanoseconds
from state.metrics.vocabulary import Point

MEASUREMENT = "configuration_event"


def event_point(event: ConfigurationEvent) -> Point:
    """Write an event with the tags that metrics of the same endpoint carry."""
    tags = {
        "flame_sfc": event.sfc,
        "flame_sfci": event.sfci,
        "flame_sf": event.function,
        "flame_sfe": event.endpoint,
        "flame_server": event.cluster,
        "flame_location": event.location,
        "site": event.site,
    }
    fields = {
        "state": event.state,
        "action": event.action,
        "run": event.run,
        "commit": event.commit,
        "cause": event.cause,
    }
    return Point(
        measurement=MEASUREMENT,
        tags={key: value for key, value in tags.items() if value},
        fields=fields,
        time=nanoseconds(event.at),
    )
