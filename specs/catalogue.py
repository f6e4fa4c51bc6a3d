"""Reads every document of a commit into a catalogue: sites, services, alerts, and all faults at once.

What has not changed since it was read last comes from the cache; then no YAML is looked at, and the
modules that could are not even imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from sys import intern
from typing import Protocol, cast

import msgspec
from msgspec import Struct, field

from specs.codec import (
    Json,
    decode_alerts,
    decode_diagnostic,
    decode_position,
    decode_selector,
    decode_service,
    decode_site,
)
from specs.errors import Diagnostic, Severity, SpecError
from specs.model import Alerts, Position, Service, Site
from specs.tosca import collector, entries
from specs.tosca.entries import Surroundings
from specs.tosca.pairing import mismatches
from specs.tosca.wording import suggest
from specs.tree import Cache, Tree


class Catalogue(Struct, frozen=True, kw_only=True):
    """What a commit says; of use only without errors, see `raise_if_invalid`."""

    commit: str
    sites: Mapping[str, Site] = field(default_factory=dict)
    alerts: tuple[Alerts, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    """Every fault and hint of every document, in order of file and line."""
    services: Mapping[str, Mapping[str, Service]] = field(default_factory=dict)
    """Site → the services that run there, by name, compiled with that site's inputs."""

    def services_on(self, site: str) -> tuple[Service, ...]:
        """Give the services of a site, compiled with its inputs, in the order of their names."""
        return tuple(self.services.get(site, {}).values())

    def raise_if_invalid(self) -> None:
        """Raise `SpecError` with every error, if there is one."""
        errors = [one for one in self.diagnostics if one.severity is Severity.ERROR]
        if errors:
            raise SpecError(errors)


class _Compiler(Protocol):
    """`specs.tosca.compiler.Compiler`, as far as it is used here."""

    def begin(self, path: str) -> Json: ...

    def finish(self, path: str, entry: Json, surroundings: Surroundings) -> Json: ...

    def judge(self, entries: Mapping[str, Json]) -> frozenset[str]: ...


class _Shelved(Struct, frozen=True):
    """One document as it was read last."""

    entry: Json
    """Without the services it was compiled to: these are decoded."""
    services: Mapping[str, Service]
    """By site."""


class Shelf(Struct):
    """What was decoded last, for whoever reads one commit after another: only what has changed is decoded again."""

    documents: Mapping[str, _Shelved] = field(default_factory=dict)
    """By path."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Path → content of every file then."""
    surroundings: Surroundings | None = None

    def standing(self, tree: Tree, paths: Iterable[str]) -> dict[str, Json]:
        """Give the documents that are what they were, and all that they depend on is."""
        moved = {path for path, _ in tree.files.items() ^ self.files.items()}
        known = self.documents
        return {
            path: known[path].entry
            for path in paths
            if path in known and path not in moved and moved.isdisjoint(known[path].entry["depends"])
        }


def read_catalogue(
    tree: Tree, cache: Cache | None = None, include: Iterable[str] | None = None, shelf: Shelf | None = None
) -> Catalogue:
    """Read every document of a commit; faults are found all at once and stand in the catalogue.

    `include` narrows which files are read as documents (what they import is read anyway): patterns as of
    `fnmatch`, in which `*` also crosses folders. `shelf` only saves time. `RepositoryError` if the tree cannot be read.
    """
    with collector.at_rest():
        shelf = shelf or Shelf()
        reading = _Reading(tree, cache, entries.candidates(tree, include), shelf)
        reading.run()
        return _assemble(tree, reading, shelf)


class _Reading:
    """Brings every entry up to date: from the cache where it is still true, else compiled anew."""

    def __init__(self, tree: Tree, cache: Cache | None, paths: Sequence[str], shelf: Shelf) -> None:
        self._tree = tree
        self._cache = cache
        self._paths = paths
        self._shelf = shelf
        self._compiler: _Compiler | None = None
        self._fresh: set[str] = set()
        self.entries: dict[str, Json] = {}
        self.surroundings = Surroundings({}, {}, {}, {})
        self.unanswered: frozenset[str] = frozenset()
        """Paths the second judge is to be asked about again."""

    def run(self) -> None:
        standing = self._shelf.standing(self._tree, self._paths)
        keys = {path: self._key(path) for path in self._paths if path not in standing}
        kept = self._cache.get_many(list(keys.values())) if self._cache is not None else {}
        for path in self._paths:
            entry = standing[path] if path in standing else self._kept(kept.get(keys[path]))
            if entry is None:
                entry = self._compile().begin(path)
                self._fresh.add(path)
            self.entries[path] = entry
        self.surroundings = _surroundings(self.entries)
        if self.surroundings == self._shelf.surroundings:
            self.surroundings = self._shelf.surroundings  # whoever compares sites is quick where they are the same
        else:
            standing = {}
        for path, entry in self.entries.items():
            if path in standing or entry["kind"] != "service":
                continue
            if entry["surroundings"] != self.surroundings.digest(entry):
                self.entries[path] = self._compile().finish(path, entry, self.surroundings)
                self._fresh.add(path)
        if self._fresh:
            self._keep()
            self._compiler = None
            collector.sweep()

    def _kept(self, text: bytes | None) -> Json | None:
        """Read what was kept of a document, unless something it depends on has changed."""
        entry = _read(text) if text is not None else None
        return entry if entry is not None and entries.is_current(entry, self._tree) else None

    def _key(self, path: str) -> str:
        return entries.key(path, self._tree.files[path])

    def _compile(self) -> _Compiler:
        """Load the compiler: by name and late, because it brings the YAML reader and the second judge with it."""
        if self._compiler is None:
            self._compiler = cast("_Compiler", import_module("specs.tosca.compiler").Compiler(self._tree))
        return self._compiler

    def _keep(self) -> None:
        fresh = {path: self.entries[path] for path in sorted(self._fresh)}
        self.unanswered = self._compile().judge(fresh)
        if self._cache is not None:
            kept = {self._key(path): _json(entry) for path, entry in fresh.items() if path not in self.unanswered}
            self._cache.put(kept)


_PARTS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_VARIANTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def _read(text: bytes) -> Json | None:
    """Read what was kept of a document, the nodes of its services only as text; None if it cannot be read."""
    try:
        entry = _parts(_PARTS.decode(text), "variants")
        if entry["kind"] == "service":
            entry["variants"] = [_parts(variant, "nodes") for variant in _VARIANTS.decode(entry["variants"])]
    except msgspec.DecodeError:
        return None
    entry["depends"] = {intern(path): content for path, content in entry["depends"].items()}
    return entry


def _parts(parts: Mapping[str, msgspec.Raw], left: str) -> Json:
    """Decode all but one."""
    return {name: part if name == left else msgspec.json.decode(part) for name, part in parts.items()}


def _json(entry: Json) -> bytes:
    return json.dumps(entry, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _surroundings(found: Mapping[str, Json]) -> Surroundings:
    sites: dict[str, Site] = {}
    inputs: dict[str, Json] = {}
    input_files: dict[str, str] = {}
    substitutes: dict[str, list[str]] = {}
    for path, entry in found.items():
        kind = entry["kind"]
        if kind == "service":
            if entry["substitutes"]:
                substitutes.setdefault(entry["substitutes"], []).append(path)
        elif kind == "site":
            site = decode_site(entry["site"])
            sites.setdefault(site.name, site)
        elif kind == "inputs":
            name = entries.site_of_inputs(path)
            input_files[name] = path
            inputs[name] = entry.get("inputs", {})
    return Surroundings(dict(sorted(sites.items())), inputs, input_files, substitutes)


# --- the whole ---


def _assemble(tree: Tree, reading: _Reading, shelf: Shelf) -> Catalogue:
    found, surroundings = reading.entries, reading.surroundings
    documents = {path: _shelved(entry, shelf.documents.get(path)) for path, entry in found.items()}
    shelf.surroundings, shelf.files = surroundings, tree.files
    shelf.documents = {path: document for path, document in documents.items() if path not in reading.unanswered}
    services = _services(documents, surroundings.sites)
    alerts = tuple(decode_alerts(entry["alerts"]) for entry in found.values() if entry["kind"] == "alerts")
    diagnostics = set(_own_diagnostics(found))
    diagnostics.update(_double_sites(found), _double_services(found), _site_faults(found, surroundings.sites))
    diagnostics.update(_input_faults(found, surroundings))
    if alerts and not any(one.severity is Severity.ERROR for one in diagnostics):
        known = {service.name: service for on_site in services.values() for service in on_site.values()}
        for one in alerts:
            diagnostics.update(mismatches(one, known.values()))
    return Catalogue(
        commit=tree.commit,
        sites=surroundings.sites,
        alerts=alerts,
        diagnostics=tuple(sorted(diagnostics)),
        services=services,
    )


def _own_diagnostics(found: Mapping[str, Json]) -> Iterable[Diagnostic]:
    """Give what was said about each document; a library speaks through those that import it, if there are any."""
    imported = set[str]().union(*(entry["depends"] for entry in found.values() if entry["kind"] != "library"))
    for path, entry in found.items():
        if entry["diagnostics"] and (entry["kind"] != "library" or path not in imported):
            yield from map(decode_diagnostic, entry["diagnostics"])


def _shelved(entry: Json, before: _Shelved | None) -> _Shelved:
    """Decode a service for each of its sites; without late values it is the same object on all with equal inputs."""
    if before is not None and before.entry is entry:
        return before
    if entry["kind"] != "service":
        return _Shelved(entry, {})
    found: dict[str, Service] = {}
    shared: dict[int, Service] = {}
    for site, variant in entry["by_site"].items():
        data = entry["variants"][variant]
        service = decode_service(data, site) if data["late"] or variant not in shared else shared[variant]
        shared[variant] = service
        found[site] = service
    return _Shelved({**entry, "variants": ()}, found)


def _services(documents: Mapping[str, _Shelved], sites: Mapping[str, Site]) -> Mapping[str, Mapping[str, Service]]:
    of_sites: dict[str, dict[str, Service]] = {name: {} for name in sites}
    compiled = [document for document in documents.values() if document.services]
    for document in sorted(compiled, key=lambda document: str(document.entry["name"])):
        for site, service in document.services.items():
            of_sites[site].setdefault(service.name, service)
    return of_sites


def _error(position: Position, code: str, message: str) -> Diagnostic:
    return Diagnostic(position.file, position.line, position.column, Severity.ERROR, code, message)


def _double_sites(found: Mapping[str, Json]) -> Iterable[Diagnostic]:
    first: dict[str, str] = {}
    for path, entry in found.items():
        if entry["kind"] == "site":
            name = entry["site"]["name"]
            if first.setdefault(name, path) != path:
                message = f"{first[name]} is the site {name!r} already; give this one another metadata.site"
                yield _error(Position(path, 1, 1), "duplicate-site", message)


def _double_services(found: Mapping[str, Json]) -> Iterable[Diagnostic]:
    first: dict[str, str] = {}
    for path, entry in found.items():
        if entry["kind"] == "service" and entry["alone"] and entry["name"]:
            name = entry["name"]
            if first.setdefault(name, path) != path:
                message = f"{first[name]} is the service {name!r} already; give this one another metadata.service"
                yield _error(Position(path, 1, 1), "duplicate-service", message)


def _site_faults(found: Mapping[str, Json], sites: Mapping[str, Site]) -> Iterable[Diagnostic]:
    """Say which services name a site that is none, or none where there are several."""
    if any(entry["kind"] == "other" and entry["diagnostics"] for entry in found.values()):
        return  # a document that cannot even be recognised may be the site
    for entry in found.values():
        if entry["kind"] != "service" or not entry["alone"]:
            continue
        names, labels, everywhere = entry["sites"]
        for name in names:
            if name not in sites:
                message = f"there is no site {name!r}{suggest(name, sites)}"
                yield _error(decode_position(entry["position"]), "unknown-site", message)
        if not (names or labels or everywhere):
            if len(sites) != 1:
                which = f"say so in metadata.sites{suggest('', sites)}" if sites else "add a site spec"
                message = f"it is not clear where {entry['name']!r} runs; {which}"
                yield _error(decode_position(entry["position"]), "no-site", message)
        elif labels and not any(map(decode_selector(entry["sites"]).selects, sites.values())):
            place = decode_position(entry["position"])
            message = f"no site has the labels {', '.join(f'{k}: {v}' for k, v in labels.items())}"
            yield Diagnostic(place.file, place.line, place.column, Severity.WARNING, "no-site", message)


def _input_faults(found: Mapping[str, Json], surroundings: Surroundings) -> Iterable[Diagnostic]:
    names = {entry["name"] for entry in found.values() if entry["kind"] == "service"}
    for site, path in surroundings.input_files.items():
        if site not in surroundings.sites:
            message = f"there is no site {site!r}{suggest(site, surroundings.sites)}"
            yield Diagnostic(path, 1, 1, Severity.WARNING, "unknown-site", message)
        for name, place in found[path].get("places", {}).items():
            if name != "all" and name not in names:
                where = decode_position(place)
                message = f"there is no service {name!r}{suggest(name, names)}"
                yield Diagnostic(where.file, where.line, where.column, Severity.WARNING, "unknown-service", message)
