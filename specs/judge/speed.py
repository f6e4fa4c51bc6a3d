"""Keeps tosca-parser from building the same types again and again, and from looking for nodes one by one.

Without this its time grows with the square of the number of nodes. What it says stays the same, which
is tested against tosca-parser as it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from toscaparser.common.exception import ExceptionCollector, InvalidGroupTargetException
from toscaparser.elements.capabilitytype import CapabilityTypeDef
from toscaparser.elements.datatype import DataType
from toscaparser.elements.grouptype import GroupType
from toscaparser.elements.nodetype import NodeType
from toscaparser.elements.policytype import PolicyType
from toscaparser.elements.statefulentitytype import StatefulEntityType
from toscaparser.topology_template import TopologyTemplate
from toscaparser.tpl_relationship_graph import ToscaGraph

_REMEMBERED = (NodeType, CapabilityTypeDef, DataType, PolicyType, GroupType)
"""Classes whose objects never change; relationship types are told apart by identity and stay as they are."""


def quicken() -> Callable[[], None]:
    """Change tosca-parser; gives the function that makes it forget the types of one template."""
    types: dict[tuple[Any, ...], tuple[Any, tuple[Any, ...]]] = {}
    for kind in _REMEMBERED:
        _remember_objects(kind, types)
    _remember_results(NodeType, "get_capabilities_objects")
    _remember_results(StatefulEntityType, "get_properties_def_objects")
    _remember_results(CapabilityTypeDef, "get_properties_def_objects")
    NodeType.requirements = property(_remembered(NodeType.requirements.fget))
    ToscaGraph._create = _create_graph
    TopologyTemplate._get_group_members = _group_members
    TopologyTemplate._validate_group_members = _validate_group_members
    return types.clear


def _remember_objects(kind: type, types: dict[tuple[Any, ...], tuple[Any, tuple[Any, ...]]]) -> None:
    """Give the same object for the same arguments; the definitions among them are told apart by identity."""
    original: Any = kind.__init__  # type: ignore[misc] # replaced below, on purpose

    def make(cls: type, *arguments: Any) -> Any:
        key = (cls, *(id(one) if isinstance(one, dict | list) else one for one in arguments))
        if key in types:
            return types[key][0]
        made: Any = object.__new__(cls)
        original(made, *arguments)
        types[key] = made, arguments  # kept, so that no other definitions get the same identity
        return made

    kind.__new__ = make  # type: ignore[method-assign, assignment]
    kind.__init__ = lambda self, *arguments: None  # type: ignore[misc]


def _remember_results(kind: type, name: str) -> None:
    """Work out a list once for each object; who asks gets a copy, because some add to it."""
    remembered = _remembered(getattr(kind, name))
    setattr(kind, name, lambda self: list(remembered(self)))


def _remembered(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    name = f"_remembered_{method.__qualname__}"

    def once(self: Any) -> Any:
        if name not in self.__dict__:
            self.__dict__[name] = method(self)
        return self.__dict__[name]

    return once


# --- looking up by name ----------------------------------------------------------------------------


def _create_graph(graph: Any) -> None:
    by_name = {node.name: node for node in graph.nodetemplates}
    for node in graph.nodetemplates:
        for relationship, target in node.relationships.items():
            if target.name in by_name:
                graph._create_edge(node, by_name[target.name], relationship)
        graph._create_vertex(node)


def _nodes(topology: Any) -> dict[str, Any]:
    nodes: dict[str, Any] = topology.__dict__.get("_nodes_by_name", {})
    if len(nodes) != len(topology.nodetemplates):
        nodes = topology.__dict__["_nodes_by_name"] = {node.name: node for node in topology.nodetemplates}
    return nodes


def _group_members(topology: Any, names: Iterable[Any]) -> list[Any]:
    topology._validate_group_members(names)
    nodes = _nodes(topology)
    return [nodes[name] for name in names if name in nodes]


def _validate_group_members(topology: Any, names: Iterable[Any]) -> None:
    nodes = _nodes(topology)
    for name in names:
        if name not in nodes:
            message = f'Target member "{name}" is not found in node_templates'
            ExceptionCollector.appendException(InvalidGroupTargetException(message=message))
