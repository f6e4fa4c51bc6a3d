from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from providers.base import PermanentError
from providers.clmc.settings import Settings, read_settings
from specs.model import Binding, Site
from specs.values import Properties

SITE = Site(name="bristol")
ENVIRONMENT = {
    "RECONCILER_CLMC_USER": "monitor",
    "RECONCILER_CLMC_PASSWORD": "hunter2",
    "RECONCILER_CLMC_TOKEN": "t0ken",
}


def settings(said: Properties, environment: dict[str, str] | None = None) -> Settings:
    return read_settings(SITE, Binding(name="clmc", plugin="clmc", settings=said), environment or {})


def test_nothing_said_is_the_builtin_engine_over_embedded_metrics() -> None:
    found = settings({})

    assert (found.engine, found.metrics.kind, found.chain_tags, found.lag) == (
        "builtin",
        "embedded",
        True,
        timedelta(0),
    )
    assert found.database_of("tour") == "tour"


def test_everything_can_be_said() -> None:
    found = settings(
        {
            "engine": "kapacitor",
            "metrics": {"kind": "influxql", "url": "http://influx:8086/", "retention": "week", "timeout": "500 ms"},
            "database": "flame",
            "chain_tags": False,
            "lag": "3 s",
            "events": False,
            "handler_secret": "duty",
            "kapacitor": {"url": "http://kapacitor:9092", "sfemc_url": "https://us/", "sfemc_secret": "intake"},
        },
        ENVIRONMENT,
    )

    assert found.metrics.url == "http://influx:8086"
    assert found.metrics.timeout == timedelta(milliseconds=500)
    assert found.database_of("tour") == "flame"
    assert found.lag == timedelta(seconds=3)
    assert found.kapacitor is not None
    assert found.kapacitor.sfemc_url == "https://us"


def test_credentials_come_from_the_environment_and_are_never_shown() -> None:
    found = settings({"kapacitor": {"url": "http://k:9092"}}, ENVIRONMENT)

    assert (found.metrics.user, found.metrics.password, found.metrics.token) == ("monitor", "hunter2", "t0ken")
    assert "hunter2" not in repr(found)
    assert "t0ken" not in repr(found)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"engin": "builtin"}, "unknown setting engin; it knows engine"),
        ({"engine": "grafana"}, "engine is 'grafana'; write one of builtin, kapacitor"),
        ({"engine": "kapacitor"}, "the engine kapacitor needs kapacitor: "),
        ({"metrics": "influxql"}, "metrics is 'influxql'; write a mapping"),
        ({"metrics": {"kind": "influxql"}}, "metrics: url is ''; write an http URL"),
        ({"metrics": {"kind": "flux", "url": "http://user:password@influx"}}, "write an http URL without a password"),
        ({"metrics": {"kind": "carbon"}}, "kind is 'carbon'; write one of embedded, influxql, flux"),
        ({"metrics": {"keep": "soon"}}, "keep"),
        ({"lag": -1}, "lag is -1; write seconds"),
        ({"chain_tags": "yes"}, "chain_tags is 'yes'; write true or false"),
        ({"handler_secret": "../../etc/passwd"}, "write the name of a secret"),
        ({"database": 5}, "database is 5; write text"),
        ({"kapacitor": {"url": "kapacitor"}}, "kapacitor: url is 'kapacitor'"),
    ],
)
def test_what_settings_cannot_hold_is_named_with_its_place(said: Properties, message: str) -> None:
    with pytest.raises(PermanentError, match=r"^binding clmc of bristol: ") as caught:
        settings(said)

    assert message in str(caught.value)


def test_settings_do_not_depend_on_the_site() -> None:
    other = read_settings(replace(SITE, name="oulu"), Binding(name="clmc", plugin="clmc"), {})

    assert other == settings({})
