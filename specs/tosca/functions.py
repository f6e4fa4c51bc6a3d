"""The intrinsic functions of TOSCA: worked out as far as git alone allows.

What depends on the world becomes a `Reference` or a `Secret`, and a call over one stays a `Call`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from msgspec import Struct

from specs.errors import FunctionError
from specs.tosca.checks import BROKEN
from specs.tosca.cursor import Cursor
from specs.tosca.definitions import Type
from specs.tosca.wording import kind_of, suggest
from specs.values import Call, Reference, Secret, Value
from specs.values import evaluate as work_out

_MAX_TRAIL = 60
_SECRET_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")


class Entity(Protocol):
    """A node template as functions see it."""

    @property
    def name(self) -> str:
        """Its name in the document."""

    @property
    def type(self) -> Type:
        """Its type."""

    @property
    def subject(self) -> str:
        """What references to it point at."""

    def property(self, name: str) -> Value:
        """Work out a property its type defines; None if it has no value."""

    def capability_property(self, capability: str, name: str) -> Value:
        """Work out a property of a capability; None if it has no value."""

    def attribute(self, name: str, cursor: Cursor) -> Value:
        """Give an attribute its type defines: a reference, or a value where the documents give one."""

    def target(self, requirement: str, cursor: Cursor) -> tuple[Entity, str] | None:
        """Give the node that fulfils a requirement and which of its capabilities; None is reported."""

    def artifact(self, name: str) -> str | None:
        """Give the file of an artifact; None if there is no such artifact."""


class World(Protocol):
    """A topology as functions see it."""

    @property
    def trail(self) -> Trail:
        """What is being worked out."""

    def input(self, name: str, cursor: Cursor) -> Value:
        """Give an input; reports one that is not declared."""

    def entity(self, name: str) -> Entity | None:
        """Find a node template."""

    def entity_names(self) -> Iterable[str]:
        """Give the names of all node templates."""

    def nodes_of_type(self, name: str, cursor: Cursor) -> Sequence[str] | None:
        """Give the names of the nodes of a type; None for a type that is unknown, which is reported."""


class Frame(Struct, frozen=True):
    """Where a function stands: in which topology, and what SELF, SOURCE and TARGET mean there."""

    world: World
    own: Entity | None = None
    source: Entity | None = None
    target: Entity | None = None


class Trail:
    """What is being worked out right now, so that values that need themselves are found."""

    def __init__(self) -> None:
        self._labels: list[str] = []

    def enter(self, label: str, cursor: Cursor) -> bool:
        """Begin with a value; false if that would never end, which is reported."""
        if label in self._labels:
            circle = " -> ".join([*self._labels[self._labels.index(label) :], label])
            cursor.error("function-cycle", f"this value needs itself: {circle}")
            return False
        if len(self._labels) >= _MAX_TRAIL:
            cursor.error("too-deep", f"more than {_MAX_TRAIL} values refer to one another in a chain")
            return False
        self._labels.append(label)
        return True

    def leave(self) -> None:
        """End with the value begun last."""
        self._labels.pop()


def evaluate(cursor: Cursor, frame: Frame) -> Value:
    """Work out every function inside the value at a cursor; the rest is given as it is."""
    value = cursor.value
    if isinstance(value, dict):
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name in _FUNCTIONS and (isinstance(argument, list) or name.startswith("get_")):
                result = _FUNCTIONS[name](cursor.at(name, argument), frame)
                cursor.faults.weigh(result)
                return result
        return {key: evaluate(cursor.at(key, item), frame) for key, item in value.items()}
    if isinstance(value, list):
        return [evaluate(cursor.at(index, item), frame) for index, item in enumerate(value)]
    return value  # type: ignore[return-value] # documents hold plain data


def is_late(value: Value) -> bool:
    """Tell whether a value holds something that only the world can tell."""
    match value:
        case Reference() | Secret() | Call():
            return True
        case Mapping():
            return any(map(is_late, value.values()))
        case list():
            return any(map(is_late, value))
    return False


# --- inputs, properties, attributes ---


def _get_input(cursor: Cursor, frame: Frame) -> Value:
    words = _words(cursor, 1)
    if not words:
        return BROKEN
    return _walk(frame.world.input(str(words[0]), cursor), words[1:], cursor)


def _get_property(cursor: Cursor, frame: Frame) -> Value:
    words = _words(cursor, 2)
    if not words:
        return BROKEN
    return _of_entity(words, cursor, frame, _property_of)


def _get_attribute(cursor: Cursor, frame: Frame) -> Value:
    words = _words(cursor, 2)
    if not words:
        return BROKEN
    return _of_entity(words, cursor, frame, _attribute_of)


def _words(cursor: Cursor, least: int) -> list[str | int]:
    """Read the arguments of a get_ function; none if they have the wrong shape, which is reported."""
    value = cursor.value
    words = value if isinstance(value, list) else [value]
    plain = [word for word in words if isinstance(word, str | int) and not isinstance(word, bool)]
    if len(plain) < max(least, len(words)) or not isinstance(plain[0], str):
        form = {1: "the name of an input", 2: "a list, e.g. [SELF, name]"}[least]
        cursor.error("wrong-function", f"{cursor.name} takes {form}", key=True)
        return []
    return plain


_Reader = Callable[[Entity, "Sequence[str | int]", Cursor], Value]


def _of_entity(words: Sequence[str | int], cursor: Cursor, frame: Frame, read: _Reader) -> Value:
    name = str(words[0])
    if name == "HOST":
        return _of_host(words[1:], cursor, frame, read)
    entity = _entity(name, cursor, frame)
    return BROKEN if entity is None else read(entity, words[1:], cursor)


def _entity(name: str, cursor: Cursor, frame: Frame) -> Entity | None:
    known = {"SELF": frame.own, "SOURCE": frame.source, "TARGET": frame.target}
    if name in known:
        if known[name] is None:
            cursor.error("wrong-function", f"{name} means nothing here; name a node template")
        return known[name]
    entity = frame.world.entity(name)
    if entity is None:
        cursor.error("unknown-node", f"there is no node template {name!r}{suggest(name, frame.world.entity_names())}")
    return entity


def _of_host(path: Sequence[str | int], cursor: Cursor, frame: Frame, read: _Reader) -> Value:
    """Ask the host, its host and so on: the first that knows the name answers."""
    entity, seen = frame.own, {frame.own.name if frame.own else ""}
    if entity is None:
        cursor.error("wrong-function", "HOST means nothing here; name a node template")
    while entity is not None and "host" in entity.type.requirements:
        found = entity.target("host", cursor)
        if found is None:
            return BROKEN
        entity = found[0]
        if entity.name in seen:
            break
        seen.add(entity.name)
        first = str(path[0])
        if first in entity.type.properties or first in entity.type.attributes or first in entity.type.capabilities:
            return read(entity, path, cursor)
    if frame.own is not None:
        cursor.error("unknown-property", f"no host of {frame.own.name!r} has {path[0]!r}")
    return BROKEN


def _property_of(entity: Entity, path: Sequence[str | int], cursor: Cursor) -> Value:
    first = str(path[0])
    capabilities = entity.type.capabilities
    if len(path) > 1 and first in capabilities and path[1] in capabilities[first].properties:
        return _walk(entity.capability_property(first, str(path[1])), path[2:], cursor)
    if first in entity.type.properties:
        return _walk(entity.property(first), path[1:], cursor)
    if len(path) > 1 and first in entity.type.requirements:
        return _property_of_target(entity, path, cursor)
    if not entity.type.broken:
        known = suggest(first, entity.type.properties)
        cursor.error("unknown-property", f"{entity.name!r} ({entity.type.name}) has no property {first!r}{known}")
    return BROKEN


def _property_of_target(entity: Entity, path: Sequence[str | int], cursor: Cursor) -> Value:
    found = entity.target(str(path[0]), cursor)
    if found is None:
        return BROKEN
    target, capability = found
    definition = target.type.capabilities.get(capability)
    if definition is not None and path[1] in definition.properties:
        return _walk(target.capability_property(capability, str(path[1])), path[2:], cursor)
    return _property_of(target, path[1:], cursor)


def _attribute_of(entity: Entity, path: Sequence[str | int], cursor: Cursor) -> Value:
    first = str(path[0])
    if first in entity.type.attributes:
        return _walk(entity.attribute(first, cursor), path[1:], cursor)
    capability = entity.type.capabilities.get(first)
    if len(path) > 1 and capability is not None and path[1] in capability.attributes:
        return _walk(Reference(entity.subject, str(path[1])), path[2:], cursor)
    if len(path) > 1 and first in entity.type.requirements:
        return _attribute_of_target(entity, path, cursor)
    if first in entity.type.properties or capability is not None:
        return _property_of(entity, path, cursor)
    if not entity.type.broken:
        known = suggest(first, [*entity.type.attributes, *entity.type.properties])
        cursor.error("unknown-attribute", f"{entity.name!r} ({entity.type.name}) has no attribute {first!r}{known}")
    return BROKEN


def _attribute_of_target(entity: Entity, path: Sequence[str | int], cursor: Cursor) -> Value:
    found = entity.target(str(path[0]), cursor)
    if found is None:
        return BROKEN
    target, capability = found
    definition = target.type.capabilities.get(capability)
    if definition is not None and (path[1] in definition.attributes or path[1] in definition.properties):
        return _attribute_of(target, (capability, *path[1:]), cursor)
    return _attribute_of(target, path[1:], cursor)


def _walk(value: Value, path: Sequence[str | int], cursor: Cursor) -> Value:
    """Go into a structured value by keys and indices."""
    for position, step in enumerate(path):
        match value:
            case Reference(target, attribute, before):
                return BROKEN if value == BROKEN else Reference(target, attribute, (*before, *path[position:]))
            case Mapping() if step in value:
                value = value[str(step)]
            case list() if isinstance(step, int) and 0 <= step < len(value):
                value = value[step]
            case list() if isinstance(step, str) and step.isdecimal() and int(step) < len(value):
                value = value[int(step)]
            case _:
                cursor.error("wrong-function", f"there is no {step!r} in {kind_of(value)}")
                return BROKEN
    return value


# --- text ---


def _call(name: str) -> Callable[[Cursor, Frame], Value]:
    def run(cursor: Cursor, frame: Frame) -> Value:
        arguments = [evaluate(item, frame) for item in cursor.items()]
        if _is_broken(arguments):
            return BROKEN
        cursor.faults.weigh(arguments)
        if is_late(arguments):
            return Call(name, arguments)
        try:
            return work_out(Call(name, arguments))
        except FunctionError as error:
            cursor.error("wrong-function", str(error), key=True)
            return BROKEN

    return run


def _is_broken(value: Value) -> bool:
    match value:
        case Reference():
            return value == BROKEN
        case Mapping():
            return any(map(_is_broken, value.values()))
        case list():
            return any(map(_is_broken, value))
    return False


def _get_secret(cursor: Cursor, frame: Frame) -> Value:
    if isinstance(cursor.value, str) and _SECRET_NAME.fullmatch(cursor.value):
        return Secret(cursor.value)
    cursor.error("wrong-function", "'get_secret' takes the name of a secret, e.g. db-password", key=True)
    return BROKEN


# --- the rest ---


def _get_artifact(cursor: Cursor, frame: Frame) -> Value:
    words = _words(cursor, 2)
    if not words:
        return BROKEN
    entity = _entity(str(words[0]), cursor, frame)
    if entity is None:
        return BROKEN
    file = entity.artifact(str(words[1]))
    if file is None:
        cursor.error("unknown-artifact", f"{entity.name!r} has no artifact {words[1]!r}")
        return BROKEN
    return file


def _get_nodes_of_type(cursor: Cursor, frame: Frame) -> Value:
    words = _words(cursor, 1)
    names = frame.world.nodes_of_type(str(words[0]), cursor) if words else None
    return BROKEN if names is None else list(names)


def _get_operation_output(cursor: Cursor, frame: Frame) -> Value:
    cursor.error(
        "unsupported-function",
        "'get_operation_output' is not supported: operations give nothing back; use get_attribute",
        key=True,
    )
    return BROKEN


_FUNCTIONS: Mapping[str, Callable[[Cursor, Frame], Value]] = MappingProxyType(
    {
        "get_input": _get_input,
        "get_property": _get_property,
        "get_attribute": _get_attribute,
        "get_secret": _get_secret,
        "get_artifact": _get_artifact,
        "get_nodes_of_type": _get_nodes_of_type,
        "get_operation_output": _get_operation_output,
        "concat": _call("concat"),
        "join": _call("join"),
        "token": _call("token"),
    }
)
NAMES = frozenset(_FUNCTIONS)
