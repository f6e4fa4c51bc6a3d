"""One topology template while it is compiled: its inputs, its node templates and what they ask of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

from msgspec import Struct, field

from specs.model import Subject
from specs.tosca.assignments import Assignments
from specs.tosca.checks import BROKEN, check, verify_default
from specs.tosca.cursor import Cursor
from specs.tosca.definitions import Kind, Schema, Type
from specs.tosca.functions import Frame, Trail, evaluate
from specs.tosca.naming import Naming, need_name
from specs.tosca.requirements import Bond, Candidates, RelationshipTemplate, Seeker, read_relationships, resolve
from specs.tosca.typebuilder import read_schemas
from specs.tosca.typesystem import TypeSpace
from specs.tosca.wording import suggest
from specs.values import Reference, Value

TOPOLOGY_KEYS = frozenset(
    {
        "description",
        "inputs",
        "node_templates",
        "relationship_templates",
        "groups",
        "policies",
        "outputs",
        "substitution_mappings",
        "workflows",
    }
)
_NODE_KEYS = frozenset(
    {
        "type",
        "description",
        "metadata",
        "directives",
        "properties",
        "attributes",
        "requirements",
        "capabilities",
        "interfaces",
        "artifacts",
        "node_filter",
        "copy",
    }
)
_CAPABILITY_KEYS = frozenset({"properties", "attributes", "occurrences", "directives"})
_OUTPUT_KEYS = frozenset({"description", "value", "type", "required"})


MAX_COPIES = 20
"""How long a chain of node templates that copy one another may be."""
_EFFORT = 100
_NODE_EFFORT = 30
"""What a topology, and a node template, cost beside their values."""


class Setting(Struct, frozen=True, kw_only=True):
    """What a topology is compiled in."""

    space: TypeSpace
    naming: Naming
    given: Mapping[str, Cursor] = field(default_factory=dict)
    """Inputs that are given, each where it is written."""
    where: str = ""
    """Which site's inputs these are, in words; empty if nobody gives any, and none are missed."""
    trail: Trail = field(default_factory=Trail)
    inner: Callable[[NodeTemplate], Topology | None] = lambda node: None
    """Finds the topology that stands in for an abstract node."""


class NodeTemplate:
    """One node template; its values are worked out when somebody asks."""

    def __init__(
        self,
        topology: Topology,
        name: str,
        cursor: Cursor,
        layers: Sequence[Mapping[str, Cursor]],
        its_type: Type,
    ) -> None:
        self.topology = topology
        cursor.faults.spend(_NODE_EFFORT + len(its_type.capabilities) + len(its_type.interfaces))
        self.name = name
        self.cursor = cursor
        self.type = its_type
        self._layers = layers
        self._sections: dict[str, Mapping[str, Cursor]] = {}
        self._capabilities: dict[str, Assignments] = {}
        self._binding = False

    @property
    def subject(self) -> Subject:
        """What references to it point at."""
        return self.topology.naming.subject(self.name)

    @cached_property
    def inner(self) -> Topology | None:
        """The topology that stands in for it; None if it is what it says."""
        return self.topology.setting.inner(self)

    @property
    def frame(self) -> Frame:
        """Where its functions stand."""
        return Frame(self.topology, self)

    def field(self, key: str) -> Cursor | None:
        """Find one of its keys, or that of the template it copies."""
        for layer in self._layers:
            if key in layer:
                return layer[key]
        return None

    def section(self, key: str) -> Mapping[str, Cursor]:
        """Read one of its mappings, over that of the template it copies."""
        if key not in self._sections:
            found: dict[str, Cursor] = {}
            for layer in reversed(self._layers):
                found.update(layer[key].fields() if key in layer else {})
            self._sections[key] = found
        return self._sections[key]

    # --- values ---

    @cached_property
    def properties(self) -> Assignments:
        """What is assigned to its properties."""
        return self._assignments(repr(self.name), self.type.properties, self.section("properties"), self.cursor)

    @cached_property
    def _attributes(self) -> Assignments:
        label = f"the attributes of {self.name!r}"
        return self._assignments(label, self.type.attributes, self.section("attributes"), self.cursor)

    def _assignments(
        self, label: str, schemas: Mapping[str, Schema], assigned: Mapping[str, Cursor], home: Cursor
    ) -> Assignments:
        return Assignments(label, schemas, assigned, frame=self.frame, space=self.topology.space, home=home)

    def property(self, name: str) -> Value:
        """Work out a property; None if it has no value."""
        return self.properties.get(name)

    def capability(self, name: str) -> Assignments:
        """Give what is assigned to the properties of a capability."""
        if name not in self._capabilities:
            cursor = self.section("capabilities").get(name)
            given = cursor.fields(_CAPABILITY_KEYS) if cursor is not None else {}
            assigned = given["properties"].fields() if "properties" in given else {}
            self._capabilities[name] = self._assignments(
                f"the capability {name!r} of {self.name!r}",
                self.type.capabilities[name].properties,
                assigned,
                cursor or self.cursor,
            )
        return self._capabilities[name]

    def capability_property(self, capability: str, name: str) -> Value:
        """Work out a property of a capability; None if it has no value."""
        return self.capability(capability).get(name)

    def attribute(self, name: str, cursor: Cursor) -> Value:
        """Give an attribute: what the template or a substitution says, else a reference to the world."""
        if self.inner is not None:
            return self.inner.outer_attribute(name, cursor)
        if name in self.section("attributes"):
            return self._attributes.get(name)
        return self.name if name == "tosca_name" else Reference(self.subject, name)

    def artifact(self, name: str) -> str | None:
        """Give the file of an artifact; None if there is none of that name."""
        cursor = self.section("artifacts").get(name) or self.type.artifacts.get(name)
        match cursor.value if cursor is not None else None:
            case str() as file:
                return file
            case {"file": str() as file}:
                return file
        return None

    # --- requirements ---

    @cached_property
    def bonds(self) -> tuple[Bond, ...]:
        """What its requirements come to."""
        cursor = self.field("requirements")
        self._binding = True
        try:
            return resolve(
                Seeker(
                    entity=self,
                    home=self.cursor,
                    assigned=tuple(cursor.named_items()) if cursor is not None else (),
                    mapped=self.topology.mapped_requirements(self.name),
                    nodes=self.topology.nodes,
                    candidates=self.topology.candidates,
                    relationships=self.topology.relationships,
                    space=self.topology.space,
                    world=self.topology,
                )
            )
        finally:
            self._binding = False

    def target(self, requirement: str, cursor: Cursor) -> tuple[NodeTemplate, str] | None:
        """Give who fulfils a requirement; reports if nobody does."""
        if self._binding:
            cursor.error("function-cycle", f"the requirements of {self.name!r} depend on what fulfils them")
            return None
        for bond in self.bonds:
            if bond.name == requirement:
                return self.topology.nodes[bond.target], bond.capability
        if requirement not in self.topology.mapped_requirements(self.name):
            cursor.error("unfulfilled-requirement", f"nothing fulfils the requirement {requirement!r} of {self.name!r}")
        return None


class Topology:
    """A topology template with its inputs."""

    def __init__(self, cursor: Cursor, setting: Setting) -> None:
        cursor.faults.spend(_EFFORT)
        self.cursor = cursor
        self.setting = setting
        self.space = setting.space
        self.naming = setting.naming
        self.trail = setting.trail
        self.fields = cursor.fields(TOPOLOGY_KEYS)
        self._inputs = read_schemas(self.space, self.fields["inputs"]) if "inputs" in self.fields else {}
        self._values: dict[str, Value] = {}
        self._copies_too_deep = False
        self.nodes: Mapping[str, NodeTemplate] = self._read_nodes()
        self.candidates = Candidates(self.nodes)

    # --- nodes ---

    def _read_nodes(self) -> Mapping[str, NodeTemplate]:
        written = self.fields["node_templates"].fields() if "node_templates" in self.fields else {}
        return {name: self._read_node(name, cursor, written) for name, cursor in written.items()}

    def _read_node(self, name: str, cursor: Cursor, written: Mapping[str, Cursor]) -> NodeTemplate:
        layers = self._with_copied(cursor, written)
        need_name(self.naming.node(name), "node", cursor)
        written_type = next((layer["type"] for layer in layers if "type" in layer), None)
        if written_type is None:
            if isinstance(cursor.value, dict | None) and "copy" not in layers[0]:
                cursor.error("missing-key", f"{name!r} needs 'type'", key=True)
            its_type = None
        else:
            its_type = self.space.need(Kind.NODE, written_type)
        broken = Type(kind=Kind.NODE, name="", lineage=(), cursor=cursor, broken=True)
        return NodeTemplate(self, name, cursor, layers, its_type or broken)

    def _with_copied(self, cursor: Cursor, written: Mapping[str, Cursor]) -> Sequence[Mapping[str, Cursor]]:
        """Read a node template, and after it those it copies: what stands first wins."""
        layers = [cursor.fields(_NODE_KEYS)]
        seen = [cursor]
        while "copy" in layers[-1]:
            copied = layers[-1]["copy"]
            source = written.get(copied.text())
            if source is None:
                hint = suggest(str(copied.value), written)
                copied.error("unknown-node", f"there is no node template {copied.value!r}{hint}")
                break
            if source in seen:
                circle = " -> ".join(str(one.pointer[-1]) for one in (*seen, source))
                copied.error("copy-cycle", f"these copy each other in a circle: {circle}")
                break
            if len(layers) > MAX_COPIES:
                self._mention_deep_copy(copied)
                break
            seen.append(source)
            layers.append(source.fields(_NODE_KEYS))
        return layers

    def _mention_deep_copy(self, cursor: Cursor) -> None:
        if not self._copies_too_deep:
            cursor.error("too-deep", f"more than {MAX_COPIES} node templates copy one another in a chain")
        self._copies_too_deep = True

    def entity(self, name: str) -> NodeTemplate | None:
        """Find a node template."""
        return self.nodes.get(name)

    def entity_names(self) -> Iterable[str]:
        """Give the names of all node templates."""
        return self.nodes

    def nodes_of_type(self, name: str, cursor: Cursor) -> Sequence[str] | None:
        """Give the names of the nodes of a type; None for a type that is unknown, which is reported."""
        full = self.space.full_name(Kind.NODE, name)
        if not full:
            cursor.error("unknown-type", f"there is no node type {name!r}{suggest(name, self.space.names(Kind.NODE))}")
            return None
        return sorted(self.naming.node(node.name) for node in self.nodes.values() if node.type.is_a(full))

    @cached_property
    def relationships(self) -> Mapping[str, RelationshipTemplate]:
        """The relationships written on their own."""
        written = self.fields.get("relationship_templates")
        return read_relationships(written, self.space) if written is not None else {}

    # --- inputs and outputs ---

    @property
    def declared_inputs(self) -> Iterable[str]:
        """The names of the inputs it declares."""
        return self._inputs

    def input(self, name: str, cursor: Cursor) -> Value:
        """Give an input; reports one that is not declared."""
        if name not in self._inputs:
            cursor.error("unknown-input", f"there is no input {name!r}{suggest(name, self._inputs)}")
            return BROKEN
        if name not in self._values:
            if not self.trail.enter(f"input {name}", cursor):
                return BROKEN
            try:
                self._values[name] = self._input_value(name)
            finally:
                self.trail.leave()
        return self._values[name]

    def _input_value(self, name: str) -> Value:
        schema = self._inputs[name]
        given = self.setting.given.get(name) or schema.default
        if given is not None:
            value = evaluate(given, Frame(self))
            return value if value is None else check(self.space, schema, value, given)
        if not schema.required:
            return None
        if self.setting.where:
            message = f"the input {name!r} has no value {self.setting.where}; give it one there or a default here"
            schema.cursor.error("missing-input", message, key=True)
        return BROKEN

    def check_inputs(self) -> None:
        """Work out every input, used or not, so that its faults are found."""
        for name, schema in self._inputs.items():
            verify_default(self.space, schema)
            self.input(name, schema.cursor)

    @cached_property
    def outputs(self) -> Mapping[str, Value]:
        """What it gives to the outside."""
        found: dict[str, Value] = {}
        for name, cursor in self.fields["outputs"].fields().items() if "outputs" in self.fields else ():
            given = cursor.fields(_OUTPUT_KEYS)
            if "value" in given and self.trail.enter(f"output {name}", cursor):
                found[name] = evaluate(given["value"], Frame(self))
                self.trail.leave()
        return found

    # --- what substitution maps ---

    @cached_property
    def mappings(self) -> Mapping[str, Cursor]:
        """The keys of its substitution mappings."""
        written = self.fields.get("substitution_mappings")
        return written.fields(SUBSTITUTION_KEYS) if written is not None else {}

    @cached_property
    def _mapped(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for cursor in self.mappings["requirements"].fields().values() if "requirements" in self.mappings else ():
            match cursor.value:
                case [str() as node, str() as requirement] | {"mapping": [str() as node, str() as requirement]}:
                    found.setdefault(node, set()).add(requirement)
        return {node: frozenset(names) for node, names in found.items()}

    def mapped_requirements(self, node: str) -> frozenset[str]:
        """Give which requirements of a node are fulfilled from outside."""
        return self._mapped.get(node, frozenset())

    def outer_attribute(self, name: str, cursor: Cursor) -> Value:
        """Give an attribute of the node it stands in for: what is mapped to it, or the output of that name."""
        mapped = self.mappings["attributes"].fields().get(name) if "attributes" in self.mappings else None
        match mapped.value if mapped is not None else None:
            case [str() as node, str() as attribute] if node in self.nodes:
                return self.nodes[node].attribute(attribute, cursor)
            case [str() as output] if output in self.outputs:
                return self.outputs[output]
        if name in self.outputs:
            return self.outputs[name]
        source = self.cursor.source.path
        cursor.error("unknown-attribute", f"{source} substitutes this node and has no output or mapping for {name!r}")
        return BROKEN


SUBSTITUTION_KEYS = frozenset(
    {
        "node_type",
        "properties",
        "attributes",
        "capabilities",
        "requirements",
        "interfaces",
        "substitution_filter",
        "description",
    }
)
