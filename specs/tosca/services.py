"""Compiles a service spec with the inputs of one site, or of several that are given the same."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from specs.model import Group, Node, Policy, Position, Service, SiteSelector
from specs.tosca.circles import check_circles
from specs.tosca.cursor import Cursor
from specs.tosca.grouping import groups, policies
from specs.tosca.interfaces import Files
from specs.tosca.lifecycle import Lifecycle
from specs.tosca.naming import is_name, need_name
from specs.tosca.nodes import metadata, nodes, plain_text
from specs.tosca.scaling import check_scaling
from specs.tosca.substitution import check_mappings
from specs.tosca.topology import Setting, Topology
from specs.tosca.wording import kind_of

SITE_KEYS = ("sites", "site_labels")


class Head(Struct, frozen=True, kw_only=True):
    """What can be said about a service spec before it is compiled."""

    name: str
    sites: SiteSelector
    alone: bool
    """Whether it runs by itself: not if it only substitutes a node type of others."""
    inputs: tuple[str, ...]
    substitutes: str
    """The node type it stands in for; empty if it is no substitution."""
    uses: tuple[str, ...]
    """The types of its nodes, as written."""


def read_head(top: Cursor) -> Head:
    """Read what tells a service from others; the rest of the document is looked at later."""
    fields = top.fields()
    topology = fields["topology_template"].fields()
    mappings = topology["substitution_mappings"].fields() if "substitution_mappings" in topology else {}
    substitutes = mappings["node_type"].value if "node_type" in mappings else ""
    selector = _selector(fields.get("metadata"))
    return Head(
        name=_name(top, fields),
        sites=selector,
        alone=not substitutes or selector != SiteSelector(),
        inputs=tuple(topology["inputs"].fields()) if "inputs" in topology else (),
        substitutes=substitutes if isinstance(substitutes, str) else "",
        uses=_types_used(topology),
    )


def _name(top: Cursor, fields: Mapping[str, Cursor]) -> str:
    """Find the name: metadata `sfci`, `service` or `template_name`, the key `template_name`, or the file's."""
    given = _raw(fields.get("metadata"))
    for place in (given.get("sfci"), given.get("service"), given.get("template_name"), fields.get("template_name")):
        text = plain_text(place.value) if place is not None else None
        if place is not None and text:
            return text if need_name(text, "service", place, key=False) else ""
    stem = top.source.path.rpartition("/")[2].rpartition(".")[0]
    if not is_name(stem):
        need_name(stem, "service", top)
        return ""
    return stem


def _raw(cursor: Cursor | None) -> Mapping[str, Cursor]:
    return cursor.fields() if cursor is not None and isinstance(cursor.value, dict) else {}


def _types_used(topology: Mapping[str, Cursor]) -> tuple[str, ...]:
    written = _raw(topology.get("node_templates"))
    types = [node.value.get("type") for node in written.values() if isinstance(node.value, dict)]
    return tuple(sorted({name for name in types if isinstance(name, str)}))


def _selector(cursor: Cursor | None) -> SiteSelector:
    given = _raw(cursor)
    names: list[str] = []
    if "sites" in given:
        written = given["sites"]
        if isinstance(written.value, str):
            names = [name.strip() for name in written.value.split(",") if name.strip()]
        elif isinstance(written.value, list):
            names = list(written.texts())
        else:
            message = f"'sites' is a list of sites, text with commas, or all; not {kind_of(written.value)}"
            written.error("wrong-shape", message)
    labels = {}
    for key, item in given["site_labels"].fields().items() if "site_labels" in given else ():
        labels[key] = plain_text(item.value) or ""
    return SiteSelector(
        names=tuple(dict.fromkeys(name for name in names if name != "all")), labels=labels, everywhere="all" in names
    )


def compile_service(
    top: Cursor, head: Head, setting: Setting, files: Files, clusters: Mapping[str, frozenset[str]]
) -> Service:
    """Compile a service; `clusters` are those of the sites that it is compiled for.

    What is wrong is reported to the faults of `top`; the result is of use only if nothing is.
    """
    fields = top.fields()
    topology = Topology(fields["topology_template"], setting)
    topology.check_inputs()
    check_mappings(topology)
    found = _Parts(clusters)
    found.nodes = {node.name: node for node in nodes(topology, files)}
    found.collect(topology)
    _check_workflows(topology)
    written = fields.get("metadata")
    return Service(
        name=head.name,
        metadata=_metadata(written),
        sites=head.sites,
        nodes=dict(sorted(found.nodes.items())),
        states={name: dict(sorted(states.items())) for name, states in sorted(found.lifecycle.states.items())},
        groups=dict(sorted(found.groups.items())),
        policies=dict(sorted(found.policies.items())),
        outputs=topology.outputs,
        position=Position(top.source.path, 1, 1),
    )


def _metadata(cursor: Cursor | None) -> Mapping[str, str]:
    """Read the document's metadata without `site_labels`, which is a mapping."""
    if cursor is None or not isinstance(cursor.value, dict):
        return metadata(cursor)
    kept = {key: value for key, value in cursor.value.items() if key != "site_labels"}
    return metadata(Cursor(cursor.source, cursor.faults, cursor.pointer, kept))


class _Parts:
    """What a topology consists of, those that stand in for its nodes included."""

    def __init__(self, clusters: Mapping[str, frozenset[str]]) -> None:
        self.nodes: dict[str, Node] = {}
        self.groups: dict[str, Group] = {}
        self.policies: dict[str, Policy] = {}
        self.lifecycle = Lifecycle(clusters)

    def collect(self, topology: Topology) -> None:
        """Add the groups, policies and states of a topology and of the inner ones."""
        self.groups.update(groups(topology))
        own = policies(topology)
        self.policies.update(own)
        self.lifecycle.read(topology, own)
        check_circles(topology)
        check_scaling(topology, own)
        for node in topology.nodes.values():
            if node.inner is not None:
                self.collect(node.inner)


def _check_workflows(topology: Topology) -> None:
    for name, cursor in topology.fields["workflows"].fields().items() if "workflows" in topology.fields else ():
        given = cursor.fields(
            frozenset({"description", "metadata", "inputs", "preconditions", "steps", "implementation", "outputs"})
        )
        if "steps" in given:
            for step in given["steps"].fields().values():
                step.fields()
        cursor.warning("not-run", f"the workflow {name!r} is not run: the plan works out the order", key=True)
