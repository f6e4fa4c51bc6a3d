"""What type definitions say, once they are resolved: plain values without a document's grammar."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cached_property

from msgspec import Struct, field

from specs.tosca.constraints import Constraint
from specs.tosca.cursor import Cursor
from specs.tosca.units import UNITS
from specs.values import Value


class Kind(StrEnum):
    """What a type is a type of; the value is the name of its section without `_types`."""

    NODE = "node"
    RELATIONSHIP = "relationship"
    CAPABILITY = "capability"
    INTERFACE = "interface"
    DATA = "data"
    ARTIFACT = "artifact"
    POLICY = "policy"
    GROUP = "group"

    @property
    def section(self) -> str:
        """The key its definitions stand under."""
        return f"{self}_types"


SCALARS = frozenset({"string", "integer", "float", "boolean", "timestamp", "version", *UNITS})
PRIMITIVES = SCALARS | {"null", "range", "list", "map"}
Occurrences = tuple[int, int | None]
"""From how many to how many; None is without end."""


class Schema(Struct, kw_only=True):
    """What values of a property, an input, a list's entries… must be."""

    type: str
    """A primitive, or the full name of a data type; empty if it is not known, which is reported already."""
    cursor: Cursor
    required: bool = True
    default: Cursor | None = None
    settled: Value = None
    """What a scalar default of a shipped type comes to, once it has been checked: the same for everybody."""
    constraints: tuple[Constraint, ...] = ()
    entry: Schema | None = None
    key: Schema | None = None


class CapabilityDefinition(Struct, kw_only=True):
    """A capability that nodes of a type have."""

    name: str
    type: Type
    properties: Mapping[str, Schema]
    attributes: Mapping[str, Schema]
    valid_sources: tuple[str, ...] = ()
    occurrences: Occurrences = (0, None)


class RequirementDefinition(Struct, kw_only=True):
    """What nodes of a type need; names are full, empty where nothing is asked."""

    name: str
    cursor: Cursor
    capability: str = ""
    """A capability type, or the name of a capability of the target."""
    node: str = ""
    relationship: str = ""
    occurrences: Occurrences = (1, 1)
    filters: tuple[Cursor, ...] = ()


class OperationDefinition(Struct, kw_only=True):
    """An operation that a type declares, with its implementation if it has one."""

    cursor: Cursor
    implementation: Cursor | None = None
    inputs: Mapping[str, Schema] = field(default_factory=dict)
    assigned: Mapping[str, Cursor] = field(default_factory=dict)


class InterfaceDefinition(Struct, kw_only=True):
    """An interface that nodes of a type have."""

    operations: Mapping[str, OperationDefinition]
    inputs: Mapping[str, Schema]
    open: bool = False
    """Whether its operations are not known, because it has no type."""


class Type(Struct, kw_only=True, dict=True):
    """A type with everything it derives; built once, then only read."""

    kind: Kind
    name: str
    lineage: tuple[str, ...]
    """Its name and those of its ancestors, nearest first."""
    cursor: Cursor
    scope: str = ""
    base: str = ""
    """For a data type: the primitive it derives from, else empty."""
    properties: Mapping[str, Schema] = field(default_factory=dict)
    attributes: Mapping[str, Schema] = field(default_factory=dict)
    capabilities: Mapping[str, CapabilityDefinition] = field(default_factory=dict)
    requirements: Mapping[str, RequirementDefinition] = field(default_factory=dict)
    interfaces: Mapping[str, InterfaceDefinition] = field(default_factory=dict)
    operations: Mapping[str, OperationDefinition] = field(default_factory=dict)
    inputs: Mapping[str, Schema] = field(default_factory=dict)
    artifacts: Mapping[str, Cursor] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    """For policies and groups: the types their targets or members must have; empty for any."""
    valid: tuple[str, ...] = ()
    """For relationships: target types; for capabilities: source types; empty for any."""
    constraints: tuple[Constraint, ...] = ()
    entry: Schema | None = None
    key: Schema | None = None
    broken: bool = False
    """Whether it stands for a definition that is broken: whatever is asked of it is not reported again."""

    def is_a(self, name: str) -> bool:
        """Tell whether it is that type or derives from it."""
        return name in self.lineage

    def is_any(self, names: Iterable[str]) -> bool:
        """Tell whether it is one of these types or derives from one."""
        return any(name in self.lineage for name in names)

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Properties that must be given because no default stands for them."""
        return tuple(n for n, schema in self.properties.items() if schema.required and schema.default is None)
