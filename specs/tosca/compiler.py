"""Compiles documents into entries of the catalogue: plain JSON data that can be kept and read back.

Imported only when something has changed: everything that reads YAML stands behind this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from specs import codec
from specs.codec import Json
from specs.errors import Diagnostic, Severity
from specs.judge import judge
from specs.model import Position, Service
from specs.tosca import library
from specs.tosca.alerts import compile_alerts
from specs.tosca.cursor import Cursor, Faults, TooMuch
from specs.tosca.entries import Surroundings
from specs.tosca.merge import merged
from specs.tosca.naming import Naming
from specs.tosca.outlines import Outline, Outlines, Unread, give_up
from specs.tosca.services import SITE_KEYS, compile_service
from specs.tosca.sites import compile_site
from specs.tosca.standins import StandIns
from specs.tosca.topology import Setting
from specs.tosca.wording import suggest
from specs.tree import Tree


class Compiler:
    """Compiles documents of one commit."""

    def __init__(self, tree: Tree) -> None:
        judge.start()
        self._outlines = Outlines(tree)
        self._tree = tree

    def begin(self, path: str) -> Json:
        """Give the entry of a document; that of a service is only its head until `finish`."""
        outline = self._outlines.of(path)
        if isinstance(outline, Unread):
            return self._unread(outline)
        try:
            return self._begun(outline)
        except (TooMuch, RecursionError) as error:
            return self._unread(Unread(path, None, give_up(path, outline.faults, error), "other"))

    def _begun(self, outline: Outline) -> Json:
        match outline.kind:
            case "service":
                return self._head(outline, Position(outline.path, 1, 1))
            case "site":
                site = compile_site(outline.top, _setting(outline), outline.files)
                return self._entry(outline, site=codec.encode_site(site))
            case "alerts":
                alerts = compile_alerts(outline.top, _setting(outline))
                return self._entry(outline, alerts=codec.encode_alerts(alerts))
        return self._entry(outline)

    def finish(self, path: str, entry: Json, surroundings: Surroundings) -> Json:
        """Compile a service for every site it runs on."""
        outline = self._outlines.of(path)
        if not isinstance(outline, Outline) or outline.head is None:
            return entry
        variants: list[Json] = []
        by_site: dict[str, int] = {}
        for sites in _alike(surroundings.selected(entry), entry, surroundings):
            variant = self._variant(outline, entry, sites[:1], surroundings)
            if variant is None:
                for site in sites[1:]:  # the same values stand in other files, and are wrong there too
                    self._variant(outline, entry, (site,), surroundings)
            else:
                by_site.update(dict.fromkeys(sites, len(variants)))
                variants.append(variant)
        head = self._head(outline, _place_of_sites(outline.top).position())
        return {**head, "surroundings": surroundings.digest(entry), "variants": variants, "by_site": by_site}

    def _variant(self, outline: Outline, entry: Json, sites: Sequence[str], surroundings: Surroundings) -> Json | None:
        """Compile a service with the inputs of one site, or of none; None if that finds errors."""
        faults = Faults()
        try:
            service = self._service(outline, outline.top.reporting_to(faults), entry, sites, surroundings)
            encoded = codec.encode_service(service)
        except (TooMuch, RecursionError) as error:
            faults, encoded = give_up(outline.path, faults, error), None
        outline.found.update(faults.sorted())
        return None if faults.has_errors else encoded

    def _service(
        self, outline: Outline, top: Cursor, entry: Json, sites: Sequence[str], surroundings: Surroundings
    ) -> Service:
        head = outline.head
        if head is None:
            raise ValueError(f"{outline.path} is no service")
        setting = Setting(
            space=outline.space,
            naming=Naming(head.name),
            given=self._given(top.faults, entry, sites[0], surroundings) if sites else {},
            where=f"on {sites[0]} (inputs/{sites[0]}.yaml)" if sites else "",
            inner=StandIns(self._outlines, outline, surroundings.substitutes).inner,
        )
        clusters = {name: frozenset(surroundings.sites[name].clusters) for name in surroundings.selected(entry)}
        return compile_service(top, head, setting, outline.files, clusters)

    def _given(self, faults: Faults, entry: Json, site: str, surroundings: Surroundings) -> Mapping[str, Cursor]:
        """Find where the inputs of a site are written; those that nobody declares are reported."""
        path = surroundings.input_files.get(site, "")
        document = self._outlines.documents.load(path)[0] if path else None
        if document is None:
            return {}
        written = Cursor.top(document, faults).fields()
        declared = entry["inputs"]
        found: dict[str, Cursor] = {}
        if "all" in written:
            found.update({name: item for name, item in written["all"].fields().items() if name in declared})
        for name, item in written[entry["name"]].fields().items() if entry["name"] in written else ():
            found[name] = item
            if name not in declared:
                item.error("unknown-input", f"{entry['name']} has no input {name!r}{suggest(name, declared)}", key=True)
        return found

    # --- entries ---

    def _unread(self, unread: Unread) -> Json:
        found: Json = {"kind": unread.kind, "depends": {}}
        if unread.kind == "inputs" and unread.document is not None:
            top = Cursor.top(unread.document, unread.faults)
            services = top.fields()
            found["inputs"] = {
                name: {key: one.value for key, one in item.fields().items()} for name, item in services.items()
            }
            found["places"] = {name: codec.encode_position(item.position()) for name, item in services.items()}
        return {**found, "diagnostics": [codec.encode_diagnostic(one) for one in unread.faults.sorted()]}

    def _head(self, outline: Outline, place: Position) -> Json:
        head = outline.head
        if head is None:
            return self._entry(outline)
        return self._entry(
            outline,
            name=head.name,
            sites=codec.encode_selector(head.sites),
            alone=head.alone,
            inputs=list(head.inputs),
            substitutes=head.substitutes,
            uses=list(head.uses),
            position=codec.encode_position(place),
            surroundings="",
            variants=[],
            by_site={},
        )

    def _entry(self, outline: Outline, **more: Json) -> Json:
        diagnostics = sorted({*outline.faults.sorted(), *outline.shared, *outline.found})
        paths = {*outline.closure.looked_for, *outline.files.looked_for, *outline.also_read}
        paths.update(one.file for one in diagnostics if not one.file.startswith(library.PREFIX))
        paths.discard(outline.path)
        return {
            "kind": outline.kind,
            "depends": {path: self._tree.files.get(path, "") for path in sorted(paths)},
            "diagnostics": [codec.encode_diagnostic(one) for one in diagnostics],
            **more,
        }

    # --- second judge ---

    def judge(self, entries: Mapping[str, Json]) -> frozenset[str]:
        """Ask the second judge about every document we find valid, and add what it says to its entry.

        Gives the paths it had no answer for; those are to be asked again next time.
        """
        asked = {path: outline for path in sorted(entries) if (outline := self._sound(path, entries[path])) is not None}
        templates = [merged(outline.top.source, outline.closure.members) for outline in asked.values()]
        unanswered = set()
        for (path, outline), verdicts in zip(
            asked.items(), judge.judge_many(templates) if templates else (), strict=True
        ):
            for verdict in verdicts:
                where = outline.top.source.locate(verdict.pointer)
                found = Diagnostic(path, *where, verdict.severity, verdict.code, verdict.message)
                entries[path]["diagnostics"].append(codec.encode_diagnostic(found))
                if verdict.severity is not Severity.ERROR:
                    unanswered.add(path)
        return frozenset(unanswered)

    def _sound(self, path: str, entry: Json) -> Outline | None:
        outline = self._outlines.of(path)
        if not isinstance(outline, Outline) or outline.kind == "library":
            return None
        return None if any(one[3] == Severity.ERROR for one in entry["diagnostics"]) else outline


def _setting(outline: Outline) -> Setting:
    return Setting(space=outline.space, naming=Naming("-"), where="in a document that gets no inputs")


def _alike(sites: Sequence[str], entry: Json, surroundings: Surroundings) -> Iterable[Sequence[str]]:
    """Put sites with equal inputs together; none at all is one group."""
    groups: dict[str, list[str]] = {}
    for site in sites:
        groups.setdefault(repr(sorted(surroundings.given(entry, site).items())), []).append(site)
    return groups.values() or [()]


def _place_of_sites(top: Cursor) -> Cursor:
    """Find where a service says on which sites it runs, or the nearest place to it."""
    metadata = top.fields().get("metadata")
    given = metadata.fields() if metadata is not None and isinstance(metadata.value, dict) else {}
    return next((given[key] for key in SITE_KEYS if key in given), metadata or top)
