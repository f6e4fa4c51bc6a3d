"""What a site spec may say about its sandpit in the settings of the binding."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from providers.base import PermanentError
from providers.sandpit.kinds import KINDS
from specs.model import Binding, Site
from specs.tosca.units import seconds
from specs.values import Value


class Settings(Struct, frozen=True, kw_only=True):
    """How the emulated site behaves."""

    delays: Mapping[str, float] = field(default_factory=dict)
    """Kind → seconds from a call until the object is healthy; a kind not named is healthy at once."""
    quota: Mapping[str, int] = field(default_factory=dict)
    """Kind → how many there may be; a kind not named may be made without end."""


def read_settings(site: Site, binding: Binding) -> Settings:
    """Read the settings of a binding; `PermanentError` for what they cannot hold."""
    where = f"binding {binding.name} of {site.name}"
    if unknown := sorted(binding.settings.keys() - {"delays", "quota"}):
        raise PermanentError(f"{where}: unknown setting {', '.join(unknown)}; the sandpit knows delays and quota")
    delays = {kind: _delay(f"{where}: delays.{kind}", value) for kind, value in _by_kind(where, binding, "delays")}
    quota = {kind: _count(f"{where}: quota.{kind}", value) for kind, value in _by_kind(where, binding, "quota")}
    return Settings(delays=delays, quota=quota)


def _by_kind(where: str, binding: Binding, name: str) -> list[tuple[str, Value]]:
    found = binding.settings.get(name, {})
    if not isinstance(found, Mapping):
        raise PermanentError(f"{where}: {name} is {found!r}; write a mapping of kinds, e.g. {{server: 2}}")
    if unknown := sorted(found.keys() - KINDS.keys()):
        raise PermanentError(f"{where}: {name} names {', '.join(unknown)}; the kinds are {', '.join(KINDS)}")
    return list(found.items())


def _delay(where: str, value: Value) -> float:
    try:
        found = seconds(value) if isinstance(value, str) else value
    except ValueError as error:
        raise PermanentError(f"{where}: {error}") from error
    if not isinstance(found, int | float) or isinstance(found, bool) or found < 0:
        raise PermanentError(f"{where} is {value!r}; write seconds, or a time such as 500 ms")
    return float(found)


def _count(where: str, value: Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise PermanentError(f"{where} is {value!r}; write a whole number")
    return value
