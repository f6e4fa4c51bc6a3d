"""Values assigned to what a type defines: worked out when somebody asks, checked, kept."""

from __future__ import annotations

from collections.abc import Mapping

from specs.tosca.checks import BROKEN, check
from specs.tosca.cursor import Cursor
from specs.tosca.definitions import SCALARS, Schema
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
        if name not in self._worked_out:
            schema, cursor = self._schemas[name], self._assigned.get(name)
            value = self._default(name, schema) if cursor is None else self._given(name, schema, cursor)
            if value is not None:
                self._home.faults.weigh(value)
            self._worked_out[name] = value
        return self._worked_out[name]

    def _given(self, name: str, schema: Schema, cursor: Cursor) -> Value:
        if cursor.value is None and schema.type != "null":
            cursor.error("wrong-type", f"{name!r} has no value; give one or remove it", key=True)
            return BROKEN
        return self._read(name, schema, cursor)

    def _default(self, name: str, schema: Schema) -> Value:
        """Work out a default; what does not fit it here is said here, and where it is written if that is a document."""
        default, home = schema.default, self._home
        if default is None or default.value is None:
            return None
        if not default.source.path.startswith(PREFIX):
            return self._read(name, schema, default.reporting_to(home.faults))
        if schema.settled is None:
            value = self._read(name, schema, Cursor(home.source, home.faults, home.pointer, default.value))
            if value is BROKEN or schema.type not in SCALARS:
                return value
            schema.settled = value
        return schema.settled

    def _read(self, name: str, schema: Schema, cursor: Cursor) -> Value:
        if isinstance(cursor.value, dict | list):
            return self._evaluated(name, schema, cursor)
        return check(self._space, schema, cursor.value, cursor)  # type: ignore[arg-type] # plain data

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
