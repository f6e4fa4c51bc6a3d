"""What part of the world a person asked for: sites, services, targets and what is left out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from reconciler.holds import Limits, Switches
from specs.errors import SettingsError
from specs.model import Address, parse_address

_BOUNDARIES = frozenset("/@.:")


class Choice(Struct, frozen=True, kw_only=True):
    """What was asked for; empty tuples mean everything."""

    sites: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    """Addresses, or their beginnings up to a `/`, `@`, `.` or `:`."""
    excludes: tuple[str, ...] = ()
    refresh_only: bool = False
    """Change nothing: only see how the world has moved."""
    allow_mass_change: bool = False

    @property
    def is_partial(self) -> bool:
        """Whether only a part of a site was asked for."""
        return bool(self.services or self.targets)

    def choose_sites(self, known: Iterable[str]) -> tuple[str, ...]:
        """Give the sites to work on, sorted; `SettingsError` for one that does not exist."""
        there = sorted(known)
        for name in self.sites:
            if name not in there:
                raise SettingsError(f"no site {name!r}; there are {', '.join(there) or 'none'}")
        for name in self.excludes:
            if (site := name.partition("/")[0]) not in there:
                raise SettingsError(f"no site {site!r}; what is excluded begins with its site: {', '.join(there)}")
        chosen = [site for site in there if not self.sites or site in self.sites]
        if self.targets:
            aimed = {target.partition("/")[0] for target in self.targets}
            if unknown := sorted(aimed.difference(chosen)):
                raise SettingsError(f"no site {unknown[0]!r}; a target begins with its site: {', '.join(chosen)}")
            chosen = [site for site in chosen if site in aimed]
        return tuple(chosen)

    def check_services(self, known: Iterable[str]) -> None:
        """Raise `SettingsError` for a service nobody has heard of."""
        there = sorted(set(known))
        for name in self.services:
            if name not in there:
                raise SettingsError(f"no service {name!r}; there are {', '.join(there) or 'none'}")

    def covers(self, address: Address, asked: frozenset[str]) -> bool:
        """Tell whether an address was asked for; `asked` is what `ask` gave."""
        return not self.is_partial or address in asked

    def ask(self, site: str, addresses: Iterable[Address]) -> frozenset[str]:
        """Give the addresses of a site that services and targets name; `SettingsError` for a target that names none."""
        addresses = tuple(addresses)
        asked = frozenset[str](addresses)
        if self.targets:
            asked &= frozenset(_named(self.targets, site, addresses))
        if self.services:
            asked = frozenset(address for address in asked if parse_address(Address(address)).service in self.services)
        return asked

    def limit(self, limits: Limits, site: str, addresses: Iterable[Address]) -> Limits:
        """Narrow what a plan may act on to what was asked for."""
        addresses = tuple(addresses)
        if self.refresh_only:
            still = Switches(prune=False, self_heal=False, auto_apply=False)
            limits = replace(limits, switches={}, default=still)
        if self.allow_mass_change:
            limits = replace(limits, breaker_share=1.0)
        if self.is_partial:
            # The site stands for nothing by itself: so an empty answer does not turn into "everything".
            limits = replace(limits, targets=self.ask(site, addresses) | {site})
        if self.excludes:
            limits = replace(limits, excludes=frozenset(_named(self.excludes, site, addresses)))
        return limits


def choice_of(data: Mapping[str, object]) -> Choice:
    """Read a choice that was written down; whatever is missing means everything."""

    def names(key: str) -> tuple[str, ...]:
        found = data.get(key)
        return tuple(str(name) for name in found) if isinstance(found, list) else ()

    return Choice(
        sites=names("sites"),
        services=names("services"),
        targets=names("targets"),
        excludes=names("excludes"),
        refresh_only=data.get("refresh_only") is True,
        allow_mass_change=data.get("allow_mass_change") is True,
    )


def _named(names: Iterable[str], site: str, addresses: tuple[Address, ...]) -> Iterable[str]:
    for name in names:
        if name.partition("/")[0] != site:
            continue
        found = [address for address in addresses if _is_named(address, name)]
        if not found:
            raise SettingsError(f"{name!r} names nothing on {site}; reconciler graph shows every address")
        yield from found


def _is_named(address: Address, name: str) -> bool:
    return address == name or (
        address.startswith(name) and (address[len(name)] in _BOUNDARIES or name[-1] in _BOUNDARIES)
    )
