"""Rewrites type definitions so that tosca-parser reads them as they are meant; see `dialect.UNREADABLE`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

Data: TypeAlias = dict[str, Any]
Definitions: TypeAlias = Mapping[str, Any]

_UNITS = ("scalar-unit.size", "scalar-unit.time", "scalar-unit.frequency")
PRIMITIVES = frozenset(
    {"string", "integer", "float", "boolean", "timestamp", "null", "version", "range", "list", "map"}
    | {*_UNITS, "scalar-unit.bitrate"}
)
READ_AS = {"float": "number", "null": "string", "scalar-unit.bitrate": "string"}
"""Primitive → what it is declared as, so that values the project accepts are not refused."""

_ROOTS = {
    "node_types": "tosca.nodes.Root",
    "capability_types": "tosca.capabilities.Root",
    "relationship_types": "tosca.relationships.Root",
    "data_types": "tosca.datatypes.Root",
    "policy_types": "tosca.policies.Root",
    "group_types": "tosca.groups.Root",
}
_COMPARISONS = frozenset({"equal", "greater_or_equal", "less_than", "less_or_equal", "in_range", "valid_values"})
_LENGTHS = frozenset({"min_length", "max_length"})
_CONSTRAINTS: Mapping[str, frozenset[str]] = {
    "integer": _COMPARISONS | {"greater_than"},
    "string": _LENGTHS | {"equal", "valid_values", "length"},
    "boolean": frozenset({"equal"}),
    "list": _LENGTHS,
    "map": _LENGTHS,
    **dict.fromkeys(_UNITS, _COMPARISONS),
}
"""Type → the constraints that are read as TOSCA means them."""


def mapped(section: Any, change: Callable[[Any], Any]) -> Any:
    """Give a mapping with every value changed; nothing for nothing; anything else as it is."""
    if section is None:
        return {}
    return {name: change(item) for name, item in section.items()} if isinstance(section, dict) else section


class Types:
    """The type definitions of a template, over those that are known anyway."""

    def __init__(self, template: Definitions, known: Definitions) -> None:
        self._own = {section: template[section] for section in _ROOTS if isinstance(template.get(section), dict)}
        self._known = known
        self._made: Data = {}
        """Capability types made up for capabilities whose node type defines properties of them."""

    def prepared(self) -> Data:
        """Give every section of types, rewritten."""
        rewrite = {"node_types": self._node, "data_types": self._data}
        found: Data = {}
        for section, definitions in self._own.items():
            change = rewrite.get(section, self._plain)
            found[section] = {
                name: change(section, name, definition) if isinstance(definition, dict) else definition
                for name, definition in definitions.items()
            }
        if self._made:
            found.setdefault("capability_types", {}).update(self._made)
        return found

    def has(self, section: str, name: str) -> bool:
        """Tell whether a type is there."""
        return next(self._lineage(section, name), None) is not None

    def properties(self, section: str, name: str) -> Data:
        """Give the properties of a type, each with what its ancestors say and it leaves unsaid."""
        return self._inherited(section, name, "properties")

    def _inherited(self, section: str, name: str, part: str) -> Data:
        found: Data = {}
        for definition in reversed(list(self._lineage(section, name))):
            items = definition.get(part)
            for key, item in items.items() if isinstance(items, dict) else ():
                found[key] = {**found.get(key, {}), **item} if isinstance(item, dict) else item
        return found

    def _lineage(self, section: str, name: Any) -> Iterator[Data]:
        """Walk from a type to its root; ends at what is unknown and where types derive from each other."""
        seen = set()
        while isinstance(name, str) and name not in seen:
            seen.add(name)
            definition = self._own.get(section, {}).get(name) or self._known.get(name)
            if not isinstance(definition, dict):
                return
            yield definition
            name = definition.get("derived_from")

    # --- types -------------------------------------------------------------------------------------

    def _plain(self, section: str, name: str, definition: Data) -> Data:
        found = self._derived(section, name, definition)
        own = definition.get("properties")
        if isinstance(own, dict):
            whole = self.properties(section, name)
            found["properties"] = {key: _schema(whole[key]) for key in own}
        if isinstance(definition.get("attributes"), dict) and section in ("node_types", "capability_types"):
            found["attributes"] = {key: {"type": "string"} for key in definition["attributes"]}
        if section == "relationship_types" and isinstance(definition.get("valid_target_types"), list):
            found["valid_target_types"] = definition["valid_target_types"]
        return found

    def _derived(self, section: str, name: str, definition: Data) -> Data:
        root = _ROOTS[section]
        parent = definition.get("derived_from") or root
        return {} if name == root else {"derived_from": parent}

    def _node(self, section: str, name: str, definition: Data) -> Data:
        found = self._plain(section, name, definition)
        if isinstance(definition.get("capabilities"), dict):
            found["capabilities"] = {key: self._capability(name, key) for key in definition["capabilities"]}
        if isinstance(definition.get("requirements"), list):
            found["requirements"] = [
                {key: self._requirement(name, key)}
                for item in definition["requirements"]
                if isinstance(item, dict)
                for key in item
            ]
        return found

    def _capability(self, node: str, name: str) -> Data:
        kind: Any = None
        properties: Data = {}
        for definition in self._parts(node, "capabilities", name):
            if isinstance(definition, str):
                kind = kind or definition
            else:
                kind = kind or definition.get("type")
                own = definition.get("properties")
                properties = {**own, **properties} if isinstance(own, dict) else properties
        if not properties or not isinstance(kind, str):
            return {"type": kind}
        made = f"{kind}.{node}.{name}"
        whole = self.properties("capability_types", kind)
        self._made[made] = {
            "derived_from": kind,
            "properties": {key: _schema({**whole.get(key, {}), **item}) for key, item in properties.items()},
        }
        return {"type": made}

    def _requirement(self, node: str, name: str) -> Data:
        whole: Data = {}
        for definition in self._parts(node, "requirements", name):
            whole = {**({"capability": definition} if isinstance(definition, str) else definition or {}), **whole}
        found: Data = {"node": whole.get("node") or _ROOTS["node_types"], "occurrences": [0, "UNBOUNDED"]}
        relationship = whole.get("relationship")
        kind = relationship.get("type") if isinstance(relationship, dict) else relationship
        return {**found, "relationship": {"type": kind}} if kind else found

    def _parts(self, node: str, part: str, name: str) -> Iterator[Any]:
        """Walk what a node type and its ancestors say of one capability or requirement, nearest first."""
        for definition in self._lineage("node_types", node):
            given = definition.get(part)
            for item in given if isinstance(given, list) else [given]:
                if isinstance(item, dict) and name in item:
                    yield item[name]

    def _data(self, section: str, name: str, definition: Data) -> Data:
        primitive = next((base for base in map(_primitive, self._lineage(section, name)) if base), None)
        if primitive:
            return {"derived_from": _ROOTS[section], "type": READ_AS.get(primitive, primitive)}
        found = self._derived(section, name, definition)
        if isinstance(definition.get("properties"), dict):
            whole = self.properties(section, name)
            found["properties"] = {key: _inner_schema(whole[key]) for key in definition["properties"]}
        return found


def _primitive(definition: Data) -> str | None:
    parent = definition.get("derived_from")
    if parent in PRIMITIVES:
        return str(parent)
    return definition["type"] if isinstance(definition.get("type"), str) else None


# --- schemas ---------------------------------------------------------------------------------------


def _schema(schema: Any) -> Any:
    """Rewrite what a property of a node, capability, policy… must be."""
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type", "string")
    found = _inner_schema(schema)
    if isinstance(schema.get("required"), bool):
        found["required"] = schema["required"]
    constraints = schema.get("constraints")
    if isinstance(constraints, list) and isinstance(kind, str) and kind in _CONSTRAINTS:
        found["constraints"] = [clause for clause in constraints if _is_readable(kind, clause)]
    return found


def _inner_schema(schema: Any) -> Any:
    """Rewrite what a value inside of another must be: nothing is constrained and defaults need not be filled in."""
    if isinstance(schema, str):
        schema = {"type": schema}
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type", "string")
    found = {"type": READ_AS.get(kind, kind) if isinstance(kind, str) else kind}
    if schema.get("default") is not None:
        found["default"] = schema["default"]
    if schema.get("required") is False or "default" in found:
        found["required"] = False
    for part in ("entry_schema", "key_schema"):
        if schema.get(part) is not None:
            found[part] = _inner_schema(schema[part])
    return found


def _is_readable(kind: str, clause: Any) -> bool:
    if not isinstance(clause, dict) or len(clause) != 1:
        return False
    ((operator, value),) = clause.items()
    if operator not in _CONSTRAINTS[kind]:
        return False
    values = value if isinstance(value, list) else [value]
    if kind in _UNITS:
        return all(isinstance(one, str) and one != "UNBOUNDED" for one in values)
    return kind != "string" or operator not in ("equal", "valid_values") or all(isinstance(v, str) for v in values)
