"""Finds what fulfils the requirements of a node template: named, filtered for, or the only one there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from specs.tosca.assignments import Assignments
from specs.tosca.cursor import Cursor
from specs.tosca.definitions import Kind, RequirementDefinition, Type
from specs.tosca.filters import read_filter
from specs.tosca.functions import Entity, Frame, World
from specs.tosca.typebuilder import read_occurrences
from specs.tosca.typesystem import TypeSpace
from specs.tosca.wording import suggest

_TRY = 5
"""What it costs to hold a filter against a node, in values."""
_ENOUGH = 10
"""How many candidates a message names at most."""

_ASSIGNMENT_KEYS = frozenset(
    {
        "node",
        "capability",
        "relationship",
        "node_filter",
        "occurrences",
        "description",
        "properties",
        "count",
        "directives",
    }
)
_RELATIONSHIP_KEYS = frozenset({"type", "properties", "attributes", "interfaces", "description", "metadata"})


class RelationshipTemplate(Struct, frozen=True, kw_only=True):
    """A relationship written on its own, to be named by requirements."""

    type: Type
    cursor: Cursor
    properties: Mapping[str, Cursor]


class Bond(Struct, frozen=True, kw_only=True):
    """One fulfilled requirement; `properties` are those of its relationship."""

    name: str
    target: str
    capability: str
    relationship: str
    types: tuple[str, ...]
    """The relationship's type and its ancestors, nearest first."""
    cursor: Cursor
    properties: Assignments | None = None
    explicit: bool = False
    """Whether the relationship is spelled out, so that what it needs must be given."""


class Candidates:
    """Who could fulfil a requirement, by type: looked up once for all nodes of one type."""

    def __init__(self, nodes: Mapping[str, Entity]) -> None:
        self._by_type: dict[str, list[Entity]] = {}
        for node in nodes.values():
            self._by_type.setdefault(node.type.name, []).append(node)

    def of(self, node_type: str) -> Iterable[Sequence[Entity]]:
        """Give the nodes of a type (any, if empty), those of equal type together."""
        for nodes in self._by_type.values():
            if not node_type or nodes[0].type.is_a(node_type):
                yield nodes


class Seeker(Struct, frozen=True, kw_only=True):
    """A node template that looks for what it requires."""

    entity: Entity
    home: Cursor
    assigned: Sequence[tuple[str, Cursor]]
    mapped: frozenset[str]
    """Requirements that are fulfilled from outside, by substitution."""
    nodes: Mapping[str, Entity]
    candidates: Candidates
    relationships: Mapping[str, RelationshipTemplate]
    space: TypeSpace
    world: World


def resolve(seeker: Seeker) -> tuple[Bond, ...]:
    """Fulfil every requirement of a node template; what cannot be is reported."""
    return _Resolver(seeker).run()


class _Resolver:
    def __init__(self, seeker: Seeker) -> None:
        self._seeker = seeker
        self._type = seeker.entity.type

    def run(self) -> tuple[Bond, ...]:
        bonds: list[Bond] = []
        counts: dict[str, int] = {}
        for name, cursor in self._seeker.assigned:
            definition = self._type.requirements.get(name)
            if definition is None:
                if not self._type.broken:
                    hint = suggest(name, self._type.requirements)
                    cursor.error(
                        "unknown-requirement", f"{self._type.name} has no requirement {name!r}{hint}", key=True
                    )
                continue
            counts[name] = counts.get(name, 0) + 1
            bonds.extend(self._assigned(definition, cursor))
        for name, definition in self._type.requirements.items():
            bonds.extend(self._rest(definition, counts.get(name, 0)))
        return tuple(bonds)

    def _rest(self, definition: RequirementDefinition, count: int) -> Iterable[Bond]:
        """Check how often a requirement is fulfilled; one that is left out goes to the only candidate."""
        low, high = definition.occurrences
        home, name = self._seeker.home, definition.name
        if high is not None and count > high:
            home.error("occurrences", f"{name!r} is required {count} times, but at most {high} are allowed", key=True)
        if count >= low or name in self._seeker.mapped or self._type.broken:
            return
        if count:
            home.error("occurrences", f"{name!r} is required {count} times, but at least {low} are needed", key=True)
            return
        yield from self._only_candidate(definition, definition.node, home, ())

    def _assigned(self, definition: RequirementDefinition, cursor: Cursor) -> Iterable[Bond]:
        if isinstance(cursor.value, str):
            yield from self._named(definition, cursor, cursor, {})
            return
        given = cursor.fields(_ASSIGNMENT_KEYS)
        if "occurrences" in given:
            read_occurrences(given["occurrences"], (1, 1))
        if "node" in given:
            yield from self._named(definition, given["node"], cursor, given)
        elif not (definition.name in self._seeker.mapped and not given):
            filters = (given["node_filter"],) if "node_filter" in given else ()
            yield from self._only_candidate(definition, definition.node, cursor, filters, given)

    def _named(
        self, definition: RequirementDefinition, node: Cursor, cursor: Cursor, given: Mapping[str, Cursor]
    ) -> Iterable[Bond]:
        name = node.text()
        if not node.is_text:
            return
        target = self._seeker.nodes.get(name)
        if target is not None:
            yield from self._bond(definition, target, cursor, given)
            return
        full = self._seeker.space.full_name(Kind.NODE, name)
        if not full:
            hint = suggest(name, self._seeker.nodes)
            node.error("unknown-node", f"there is no node template (and no node type) {name!r}{hint}")
            return
        filters = (given["node_filter"],) if "node_filter" in given else ()
        yield from self._only_candidate(definition, full, cursor, filters, given)

    # --- candidates ---

    def _only_candidate(
        self,
        definition: RequirementDefinition,
        node_type: str,
        cursor: Cursor,
        filters: Sequence[Cursor],
        given: Mapping[str, Cursor] | None = None,
    ) -> Iterable[Bond]:
        given = given or {}
        found = self._candidates(definition, node_type, (*definition.filters, *filters), given)
        wanted = node_type or definition.capability
        if len(found) == 1:
            yield from self._bond(definition, found[0], cursor, given)
        elif found:
            names = ", ".join(sorted(node.name for node in found))
            message = f"{definition.name!r} could mean any of {names}; name one"
            cursor.error("ambiguous-requirement", message, key=True)
        else:
            which = "that passes the filter " if filters or definition.filters else ""
            message = (
                f"nothing {which}fulfils the requirement {definition.name!r} ({wanted}) of {self._seeker.entity.name!r}"
            )
            cursor.error("unfulfilled-requirement", f"{message}; name a node template", key=True)

    def _candidates(
        self, definition: RequirementDefinition, node_type: str, filters: Sequence[Cursor], given: Mapping[str, Cursor]
    ) -> Sequence[Entity]:
        """Find who could be meant; a few are enough to know that it is not clear."""
        found: list[Entity] = []
        faults = self._seeker.home.faults
        read = [read_filter(one.reporting_to(faults), self._seeker.space) for one in filters]
        for nodes in self._seeker.candidates.of(node_type):
            if not self._capability(definition, nodes[0], given):
                continue
            for node in nodes:
                if len(found) > _ENOUGH:
                    return found
                self._seeker.home.faults.spend(_TRY if read else 1)
                if node.name != self._seeker.entity.name and all(one.passes(node) for one in read):
                    found.append(node)
        return found

    # --- bonds ---

    def _capability(self, definition: RequirementDefinition, target: Entity, given: Mapping[str, Cursor]) -> str:
        """Find which capability of a target answers; empty if none does."""
        names = [name for name in target.type.capabilities if self._answers(definition.capability, target, name)]
        if "capability" in given:
            wanted = given["capability"].value
            full = self._seeker.space.full_name(Kind.CAPABILITY, str(wanted))
            names = [
                name for name in names if name == wanted or (full and target.type.capabilities[name].type.is_a(full))
            ]
        usable = [name for name in names if self._may_use(target, name)]
        return next(iter(usable), "")

    def _answers(self, wanted: str, target: Entity, name: str) -> bool:
        return not wanted or name == wanted or target.type.capabilities[name].type.is_a(wanted)

    def _may_use(self, target: Entity, name: str) -> bool:
        sources = target.type.capabilities[name].valid_sources
        return not sources or self._type.is_any(sources)

    def _bond(
        self, definition: RequirementDefinition, target: Entity, cursor: Cursor, given: Mapping[str, Cursor]
    ) -> Iterable[Bond]:
        if target.type.broken:
            return
        if definition.node and not target.type.is_a(definition.node):
            cursor.error(
                "wrong-target",
                f"{definition.name!r} needs a {definition.node}, but {target.name!r} is a {target.type.name}",
            )
            return
        capability = self._capability(definition, target, given)
        if not capability:
            self._no_capability(definition, target, cursor, given)
            return
        yield self._with_relationship(definition, target, capability, cursor, given)

    def _no_capability(
        self, definition: RequirementDefinition, target: Entity, cursor: Cursor, given: Mapping[str, Cursor]
    ) -> None:
        wanted = given["capability"].value if "capability" in given else definition.capability
        place = given.get("capability", cursor)
        closed = [name for name in target.type.capabilities if self._answers(definition.capability, target, name)]
        if closed and "capability" not in given:
            sources = ", ".join(target.type.capabilities[closed[0]].valid_sources)
            place.error(
                "wrong-target", f"{closed[0]!r} of {target.name!r} is only for {sources}, not {self._type.name}"
            )
        else:
            place.error("wrong-target", f"{target.name!r} ({target.type.name}) has no capability {wanted!r} to offer")

    def _with_relationship(
        self,
        definition: RequirementDefinition,
        target: Entity,
        capability: str,
        cursor: Cursor,
        given: Mapping[str, Cursor],
    ) -> Bond:
        relationship, assigned, home = self._relationship(definition, cursor, given)
        explicit = home is not cursor
        if relationship is not None and relationship.valid:
            offered = target.type.capabilities[capability].type
            if not offered.is_any(relationship.valid):
                cursor.error("wrong-target", f"a {relationship.name} cannot lead to a {offered.name}")
        properties = None
        if relationship is not None:
            properties = Assignments(
                f"the relationship of {definition.name!r}",
                relationship.properties,
                assigned,
                frame=Frame(self._seeker.world, source=self._seeker.entity, target=target),
                space=self._seeker.space,
                home=home,
            )
        return Bond(
            name=definition.name,
            target=target.name,
            capability=capability,
            relationship=relationship.name if relationship else "",
            types=relationship.lineage if relationship else (),
            cursor=cursor,
            properties=properties,
            explicit=explicit,
        )

    def _relationship(
        self, definition: RequirementDefinition, cursor: Cursor, given: Mapping[str, Cursor]
    ) -> tuple[Type | None, Mapping[str, Cursor], Cursor]:
        """Find the relationship's type, what is assigned to it, and where it is spelled out."""
        default = (
            self._seeker.space.get(Kind.RELATIONSHIP, definition.relationship) if definition.relationship else None
        )
        extra = given["properties"].fields() if "properties" in given else {}
        if "relationship" not in given:
            return default, extra, cursor
        written = given["relationship"]
        if isinstance(written.value, dict):
            fields = written.fields(_RELATIONSHIP_KEYS)
            _mention_interfaces(fields)
            found = self._named_relationship(fields["type"], default) if "type" in fields else (default, extra, written)
            properties = fields["properties"].fields() if "properties" in fields else {}
            return self._conforming(found[0], default, written), {**found[1], **extra, **properties}, written
        its_type, assigned, _ = self._named_relationship(written, default)
        return self._conforming(its_type, default, written), {**assigned, **extra}, written

    def _named_relationship(
        self, written: Cursor, default: Type | None
    ) -> tuple[Type | None, Mapping[str, Cursor], Cursor]:
        template = self._seeker.relationships.get(str(written.value))
        if template is not None:
            return template.type, template.properties, template.cursor
        return self._seeker.space.need(Kind.RELATIONSHIP, written) or default, {}, written

    def _conforming(self, found: Type | None, default: Type | None, written: Cursor) -> Type | None:
        if found is not None and default is not None and not found.is_a(default.name) and not found.broken:
            written.error("wrong-target", f"this relationship must be a {default.name}, not a {found.name}")
        return found


def _mention_interfaces(fields: Mapping[str, Cursor]) -> None:
    if "interfaces" in fields:
        fields["interfaces"].warning("not-run", "operations of relationships are not run", key=True)


def read_relationships(cursor: Cursor, space: TypeSpace) -> Mapping[str, RelationshipTemplate]:
    """Read the section `relationship_templates`."""
    found = {}
    for name, item in cursor.fields().items():
        fields = item.fields(_RELATIONSHIP_KEYS | {"copy"}, ("type",))
        its_type = space.need(Kind.RELATIONSHIP, fields["type"]) if "type" in fields else None
        _mention_interfaces(fields)
        if its_type is not None:
            properties = fields["properties"].fields() if "properties" in fields else {}
            found[name] = RelationshipTemplate(type=its_type, cursor=item, properties=properties)
    return found
