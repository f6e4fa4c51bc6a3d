"""Values assigned to what a type defines: worked out when somebody asks, checked, kept."""

from __future__ import annotations

from collections.abc import Mapping

from specs.tosca.checks import BROKEN, check
from specs.tosca.cursor import Cursor
from specs.tosca.definitions import Schema
from specs.tosca.functions import Frame, evaluate
from specs.tosca.library import PREFIX
from specs.tosca.typesystem import TypeSpace
from specs.tosca.wording import suggest
from specs.values import Value


class Assignments:
    """The properties of one node, capability, relationship or policy."""

    __slots__ = ("_assigned", "_frame", "_home", "_label", "_schemas", "_space", "_worked_out")

    def __init__(
        self,
        label: str,
        schemas: Mapping[str, Schema],
        assigned: Mapping[str, Cursor],
        *,
        frame: Frame,
        space: TypeSpace,
        home: Cursor,
    ) -> None:
        """`label` names the owner in messages, `home` is where missing values are reported."""
        self._label = label
        self._schemas = schemas
        self._assigned = assigned
        self._frame = frame
        self._space = space
        self._home = home
        self._worked_out: dict[str, Value] = {}

    def get(self, name: str) -> Value:
        """Work out one value; None if it has none."""
        if name in self._worked_out:
            return self._worked_out[name]
        schema = self._schemas[name]
        cursor = self._assigned.get(name) or self._default(schema)
        if cursor is None:
            value: Value = None
        elif isinstance(cursor.value, dict | list):
            value = self._evaluated(name, schema, cursor)
        elif cursor.value is None and schema.type != "null":
            if name in self._assigned:
                cursor.error("wrong-type", f"{name!r} has no value; give one or remove it", key=True)
                return BROKEN
            value = None
        else:
            value = check(self._space, schema, cursor.value, cursor)  # type: ignore[arg-type] # plain data
        if cursor is not None:
            self._home.faults.weigh(value)
        self._worked_out[name] = value
        return value

    def _default(self, schema: Schema) -> Cursor | None:
        """Find a default; what does not fit it here is said here, and where it is written if that is a document."""
        default = schema.default
        if default is None:
            return None
        if default.source.path.startswith(PREFIX):
            return Cursor(self._home.source, self._home.faults, self._home.pointer, default.value)
        return default.reporting_to(self._home.faults)

    def _evaluated(self, name: str, schema: Schema, cursor: Cursor) -> Value:
        trail = self._frame.world.trail
        if not trail.enter(f"{self._label}.{name}", cursor):
            return BROKEN
        try:
            value = evaluate(cursor, self._frame)
        finally:
            trail.leave()
        return value if value is None else check(self._space, schema, value, cursor)

    def all(self, *, complete: bool = True) -> dict[str, Value]:
        """Work out everything that has a value; unknown and (if `complete`) missing ones are reported."""
        for name, cursor in self._assigned.items():
            if name not in self._schemas:
                hint = suggest(name, self._schemas)
                cursor.error("unknown-property", f"{self._label} has no property {name!r}{hint}", key=True)
        self._home.faults.spend(len(self._schemas))
        values: dict[str, Value] = {}
        for name, schema in self._schemas.items():
            value = self.get(name)
            if value is not None:
                values[name] = value
            elif complete and schema.required and schema.type != "null":
                self._home.error("missing-property", f"{self._label} needs the property {name!r}", key=True)
        return values
