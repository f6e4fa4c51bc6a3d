"""What a site spec may say about its monitoring in the settings of the binding."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct, field

from providers.base import PermanentError
from specs.model import Binding, Site
from specs.tosca.units import seconds
from specs.values import Value
from state.metrics.opening import KINDS, MetricsPlace

ENGINES = ("builtin", "kapacitor")
USER = "RECONCILER_CLMC_USER"
PASSWORD = "RECONCILER_CLMC_PASSWORD"  # noqa: S105 - the name of a variable
TOKEN = "RECONCILER_CLMC_TOKEN"  # noqa: S105 - the name of a variable

_KNOWN = ("engine", "metrics", "database", "chain_tags", "lag", "kapacitor", "handler_secret", "events")
_METRICS = ("kind", "url", "org", "retention", "timeout", "keep")
_KAPACITOR = ("url", "timeout", "sfemc_url", "sfemc_secret")
_URL = re.compile(r"https?://[^\s/@]+(/\S*)?")
_SECRET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class KapacitorPlace(Struct, frozen=True, kw_only=True):
    """Where Kapacitor is, and how it reaches us."""

    url: str
    timeout: timedelta = timedelta(seconds=10)
    sfemc_url: str = ""
    """Where `reconciler run --listen` hears alerts, as Kapacitor sees it."""
    sfemc_secret: str = ""
    """The secret that proves to us that an alert is Kapacitor's: its bearer token."""
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Kapacitor {self.url}"


class Settings(Struct, frozen=True, kw_only=True):
    """How one binding watches."""

    metrics: MetricsPlace = field(default_factory=MetricsPlace)
    engine: str = "builtin"
    database: str = ""
    """The database (bucket) of every chain; empty: each chain has one of its own name."""
    chain_tags: bool = True
    """Whether points carry `flame_sfc` and `flame_sfci`, by which chains are told apart."""
    lag: timedelta = timedelta(0)
    """How long to wait for late points before a window is looked at."""
    handler_secret: str = ""
    """The secret that is sent to the handlers of alerts, as a bearer token; empty: none."""
    events: bool = True
    """Whether every apply writes configuration events."""
    kapacitor: KapacitorPlace | None = None

    def database_of(self, sfc: str) -> str:
        """Give the database of a chain."""
        return self.database or sfc


def read_settings(site: Site, binding: Binding, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings of a binding; `PermanentError` for what they cannot hold."""
    where = f"binding {binding.name} of {site.name}"
    said = binding.settings
    _check(where, said, _KNOWN)
    engine = _word(where, said, "engine", ENGINES, "builtin")
    if engine == "kapacitor" and "kapacitor" not in said:
        raise PermanentError(f"{where}: the engine kapacitor needs kapacitor: {{url: http://…:9092}}")
    return Settings(
        metrics=_metrics(where, said.get("metrics", {}), environment),
        engine=engine,
        database=_text(where, said, "database"),
        chain_tags=_switch(where, said, "chain_tags"),
        lag=_time(where, said, "lag", timedelta(0)),
        handler_secret=_secret(where, said, "handler_secret"),
        events=_switch(where, said, "events"),
        kapacitor=_kapacitor(where, said["kapacitor"], environment) if "kapacitor" in said else None,
    )


def _metrics(where: str, given: Value, environment: Mapping[str, str]) -> MetricsPlace:
    here = f"{where}: metrics"
    said = _mapping(here, given)
    _check(here, said, _METRICS)
    kind = _word(here, said, "kind", KINDS, "embedded")
    usual = MetricsPlace()
    return MetricsPlace(
        kind=kind,
        url=_url(here, said, "url") if kind != "embedded" else "",
        user=environment.get(USER, ""),
        password=environment.get(PASSWORD, ""),
        token=environment.get(TOKEN, ""),
        org=_text(here, said, "org") or usual.org,
        retention=_text(here, said, "retention"),
        timeout=_time(here, said, "timeout", usual.timeout),
        keep=_time(here, said, "keep", usual.keep),
    )


def _kapacitor(where: str, given: Value, environment: Mapping[str, str]) -> KapacitorPlace:
    here = f"{where}: kapacitor"
    said = _mapping(here, given)
    _check(here, said, _KAPACITOR)
    return KapacitorPlace(
        url=_url(here, said, "url"),
        timeout=_time(here, said, "timeout", timedelta(seconds=10)),
        sfemc_url=_url(here, said, "sfemc_url") if "sfemc_url" in said else "",
        sfemc_secret=_secret(here, said, "sfemc_secret"),
        user=environment.get(USER, ""),
        password=environment.get(PASSWORD, ""),
    )


def _mapping(where: str, given: Value) -> Mapping[str, Value]:
    if not isinstance(given, Mapping):
        raise PermanentError(f"{where} is {given!r}; write a mapping")
    return given


def _check(where: str, said: Mapping[str, Value], known: tuple[str, ...]) -> None:
    if unknown := sorted(said.keys() - set(known)):
        raise PermanentError(f"{where}: unknown setting {', '.join(unknown)}; it knows {', '.join(known)}")


def _word(where: str, said: Mapping[str, Value], name: str, words: tuple[str, ...], usual: str) -> str:
    found = said.get(name, usual)
    if found not in words:
        raise PermanentError(f"{where}: {name} is {found!r}; write one of {', '.join(words)}")
    return str(found)


def _text(where: str, said: Mapping[str, Value], name: str) -> str:
    found = said.get(name, "")
    if not isinstance(found, str):
        raise PermanentError(f"{where}: {name} is {found!r}; write text")
    return found


def _url(where: str, said: Mapping[str, Value], name: str) -> str:
    found = _text(where, said, name)
    if not _URL.fullmatch(found):
        raise PermanentError(f"{where}: {name} is {found!r}; write an http URL without a password")
    return found.rstrip("/")


def _secret(where: str, said: Mapping[str, Value], name: str) -> str:
    found = _text(where, said, name)
    if found and not _SECRET.fullmatch(found):
        raise PermanentError(f"{where}: {name} is {found!r}; write the name of a secret")
    return found


def _switch(where: str, said: Mapping[str, Value], name: str) -> bool:
    found = said.get(name, True)
    if not isinstance(found, bool):
        raise PermanentError(f"{where}: {name} is {found!r}; write true or false")
    return found


def _time(where: str, said: Mapping[str, Value], name: str, usual: timedelta) -> timedelta:
    found = said.get(name)
    if found is None:
        return usual
    try:
        amount = seconds(found) if isinstance(found, str) else found
    except ValueError as error:
        raise PermanentError(f"{where}: {name}: {error}") from error
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount <= 86400 * 3660:
        raise PermanentError(f"{where}: {name} is {found!r}; write seconds, or a time such as 500 ms")
    return timedelta(seconds=amount)
