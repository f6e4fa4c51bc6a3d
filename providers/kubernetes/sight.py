"""Looks at one API server: one list per resource, then a closer look at what is not surely as wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from operator import attrgetter

from msgspec import Struct, field
from msgspec.structs import replace

from providers.answers import understood
from providers.base import Finding, Foreign, Health, PermanentError, Present, ProviderError, Scope
from providers.kubernetes.discovery import Served
from providers.kubernetes.errors import Claimed, Forbidden, Gone, Unchangeable
from providers.kubernetes.health import judge
from providers.kubernetes.kinds import FORMS, KINDS
from providers.kubernetes.listing import Head, Page
from providers.kubernetes.naming import Json, mark_of, selector
from providers.kubernetes.ownership import owned_fields, simulated
from providers.kubernetes.pods import explained
from providers.kubernetes.presenting import Sample, is_as_applied, present, sample_of, wanted_parts
from providers.kubernetes.server import Server
from providers.kubernetes.settings import Settings
from providers.kubernetes.shape import OWN_WORDS, fill, manifest_of, parts_of, rolls_with_of, with_pods_kept
from specs.errors import Severity
from specs.model import Address, Resource, parse_address

_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job")
_MOST_EXPLAINED = 10
"""Workloads on their way whose pods are asked in one look; of those that have failed, all are."""


class View(Struct):
    """What one server answered."""

    present: list[Present] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)
    foreign: list[Foreign] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


class _Known(Struct, frozen=True):
    """What was made of an object, as long as neither it nor the wish changes."""

    version: str
    wish: str
    """Digest of what is wanted of it."""
    present: Present

    def holds(self, version: str, scope: Scope) -> bool:
        """Tell whether it would be made of the same now."""
        return self.version == version and self.wish == _wish(scope.wanted.get(self.present.mark.address))


class _Memory(Struct):
    """What is known of the objects of one resource, by uid; of what the latest list did not give, nothing."""

    basis: tuple[Served, str, str]
    """As what they were listed, for which repository and site."""
    known: dict[str, _Known] = {}


class _Doubt(Struct, frozen=True):
    """What needs a closer look, and where it is noted what came of it."""

    sample: Sample
    memory: _Memory


Source = Callable[[Served, Scope, str], Iterable[Page]]
"""Gives the objects of a resource that are ours, in pages: from a list, or from what a watch has kept."""


class Sight:
    """Sees what is ours behind one API server."""

    def __init__(
        self,
        server: Server,
        settings: Settings,
        threads: int,
        clock: Callable[[], datetime],
        source: Source | None = None,
    ) -> None:
        self._server = server
        self._settings = settings
        self._threads = max(1, threads)
        self._clock = clock
        self._source: Source = source or self._listed
        self._memories: dict[str, _Memory] = {}
        """By resource."""

    def look(self, scope: Scope) -> View:
        """See everything of ours; what cannot be seen is told in `unknown`."""
        view = View()
        try:
            resources = self._resources()
        except ProviderError as error:
            return View(unknown={f"@{cluster}": str(error) for cluster in self._server.clusters})
        with ThreadPoolExecutor(self._threads, thread_name_prefix="kubernetes") as pool:
            doubtful: list[_Doubt] = []
            for served, outcome in zip(resources, pool.map(lambda s: self._sort(s, scope), resources), strict=True):
                found, doubts, why = outcome
                view.present += found
                doubtful += doubts
                if why:
                    self._unknown(view, served, why)
            asked = _to_be_explained(doubt.sample for doubt in doubtful)
            closer = pool.map(lambda doubt: self._closely(doubt, scope, explain=doubt.sample.uid in asked), doubtful)
            for doubt, result in zip(doubtful, closer, strict=True):
                if isinstance(result, str):
                    self._unknown(view, doubt.sample.served, result)
                else:
                    view.present.append(result[0])
                    view.findings += result[1]
            if scope.unmanaged:
                self._look_for_foreign(view, scope, resources, pool)
        view.present.sort(key=attrgetter("mark.address", "provider_id"))
        return view

    # --- what to list ---

    def namespaces(self) -> tuple[str, ...]:
        """Give the namespaces we are confined to; none where we make our own."""
        spots = [self._settings.spots[cluster] for cluster in self._server.clusters]
        return tuple(sorted({spot.namespace for spot in spots})) if all(spot.given for spot in spots) else ()

    def _resources(self) -> list[Served]:
        """Choose what to list: our own kinds and what manifests may bring."""
        confined = bool(self.namespaces())
        found: dict[str, Served] = {}
        for kind, form in FORMS.items():
            if form.namespaced or not confined:
                try:
                    found[form.id] = self._server.discovery.of_kind(kind)
                except Gone:
                    continue
        for name in sorted(self._settings.manifests):
            try:
                found.setdefault(name, self._server.discovery.of_resource(name))
            except Gone:  # its definition is not there, so nothing of it is
                continue
        return list(found.values())

    def _listed(self, served: Served, scope: Scope, namespace: str) -> Iterator[Page]:
        chosen = selector(scope.repository, scope.site)
        for _, page in self._server.pages(served, chosen, namespace, metadata_only=served.form.metadata_only):
            yield page

    # --- listing ---

    def _sort(self, served: Served, scope: Scope) -> tuple[list[Present], list[_Doubt], str]:
        """List one resource; give what is clear, what needs a closer look, and why the list is not complete."""
        clear: dict[str, Present] = {}
        doubtful: dict[str, _Doubt] = {}
        why = ""
        basis = (served, scope.repository, scope.site)
        before = self._memories.get(served.form.id)
        known = before.known if before and before.basis == basis else {}
        memory = _Memory(basis)
        try:
            with understood(f"the list of {served.form.id}"):
                for head, page, number in self._heads(served, scope):
                    # a list that had to begin anew gives some objects twice; the later one counts
                    clear.pop(head.uid, None)
                    doubtful.pop(head.uid, None)
                    found = known.get(head.uid)
                    if found is None or not found.holds(head.version, scope):
                        sample = self._sample(served, page.body(number), scope)
                        if sample is None:
                            continue
                        found = self._clear(sample, scope.wanted.get(sample.mark.address))
                        if found is None:
                            doubtful[head.uid] = _Doubt(sample, memory)
                            continue
                    clear[head.uid] = found.present
                    memory.known[head.uid] = found
            self._memories[served.form.id] = memory
        except Gone as error:
            why = "" if served.form.kind == "object" else str(error)
            self._server.discovery.forget()
        except ProviderError as error:
            why = str(error)
        return list(clear.values()), list(doubtful.values()), why

    def _heads(self, served: Served, scope: Scope) -> Iterator[tuple[Head, Page, int]]:
        """Walk the objects of a resource, unread: which it is, and where it stands."""
        for namespace in self.namespaces() or ("",):
            for page in self._source(served, scope, namespace if served.form.namespaced else ""):
                for number, head in enumerate(page.heads):
                    yield head, page, number

    def _sample(self, served: Served, body: Json, scope: Scope) -> Sample | None:
        """Take an object if it is ours."""
        mark = mark_of(body["metadata"], scope.repository)
        if mark is None:
            return None
        parts = parse_address(mark.address)
        if parts.kind not in (served.form.kind, "object") or parts.site != scope.site:
            return None
        return self._as_written(sample_of(served, body, mark, self._server.clusters), scope)

    def _as_written(self, sample: Sample, scope: Scope) -> Sample:
        """Read the object of a manifest again in the version the manifest is written in, if that is another one."""
        wanted = scope.wanted.get(sample.mark.address)
        if wanted is None or wanted.kind != "object" or wanted.properties["api_version"] == sample.served.api_version:
            return sample
        try:
            served = self._server.served(wanted)
        except Gone:
            return sample
        metadata = sample.body["metadata"]
        body = self._server.get(served, metadata.get("namespace", ""), metadata["name"])
        return sample if body is None else replace(sample, served=served, body=body)

    def _clear(self, sample: Sample, wanted: Resource | None) -> _Known | None:
        """Show an object at once if nothing has to be asked for it."""
        verdict = judge(sample.body, sample.served.form.object)
        waits = verdict[0] not in (Health.HEALTHY, Health.SUSPENDED)
        if waits and sample.served.form.object in _WORKLOADS:
            return None
        if wanted is not None and not is_as_applied(sample, wanted):
            return None
        return _Known(sample.version, _wish(wanted), present(sample, wanted, verdict=verdict))

    def _unknown(self, view: View, served: Served, why: str) -> None:
        for cluster in self._server.clusters:
            view.unknown[f"{served.form.kind}@{cluster}"] = why
            view.unknown[f"object@{cluster}"] = why

    # --- the closer look ---

    def _closely(self, doubt: _Doubt, scope: Scope, *, explain: bool) -> tuple[Present, list[Finding]] | str:
        """Look closer at an object; why that is not possible, if it cannot be understood."""
        try:
            with understood(f"{doubt.sample.served.form.object} {doubt.sample.mark.address}"):
                return self._examined(doubt, scope, explain=explain)
        except ProviderError as error:
            return str(error)

    def _examined(self, doubt: _Doubt, scope: Scope, *, explain: bool) -> tuple[Present, list[Finding]]:
        """Ask the server what applying would change, and the pods why they do not come up."""
        sample = doubt.sample
        wanted = scope.wanted.get(sample.mark.address)
        verdict = judge(sample.body, sample.served.form.object)
        if explain:
            verdict = explained(self._server, sample.body, verdict, self._clock())
        if wanted is None or is_as_applied(sample, wanted) or sample.body["metadata"].get("deletionTimestamp"):
            return present(sample, wanted, verdict=verdict), []
        if wanted.kind == "secret" or wanted.properties["cluster"] != sample.cluster:
            return present(sample, wanted, verdict=verdict), []
        try:
            answer, findings, in_place = self._asked(sample, wanted)
        except ProviderError:
            answer, findings, in_place = self._guessed(sample, wanted), [], True
        seen = present(sample, wanted, answer, verdict, in_place=in_place)
        if not findings and verdict[0] is Health.HEALTHY:
            doubt.memory.known[sample.uid] = _Known(sample.version, _wish(wanted), seen)
        return seen, findings

    def _asked(self, sample: Sample, wanted: Resource) -> tuple[Json, list[Finding], bool]:
        """Apply on trial: what the server would make of the wanted, what stands in the way, and whether it can."""
        force = wanted.properties.get("force") is True
        body = manifest_of(_filled(sample, wanted), sample.served.api_version, sample.served.form.object, sample.mark)
        try:
            answer = self._server.apply(sample.served, body, sample.body, force=force, dry_run=True)
            return parts_of(answer), [], True
        except Claimed as error:
            return self._guessed(sample, wanted), [_error(wanted.address, str(error))], True
        except Unchangeable as error:
            guess = self._guessed(sample, wanted)
            if wanted.kind == "object":
                return guess, [], False
            shown = present(sample, wanted, guess).properties
            fixed = KINDS[wanted.kind].replaced_by
            replaced = any(shown.get(name) != wanted.properties.get(name) for name in fixed)
            return guess, [] if replaced else [_error(wanted.address, str(error))], True
        except Forbidden as error:
            return self._guessed(sample, wanted), [Finding(Severity.WARNING, str(error), wanted.address)], True
        except PermanentError as error:
            return self._guessed(sample, wanted), _refusal(wanted.address, error), True

    def _guessed(self, sample: Sample, wanted: Resource) -> Json:
        """Work out from the record of ownership what the server would not say."""
        parts = wanted_parts(_filled(sample, wanted))
        return simulated(parts, parts_of(sample.body), owned_fields(sample.body["metadata"]))

    # --- what is not ours ---

    def _look_for_foreign(self, view: View, scope: Scope, resources: list[Served], pool: ThreadPoolExecutor) -> None:
        spaces = {str(r.properties["namespace"]) for r in scope.wanted.values() if "namespace" in r.properties}
        jobs = [(s, space) for s in resources for space in (sorted(spaces) if s.form.namespaced else [""])]

        def strangers(job: tuple[Served, str]) -> list[Foreign] | str:
            try:
                return list(self._strangers(*job, scope))
            except ProviderError as error:
                return str(error)

        for (served, _), found in zip(jobs, pool.map(strangers, jobs), strict=True):
            if isinstance(found, str):
                self._unknown(view, served, found)
            else:
                view.foreign += found

    def _strangers(self, served: Served, namespace: str, scope: Scope) -> Iterator[Foreign]:
        for _, page in self._server.pages(served, "", namespace, metadata_only=True):
            for body in page:
                metadata = body["metadata"]
                owned = any(owner.get("controller") for owner in metadata.get("ownerReferences") or ())
                if not owned and mark_of(metadata, scope.repository) is None:
                    where = f"{self._server.handle}:{served.form.id}/{metadata.get('namespace', '')}"
                    yield Foreign(served.form.kind, f"{where}/{metadata['name']}#{metadata['uid']}", metadata["name"])


def _wish(wanted: Resource | None) -> str:
    return wanted.digest if wanted else ""


def _to_be_explained(samples: Iterable[Sample]) -> frozenset[str]:
    """Choose the workloads whose pods are asked why they do not come up: a big rollout asks for a few at a time."""
    failed: set[str] = set()
    on_their_way: list[Sample] = []
    for sample in samples:
        if sample.served.form.object in _WORKLOADS:
            match judge(sample.body, sample.served.form.object)[0]:
                case Health.DEGRADED:
                    failed.add(sample.uid)
                case Health.PROGRESSING:
                    on_their_way.append(sample)
    on_their_way.sort(key=lambda sample: sample.mark.address)
    return frozenset(failed | {sample.uid for sample in on_their_way[:_MOST_EXPLAINED]})


def _filled(sample: Sample, wanted: Resource) -> Resource:
    """Put what is live in the place of what is known only at apply."""
    parts = fill(wanted_parts(wanted), parts_of(sample.body))
    own = {name: value for name, value in wanted.properties.items() if name in OWN_WORDS}
    if "rolls_with" in own:
        own["rolls_with"] = fill(own["rolls_with"], rolls_with_of(sample.body))
    filled = replace(wanted, properties={**own, **(parts if isinstance(parts, Mapping) else {})})
    return with_pods_kept(filled, sample.served.form, sample.body)


def _error(address: Address, message: str) -> Finding:
    return Finding(Severity.ERROR, message, address)


def _refusal(address: Address, error: PermanentError) -> list[Finding]:
    """Tell why the server refuses; that it cannot try is no reason."""
    return [] if "dry run" in str(error) or "dryRun" in str(error) else [_error(address, str(error))]
