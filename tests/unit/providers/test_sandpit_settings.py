"""The settings of a binding are read strictly, and what is wrong is said with its place."""

from __future__ import annotations

import pytest

from providers.base import PermanentError
from providers.sandpit.settings import Settings, read_settings
from specs.values import Properties, Value
from tests.support.chains import bristol


def read(settings: Properties) -> Settings:
    """Read the settings of `city` on `bristol`."""
    site = bristol(settings=settings)
    return read_settings(site, site.bindings["city"])


def test_nothing_said_means_no_delay_and_no_quota() -> None:
    assert read({}) == Settings(delays={}, quota={})


def test_delays_are_seconds_or_times() -> None:
    assert read({"delays": {"server": 1.5, "port": 2, "image": "500 ms"}}).delays == {
        "server": 1.5,
        "port": 2.0,
        "image": 0.5,
    }


def test_quotas_are_counts() -> None:
    assert read({"quota": {"server": 3}}).quota == {"server": 3}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"speed": 3}, "binding city of bristol: unknown setting speed; the sandpit knows delays and quota"),
        ({"delays": 3}, "delays is 3; write a mapping"),
        ({"delays": {"serverr": 3}}, "delays names serverr; the kinds are image, network"),
        ({"delays": {"server": -1}}, "delays.server is -1; write seconds"),
        ({"delays": {"server": True}}, "delays.server is True; write seconds"),
        ({"delays": {"server": None}}, "delays.server is None; write seconds"),
        ({"delays": {"server": "soon"}}, "delays.server: 'soon' is no number with a unit"),
        ({"quota": {"server": 1.5}}, "quota.server is 1.5; write a whole number"),
        ({"quota": {"server": True}}, "quota.server is True; write a whole number"),
        ({"quota": {"server": -1}}, "quota.server is -1; write a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Value], message: str) -> None:
    with pytest.raises(PermanentError) as caught:
        read(settings)
    assert message in str(caught.value)
