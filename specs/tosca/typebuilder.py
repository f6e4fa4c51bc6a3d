"""Builds one type from its definition and the type it derives from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from specs.tosca.constraints import read_constraints
from specs.tosca.cursor import Cursor
from specs.tosca.definitions import (
    PRIMITIVES,
    CapabilityDefinition,
    InterfaceDefinition,
    Kind,
    Occurrences,
    OperationDefinition,
    RequirementDefinition,
    Schema,
    Type,
)
from specs.tosca.wording import kind_of, suggest

_ALWAYS = frozenset({"derived_from", "version", "metadata", "description"})
_KEYS: Mapping[Kind, frozenset[str]] = {
    Kind.NODE: frozenset({"attributes", "properties", "requirements", "capabilities", "interfaces", "artifacts"}),
    Kind.RELATIONSHIP: frozenset({"properties", "attributes", "interfaces", "valid_target_types"}),
    Kind.CAPABILITY: frozenset({"properties", "attributes", "valid_source_types"}),
    Kind.INTERFACE: frozenset({"inputs", "operations", "notifications"}),
    Kind.DATA: frozenset({"properties", "constraints", "key_schema", "entry_schema"}),
    Kind.ARTIFACT: frozenset({"mime_type", "file_ext", "properties"}),
    Kind.POLICY: frozenset({"properties", "targets", "triggers"}),
    Kind.GROUP: frozenset({"properties", "attributes", "members", "requirements", "capabilities", "interfaces"}),
}
_SCHEMA_KEYS = frozenset(
    {
        "type",
        "description",
        "required",
        "default",
        "status",
        "constraints",
        "entry_schema",
        "key_schema",
        "external-schema",
        "metadata",
        "value",
    }
)
_REQUIREMENT_KEYS = frozenset({"description", "capability", "node", "relationship", "occurrences", "node_filter"})
_CAPABILITY_KEYS = frozenset({"type", "description", "properties", "attributes", "valid_source_types", "occurrences"})
_INTERFACE_WORDS = _ALWAYS | _KEYS[Kind.INTERFACE] | {"type"}
_OPERATION_KEYS = frozenset({"description", "implementation", "inputs", "outputs"})


class Names(Protocol):
    """Where other types are found by name."""

    def need(self, kind: Kind, cursor: Cursor, scope: str = "") -> Type | None:
        """Give the type named at a cursor; None if it is unknown or broken, which is reported."""

    def need_name(self, kind: Kind, cursor: Cursor, scope: str = "") -> str:
        """Give a full name without resolving the type; reports one that is unknown."""

    def full_name(self, kind: Kind, name: str, scope: str = "") -> str:
        """Give a full name; empty if there is none."""


def build(names: Names, kind: Kind, cursor: Cursor, name: str, scope: str, parent: Type | None) -> Type:
    """Build a type; what is wrong with its definition is reported and left out."""
    return _Builder(names, cursor, scope, parent).build(kind, name)


def read_schemas(names: Names, cursor: Cursor, scope: str = "") -> Mapping[str, Schema]:
    """Read definitions that no type stands behind, e.g. the inputs of a topology."""
    return _Builder(names, cursor, scope, None).schemas(cursor, {})


def read_occurrences(cursor: Cursor, default: Occurrences) -> Occurrences:
    """Read `[low, high]`, where high may be UNBOUNDED."""
    match cursor.value:
        case [int() as low, int() as high] if 0 <= low <= high and high > 0:
            return low, high
        case [int() as low, "UNBOUNDED"] if low >= 0:
            return low, None
    cursor.error("wrong-shape", "'occurrences' takes two numbers, e.g. [0, 1] or [1, UNBOUNDED]")
    return default


class _Builder:
    """Reads one definition; `parent` gives what is not said again."""

    def __init__(self, names: Names, cursor: Cursor, scope: str, parent: Type | None) -> None:
        self._names = names
        self._cursor = cursor
        self._scope = scope
        self._parent = parent

    def build(self, kind: Kind, name: str) -> Type:
        parent = self._parent or Type(kind=kind, name="", lineage=(), cursor=self._cursor)
        self._cursor.faults.spend(len(parent.capabilities) + len(parent.requirements) + len(parent.interfaces))
        known = None if kind is Kind.INTERFACE else _ALWAYS | _KEYS[kind]
        given = self._cursor.fields(known)
        built = Type(kind=kind, name=name, lineage=(name, *parent.lineage), cursor=self._cursor, scope=self._scope)
        built.broken = parent.broken
        built.base = parent.base or self._primitive(kind, given)
        built.properties = self._schemas_in(given, "properties", parent.properties)
        built.attributes = self._schemas_in(given, "attributes", parent.attributes, required=False)
        built.valid = self._type_names(given, kind) or parent.valid
        self._parts(built, parent, given)
        if kind is Kind.DATA:
            self._value_rules(built, parent, given)
        return built

    def _parts(self, built: Type, parent: Type, given: Mapping[str, Cursor]) -> None:
        """Read what nodes, relationships and interfaces consist of."""
        built.capabilities = self._capabilities(given, parent) if built.kind is Kind.NODE else {}
        built.requirements = self._requirements(given, parent) if built.kind is Kind.NODE else {}
        built.artifacts = {**parent.artifacts, **(given["artifacts"].fields() if "artifacts" in given else {})}
        if built.kind in (Kind.NODE, Kind.RELATIONSHIP):
            built.interfaces = self._interfaces(given, parent)
        if built.kind is Kind.INTERFACE:
            built.inputs = self._schemas_in(given, "inputs", parent.inputs)
            built.operations = {**parent.operations, **self._operations(given)}
        section = {Kind.POLICY: "targets", Kind.GROUP: "members"}.get(built.kind, "")
        built.members = parent.members
        if section in given:
            built.members = tuple(self._member(item) for item in given[section].items())

    def _member(self, item: Cursor) -> str:
        name = item.text()
        full = self._names.full_name(Kind.NODE, name, self._scope) or self._names.full_name(
            Kind.GROUP, name, self._scope
        )
        if item.is_text and not full:
            item.error("unknown-type", f"there is no node or group type {name!r}")
        return full

    def _primitive(self, kind: Kind, given: Mapping[str, Cursor]) -> str:
        parent = given["derived_from"].value if "derived_from" in given else None
        return parent if kind is Kind.DATA and isinstance(parent, str) and parent in PRIMITIVES else ""

    def _value_rules(self, built: Type, parent: Type, given: Mapping[str, Cursor]) -> None:
        own = read_constraints(given["constraints"]) if "constraints" in given else ()
        built.constraints = (*parent.constraints, *own)
        built.entry = self._entry(given, "entry_schema") or parent.entry
        built.key = self._entry(given, "key_schema") or parent.key
        if built.base and built.properties:
            self._cursor.error("wrong-type", f"a type derived from {built.base} cannot have properties", key=True)

    def _type_names(self, given: Mapping[str, Cursor], kind: Kind) -> tuple[str, ...]:
        section, of = {
            Kind.RELATIONSHIP: ("valid_target_types", Kind.CAPABILITY),
            Kind.CAPABILITY: ("valid_source_types", Kind.NODE),
        }.get(kind, ("", Kind.NODE))
        return self._names_in(given[section], of) if section in given else ()

    def _names_in(self, cursor: Cursor, of: Kind) -> tuple[str, ...]:
        return tuple(full for item in cursor.items() if (full := self._names.need_name(of, item, self._scope)))

    # --- properties ---

    def _schemas_in(
        self, given: Mapping[str, Cursor], section: str, inherited: Mapping[str, Schema], *, required: bool = True
    ) -> Mapping[str, Schema]:
        if section not in given:
            return inherited
        return self.schemas(given[section], inherited, required=required)

    def schemas(
        self, cursor: Cursor, inherited: Mapping[str, Schema], *, required: bool = True
    ) -> Mapping[str, Schema]:
        cursor.faults.spend(len(inherited))
        found = dict(inherited)
        for name, item in cursor.fields().items():
            schema = self._schema(item, inherited.get(name), required=required)
            if schema is not None:
                found[name] = schema
        return found

    def _schema(self, cursor: Cursor, base: Schema | None, *, required: bool = True) -> Schema | None:
        if not isinstance(cursor.value, dict):
            cursor.error("wrong-shape", f"{cursor.name} must be a mapping with a type, not {kind_of(cursor.value)}")
            return None
        given = cursor.fields(_SCHEMA_KEYS)
        if "type" not in given and base is None:
            cursor.error("missing-key", f"{cursor.name} needs 'type'", key=True)
            return None
        own = read_constraints(given["constraints"]) if "constraints" in given else ()
        return Schema(
            type=self._value_type(given["type"]) if "type" in given else base.type if base else "",
            cursor=cursor,
            required=self._flag(given, "required", base.required if base else required),
            default=given.get("default", base.default if base else None),
            constraints=(*(base.constraints if base else ()), *own),
            entry=self._entry(given, "entry_schema") or (base.entry if base else None),
            key=self._entry(given, "key_schema") or (base.key if base else None),
        )

    def _flag(self, given: Mapping[str, Cursor], key: str, default: bool) -> bool:
        if key not in given:
            return default
        value = given[key].value
        if isinstance(value, bool):
            return value
        given[key].error("wrong-shape", f"{key!r} must be true or false, not {kind_of(value)}")
        return default

    def _entry(self, given: Mapping[str, Cursor], section: str) -> Schema | None:
        if section not in given:
            return None
        cursor = given[section]
        if isinstance(cursor.value, str):
            return Schema(type=self._value_type(cursor), cursor=cursor)
        return self._schema(cursor, None)

    def _value_type(self, cursor: Cursor) -> str:
        if isinstance(cursor.value, str) and cursor.value in PRIMITIVES:
            return cursor.value
        return self._names.need_name(Kind.DATA, cursor, self._scope)

    # --- capabilities and requirements ---

    def _capabilities(self, given: Mapping[str, Cursor], parent: Type) -> Mapping[str, CapabilityDefinition]:
        found = dict(parent.capabilities)
        for name, cursor in given["capabilities"].fields().items() if "capabilities" in given else ():
            definition = self._capability(name, cursor, parent.capabilities.get(name))
            if definition is not None:
                found[name] = definition
        return found

    def _capability(self, name: str, cursor: Cursor, base: CapabilityDefinition | None) -> CapabilityDefinition | None:
        given = {"type": cursor} if isinstance(cursor.value, str) else cursor.fields(_CAPABILITY_KEYS)
        if "type" not in given and base is None:
            cursor.error("missing-key", f"the capability {name!r} needs 'type'", key=True)
            return None
        its_type = self._names.need(Kind.CAPABILITY, given["type"], self._scope) if "type" in given else None
        its_type = its_type or (base.type if base else None)
        if its_type is None:
            return None
        sources = self._names_in(given["valid_source_types"], Kind.NODE) if "valid_source_types" in given else ()
        default = base.occurrences if base else (0, None)
        return CapabilityDefinition(
            name=name,
            type=its_type,
            properties=self._schemas_in(given, "properties", its_type.properties),
            attributes=self._schemas_in(given, "attributes", its_type.attributes, required=False),
            valid_sources=sources or its_type.valid,
            occurrences=read_occurrences(given["occurrences"], default) if "occurrences" in given else default,
        )

    def _requirements(self, given: Mapping[str, Cursor], parent: Type) -> Mapping[str, RequirementDefinition]:
        found = dict(parent.requirements)
        for name, cursor in given["requirements"].named_items() if "requirements" in given else ():
            found[name] = self._requirement(name, cursor, parent.requirements.get(name))
        return found

    def _requirement(self, name: str, cursor: Cursor, base: RequirementDefinition | None) -> RequirementDefinition:
        given = {"capability": cursor} if isinstance(cursor.value, str) else cursor.fields(_REQUIREMENT_KEYS)
        base = base or RequirementDefinition(name=name, cursor=cursor)
        capability, node, relationship = base.capability, base.node, base.relationship
        if "capability" in given:
            capability = self._capability_wanted(given["capability"])
        if "node" in given:
            node = self._names.need_name(Kind.NODE, given["node"], self._scope)
        if "relationship" in given:
            relationship = self._relationship(given["relationship"])
        if not capability and "capability" not in given:
            cursor.error("missing-key", f"the requirement {name!r} needs 'capability'", key=True)
        return RequirementDefinition(
            name=name,
            cursor=cursor,
            capability=capability,
            node=node,
            relationship=relationship,
            occurrences=read_occurrences(given["occurrences"], (1, 1)) if "occurrences" in given else base.occurrences,
            filters=(*base.filters, given["node_filter"]) if "node_filter" in given else base.filters,
        )

    def _capability_wanted(self, cursor: Cursor) -> str:
        """Read a capability type, or the plain name of a capability of the target."""
        name = cursor.text()
        full = self._names.full_name(Kind.CAPABILITY, name, self._scope)
        return full or (name if "." not in name else self._names.need_name(Kind.CAPABILITY, cursor, self._scope))

    def _relationship(self, cursor: Cursor) -> str:
        if isinstance(cursor.value, dict):
            cursor = cursor.fields(frozenset({"type", "interfaces", "description", "properties"})).get("type", cursor)
        return (
            self._names.need_name(Kind.RELATIONSHIP, cursor, self._scope) if not isinstance(cursor.value, dict) else ""
        )

    # --- interfaces ---

    def _interfaces(self, given: Mapping[str, Cursor], parent: Type) -> Mapping[str, InterfaceDefinition]:
        found = dict(parent.interfaces)
        for written, cursor in given["interfaces"].fields().items() if "interfaces" in given else ():
            name = interface_name(written)
            found[name] = self._interface(name, cursor, found.get(name))
        return found

    def _interface(self, name: str, cursor: Cursor, base: InterfaceDefinition | None) -> InterfaceDefinition:
        given = cursor.fields()
        its_type = self._names.need(Kind.INTERFACE, given["type"], self._scope) if "type" in given else None
        operations = {**(base.operations if base else {}), **(its_type.operations if its_type else {})}
        inputs = {**(base.inputs if base else {}), **(its_type.inputs if its_type else {})}
        typed = (its_type is not None and not its_type.broken) or (base is not None and not base.open)
        for operation, definition in self._operations(given).items():
            if typed and operation not in operations and "operations" not in given and its_type is None:
                definition.cursor.error(
                    "unknown-operation",
                    f"{name} has no operation {operation!r}{suggest(operation, operations)}",
                    key=True,
                )
            elif operation in operations and definition.implementation is None:
                before = operations[operation]
                definition.implementation = before.implementation
                operations[operation] = definition
            else:
                operations[operation] = definition
        inputs = {**inputs, **(self.schemas(given["inputs"], inputs) if "inputs" in given else {})}
        return InterfaceDefinition(operations=operations, inputs=inputs, open=not typed)

    def _operations(self, given: Mapping[str, Cursor]) -> Mapping[str, OperationDefinition]:
        cursors = {name: cursor for name, cursor in given.items() if name not in _INTERFACE_WORDS}
        if "operations" in given:
            cursors.update(given["operations"].fields())
        return {name: self._operation(cursor) for name, cursor in cursors.items()}

    def _operation(self, cursor: Cursor) -> OperationDefinition:
        if isinstance(cursor.value, str):
            return OperationDefinition(cursor=cursor, implementation=cursor)
        given = cursor.fields(_OPERATION_KEYS)
        inputs = given["inputs"].fields() if "inputs" in given else {}
        schemas = {name: item for name, item in inputs.items() if isinstance(item.value, dict) and "type" in item.value}
        return OperationDefinition(
            cursor=cursor,
            implementation=given.get("implementation"),
            inputs={n: s for n, item in schemas.items() if (s := self._schema(item, None)) is not None},
            assigned={name: item for name, item in inputs.items() if name not in schemas},
        )


def interface_name(written: str) -> str:
    """Give the name an interface goes by where its type's name is written instead."""
    return {
        "tosca.interfaces.node.lifecycle.Standard": "Standard",
        "tosca.interfaces.relationship.Configure": "Configure",
    }.get(written, written)
