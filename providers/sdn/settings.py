"""What a site spec may say about its fabric in the settings of the binding."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from ipaddress import IPv6Network
from typing import Final

from msgspec import Struct

from providers.base import PermanentError
from providers.sdn.controller import Controller
from providers.sdn.floodlight import Floodlight
from providers.sdn.http import Web
from providers.sdn.opendaylight import OpenDaylight
from providers.sdn.ryu import Ryu
from specs.model import Binding, Site
from specs.tosca.units import seconds
from specs.values import Value

CONTROLLERS: Final[Mapping[str, Callable[[Web], Controller]]] = {
    "floodlight": Floodlight,
    "opendaylight": OpenDaylight,
    "opendaylight-draft02": lambda web: OpenDaylight(web, older=True),
    "ryu": Ryu,
}
"""Name in the settings → how to speak to it."""
PREFIX = IPv6Network("fd53:646e::/64")
USER = "RECONCILER_SDN_USER"
PASSWORD = "RECONCILER_SDN_PASSWORD"  # noqa: S105 -- the name of a variable


class Settings(Struct, frozen=True, kw_only=True):
    """Which controller, and how names become addresses."""

    controller: str
    """One of `CONTROLLERS`."""
    url: str
    """Where its REST interface is, e.g. `http://127.0.0.1:8080`."""
    prefix: IPv6Network = PREFIX
    """Names stand for addresses of this network; hosts need a route to it."""
    timeout: timedelta = timedelta(seconds=30)
    """How long one call may take."""
    watch: timedelta = timedelta(milliseconds=250)
    """How long to wait between two looks at ports and links while the loop runs; 0 for none at all."""
    fast_failover: bool = False
    """Whether switches go round a dark link by themselves; costs some rules for every link."""
    follow_devices: bool = False
    """Whether a device is served at whatever access point it is seen; the controller must keep account of hosts."""
    full_look: timedelta = timedelta(minutes=10)
    """How long rules are believed to be as they were while their number does not change."""


def read_settings(site: Site, binding: Binding) -> Settings:
    """Read the settings of a binding; `PermanentError` for what they cannot hold."""
    where = f"binding {binding.name} of {site.name}"
    known = ("controller", "url", "prefix", "timeout", "watch", "fast_failover", "follow_devices", "full_look")
    if unknown := sorted(binding.settings.keys() - set(known)):
        raise PermanentError(f"{where}: unknown setting {', '.join(unknown)}; the fabric knows {', '.join(known)}")
    said = binding.settings
    controller = str(said.get("controller", "ryu"))
    if controller not in CONTROLLERS:
        raise PermanentError(f"{where}: no controller {controller!r}; write one of {', '.join(sorted(CONTROLLERS))}")
    url = said.get("url")
    if not isinstance(url, str):
        raise PermanentError(f"{where}: url is missing; write where the controller is, e.g. http://127.0.0.1:8080")
    return Settings(
        controller=controller,
        url=url,
        prefix=_network(where, said.get("prefix", str(PREFIX))),
        timeout=_time(where, "timeout", said.get("timeout", 30)),
        fast_failover=said.get("fast_failover") is True,
        follow_devices=said.get("follow_devices") is True,
        watch=_time(where, "watch", said.get("watch", 0.25)),
        full_look=_time(where, "full_look", said.get("full_look", 600)),
    )


def connect(settings: Settings) -> Controller:
    """Build the controller; user and password come from the environment."""
    web = Web(
        settings.url,
        user=os.environ.get(USER, ""),
        password=os.environ.get(PASSWORD, ""),
        timeout_seconds=settings.timeout.total_seconds(),
    )
    return CONTROLLERS[settings.controller](web)


def _network(where: str, value: Value) -> IPv6Network:
    try:
        network = IPv6Network(str(value))
    except ValueError as error:
        raise PermanentError(f"{where}: prefix is {value!r}; write an IPv6 network, e.g. fd53:646e::/64") from error
    if network.prefixlen > 64:
        raise PermanentError(f"{where}: prefix {value} has too few addresses; write a /64")
    return network


def _time(where: str, name: str, value: Value) -> timedelta:
    try:
        found = seconds(value) if isinstance(value, str) else value
    except ValueError as error:
        raise PermanentError(f"{where}: {name}: {error}") from error
    if not isinstance(found, int | float) or isinstance(found, bool) or found < 0:
        raise PermanentError(f"{where}: {name} is {value!r}; write seconds, or a time such as 500 ms")
    return timedelta(seconds=float(found))
