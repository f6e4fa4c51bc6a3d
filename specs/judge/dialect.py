"""Rewrites a template so that tosca-parser can read it: legal TOSCA that it refuses or stumbles over is taken out.

The template has passed the project's own checks; the rewriting only narrows what the second judge
looks at. `UNREADABLE` lists every gap. Works on plain data and never changes what it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from specs.judge.types import PRIMITIVES, READ_AS, Data, Definitions, Types, mapped

UNREADABLE: Mapping[str, str] = MappingProxyType(
    {
        "sections": "of a document only versions, types and the topology are read; workflows are refused",
        "artifacts": "artifact types are not read, and artifacts are looked up among built-in types only",
        "interfaces": "notifications, interface inputs and operations of derived interfaces are refused",
        "substitution": "normative node types, further outputs and inputs without defaults are refused",
        "copy": "a template made by `copy` has no type",
        "short-definitions": "capabilities, requirements and entry schemas written as one word end in a crash",
        "occurrences": "requirements are counted by definition, so a derived one cannot relax an inherited one",
        "open-requirements": "requirement definitions without a node end in a crash",
        "requirement-details": "nodes given by type end in NotImplementedError, relationships are refused or misread",
        "capability-details": "capability assignments without properties end in a crash",
        "capability-refinement": "properties defined by a node type for its capability are not seen",
        "property-refinement": "a derived property does not keep what it leaves unsaid",
        "defaults": "a default of zero, false or empty text in a data type counts as missing",
        "primitive-data-types": "data types derived from integer, string… are refused",
        "bitrate": "scalar-unit.bitrate ends in a crash",
        "whole-floats": "a float written as a whole number is refused",
        "inputs": "inputs of data types are refused, and so are values and metadata of inputs",
        "constraints": "`schema`, comparisons of units, UNBOUNDED ends, and constraints inside of values are misread",
        "patterns": "regular expressions run without a bound on time",
        "functions": "join, get_artifact, get_secret… and get_attribute over requirements or paths are refused",
        "type-metadata": "metadata, version, targets and triggers of types are refused or looked up wrongly",
        "roots": "types that derive from nothing end in a crash or an endless loop",
        "triggers": "condition lists, `period`, `method` and clauses of 1.3 end in a crash or are refused",
        "groups": "group members may not be repeated or none, and metadata must be a mapping",
        "outputs": "outputs may have nothing but a description and a value",
    }
)
"""What tosca-parser 2.15 cannot read, or reads wrongly."""

READ_SECTIONS = ("inputs", "node_templates", "relationship_templates", "outputs", "groups", "policies")
_CONDITION_WORDS = frozenset(
    {
        "constraint",
        "granularity",
        "evaluations",
        "aggregation_method",
        "threshold",
        "comparison_operator",
        "resource_type",
        "state",
    }
)
_CLAUSE_WORDS = frozenset({"and", "or", "not", "assert", "period", "method"})
_LATER: Data = {"concat": ["known later"]}
"""A function that tosca-parser accepts as a value of any type."""


def prepare(template: Definitions, known: Definitions) -> Data:
    """Give the template as tosca-parser can read it; `known` are its built-in types, by name."""
    types = Types(template, known)
    prepared: Data = {"tosca_definitions_version": template.get("tosca_definitions_version"), **types.prepared()}
    topology = template.get("topology_template")
    if isinstance(topology, dict):
        prepared["topology_template"] = _Topology(topology, types).prepared()
    elif topology is not None:
        prepared["topology_template"] = topology
    return prepared


class _Topology:
    """Rewrites one topology; whatever has an unexpected shape is left for tosca-parser to complain about."""

    def __init__(self, topology: Data, types: Types) -> None:
        self._types = types
        self._sections = {name: topology[name] for name in READ_SECTIONS if name in topology}
        nodes = topology.get("node_templates")
        self._nodes: Data = nodes if isinstance(nodes, dict) else {}

    def prepared(self) -> Data:
        rewrite = {
            "inputs": _input,
            "node_templates": self._node,
            "outputs": self._output,
            "groups": self._group,
        }
        found: Data = {}
        for name, section in self._sections.items():
            if name == "policies" and isinstance(section, list):
                found[name] = [mapped(item, self._policy) for item in section]
            elif name in rewrite:
                found[name] = mapped(section, rewrite[name])
            elif section is not None:
                found[name] = section
        return found

    def _node(self, template: Data) -> Data:
        template = self._copied(template)
        found: Data = {"type": template.get("type")}
        if isinstance(template.get("properties"), dict):
            found["properties"] = mapped(template["properties"], self._value)
        if isinstance(template.get("capabilities"), dict):
            found["capabilities"] = {
                name: self._capability(name, item) for name, item in template["capabilities"].items()
            }
        if isinstance(template.get("requirements"), list):
            found["requirements"] = [one for item in template["requirements"] if (one := self._requirement(item))]
        return found

    def _copied(self, template: Data, depth: int = 20) -> Data:
        source = self._nodes.get(template["copy"]) if isinstance(template.get("copy"), str) else None
        if not isinstance(source, dict) or depth == 0:
            return template
        return {**self._copied(source, depth - 1), **{key: item for key, item in template.items() if key != "copy"}}

    def _capability(self, name: str, assignment: Any) -> Data:
        properties = assignment.get("properties") if isinstance(assignment, dict) else None
        found = mapped(properties, self._value) if isinstance(properties, dict) else {}
        if name == "scalable" and "default_instances" in found:
            count = found["default_instances"]
            ends = [found.setdefault("min_instances", count), count, found.setdefault("max_instances", count)]
            if not all(type(end) is int for end in ends):
                del found["default_instances"]
        return {"properties": found}

    def _requirement(self, assignment: Any) -> Data:
        """Keep name and target; a target that is a type is left out."""
        if not isinstance(assignment, dict) or len(assignment) != 1:
            return {}
        ((name, item),) = assignment.items()
        node = item.get("node") if isinstance(item, dict) else item
        is_open = not isinstance(node, str) or (node not in self._nodes and self._types.has("node_types", node))
        return {} if is_open else {name: node}

    def _output(self, output: Any) -> Any:
        if not isinstance(output, dict) or "value" not in output:
            return output
        return {"value": self._value(output["value"])}

    def _group(self, group: Any) -> Any:
        if not isinstance(group, dict):
            return group
        members = group.get("members")
        found = {"type": group.get("type")}
        if isinstance(members, list) and members:
            found["members"] = list(dict.fromkeys(member for member in members if isinstance(member, str)))
        return found

    def _policy(self, policy: Any) -> Any:
        if not isinstance(policy, dict):
            return policy
        found = {"type": policy.get("type")}
        if isinstance(policy.get("properties"), dict):
            found["properties"] = mapped(policy["properties"], self._value)
        if policy.get("targets"):
            found["targets"] = policy["targets"]
        if isinstance(policy.get("triggers"), dict):
            found["triggers"] = mapped(policy["triggers"], _trigger)
        return found

    # --- values ------------------------------------------------------------------------------------

    def _value(self, value: Any) -> Any:
        match value:
            case dict() if len(value) == 1 and (name := next(iter(value))) in _FUNCTIONS:
                argument = value[name]
                if isinstance(argument, list) or name.startswith("get_"):
                    return self._function(name, argument)
                return _LATER if name in _ANY_ARGUMENT else mapped(value, self._value)
            case dict():
                return mapped(value, self._value)
            case list():
                return [self._value(item) for item in value]
        return value

    def _function(self, name: str, argument: Any) -> Data:
        words = argument if isinstance(argument, list) else [argument]
        match name, words:
            case "get_input", [str() as wanted, *_]:
                return {name: wanted}
            case "get_attribute", [str() as node, str() as attribute] if self._has_attribute(node, attribute):
                return {name: words}
            case "get_property", [str() as node, str() as wanted] if self._gives(node, wanted):
                return {name: words}
            case "token", [_, str() as separator, *_] if len(separator) == 1:
                return {name: [self._value(word) for word in words]}
            case "concat", _:
                return {name: [self._value(word) for word in words]}
        return _LATER

    def _has_attribute(self, node: str, attribute: str) -> bool:
        """Tell whether a node of the topology has an attribute, and no property, of that name, or is unknown."""
        if node not in self._nodes:
            return node not in _KEYWORDS
        node_type = self._nodes[node].get("type") if isinstance(self._nodes[node], dict) else None
        return isinstance(node_type, str) and attribute not in self._types.properties("node_types", node_type)

    def _gives(self, node: str, name: str) -> bool:
        """Tell whether a node template sets a property, or is unknown."""
        if node not in self._nodes:
            return node not in _KEYWORDS
        properties = self._nodes[node].get("properties") if isinstance(self._nodes[node], dict) else None
        return isinstance(properties, dict) and name in properties


_FUNCTIONS = frozenset(
    {
        "get_input",
        "get_property",
        "get_attribute",
        "get_secret",
        "get_artifact",
        "get_nodes_of_type",
        "get_operation_output",
        "concat",
        "join",
        "token",
    }
)
_ANY_ARGUMENT = frozenset({"concat", "token"})
"""What tosca-parser takes for a function whatever its argument is; for the project only lists are."""
_KEYWORDS = frozenset({"SELF", "HOST", "SOURCE", "TARGET"})


def _input(definition: Any) -> Any:
    if not isinstance(definition, dict):
        return definition
    kind = definition.get("type")
    if kind not in PRIMITIVES:
        return {"type": "map"}
    found = {"type": READ_AS.get(kind, kind)}
    if definition.get("default") is not None:
        found["default"] = definition["default"]
    return found


def _trigger(trigger: Any) -> Any:
    if not isinstance(trigger, dict):
        return trigger
    condition = trigger.get("condition")
    return {**trigger, "condition": _condition(condition) if isinstance(condition, dict) else {}}


def _condition(condition: Data) -> Data:
    """Leave out the words and clauses of TOSCA 1.3; a clause says `attribute: [constraints]`."""
    return {
        key: item
        for key, item in condition.items()
        if key in _CONDITION_WORDS or (key not in _CLAUSE_WORDS and not isinstance(item, list))
    }
