"""Property values: plain JSON data plus three expressions that are worked out later.

Values are `None`, `bool`, `int`, `float`, `str`, lists and string-keyed mappings of values, and

- `Reference`: an attribute of another resource, known once that exists;
- `Secret`: named by the spec, held by the operator's environment, compared by digest;
- `Call`: a TOSCA function (`concat`, `join`, `token`) over values that hold references or secrets.

They are built once and never written to afterwards. Digests are BLAKE2b-128 over canonical JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TypeAlias, cast

from msgspec import Struct

from specs.errors import FunctionError

Value: TypeAlias = "bool | int | float | str | Reference | Secret | Call | Sequence[Value] | Mapping[str, Value] | None"
Properties: TypeAlias = Mapping[str, Value]


class Reference(Struct, frozen=True, order=True, gc=False):
    """An attribute of another resource, e.g. `Reference("bristol/shop/db:sandpit.server", "private_address")`.

    `target` is an address, or a subject (an address without its type), which linking turns into
    the address of the resource that stands for it. `path` walks into a structured attribute.
    """

    target: str
    attribute: str
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Secret:
    """A value that never appears: its name, the digest it compares by and, at apply only, its text."""

    name: str
    digest: str = ""
    text: str = field(default="", repr=False, compare=False)

    def unsealed(self, text: str) -> Secret:
        """Give it with its text."""
        return Secret(self.name, self.digest, text)


class Call(Struct, frozen=True):
    """A TOSCA function over arguments of which some are known only later."""

    function: str
    arguments: Sequence[Value]


def encode(value: Value) -> object:
    """Turn a value into plain JSON data; expressions become one-key mappings that begin with `$`."""
    match value:
        case str() | int() | float() | None:
            return value
        case Reference(target, attribute, path):
            return {"$reference": [target, attribute, *path]}
        case Secret(name, digest):
            return {"$secret": [name, digest]}
        case Call(function, arguments):
            return {"$call": [function, *map(encode, arguments)]}
        case Mapping():
            return {f"${key}" if key.startswith("$") else key: encode(item) for key, item in value.items()}
        case Sequence():
            return [encode(item) for item in value]
    return value


def decode(data: object) -> Value:
    """Turn what `encode` made back into a value."""
    if isinstance(data, dict):
        return _decoded(data) if len(data) == 1 else {key.removeprefix("$"): decode(data[key]) for key in data}
    return [decode(item) for item in data] if isinstance(data, list) else cast("Value", data)


def _decoded(data: dict[str, object]) -> Value:
    match data:
        case {"$reference": [str() as target, str() as attribute, *path]}:
            return Reference(target, attribute, tuple(cast("list[str | int]", path)))
        case {"$secret": [str() as name, str() as digest]}:
            return Secret(name, digest)
        case {"$call": [str() as function, *arguments]}:
            return Call(function, [decode(item) for item in arguments])
    return {key.removeprefix("$"): decode(item) for key, item in data.items()}


def digest(value: Value) -> str:
    """Give the canonical digest of a value: equal values, equal digests, in every process."""
    return blake2b(_CANONICAL.encode(value).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _plain(value: Value) -> object:
    return dict(value) if isinstance(value, Mapping) else encode(value)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def expressions(value: Value) -> Iterator[Reference | Secret]:
    """Walk every reference and secret inside a value, in order."""
    match value:
        case str() | int() | float() | None:
            return
        case Reference() | Secret():
            yield value
        case Call(_, arguments):
            for item in arguments:
                yield from expressions(item)
        case Mapping():
            for item in value.values():
                yield from expressions(item)
        case Sequence():
            for item in value:
                yield from expressions(item)


def rewrite(value: Value, change: Callable[[Reference | Secret | Call], Value]) -> Value:
    """Build the value anew with every expression replaced by what `change` makes of it.

    Arguments of a call are rewritten before the call itself is handed over.
    """
    match value:
        case str() | int() | float() | None:
            return value
        case Reference() | Secret():
            return change(value)
        case Call(function, arguments):
            return change(Call(function, [rewrite(item, change) for item in arguments]))
        case Mapping():
            return {key: rewrite(item, change) for key, item in value.items()}
        case Sequence():
            return [rewrite(item, change) for item in value]
    return value


def evaluate(call: Call) -> Value:
    """Work out a call whose arguments are all known; `FunctionError` says what is wrong with them.

    The functions are those of TOSCA Simple Profile 1.3, 4.3: `concat`, `join` and `token`.
    """
    match call:
        case Call("concat", [*parts]):
            return "".join(map(_text, parts))
        case Call("join", [[*parts]]):
            return "".join(map(_text, parts))
        case Call("join", [[*parts], str() as delimiter]):
            return delimiter.join(map(_text, parts))
        case Call("token", [str() as text, str() as separators, int() as index]) if separators:
            tokens = text.split(separators)
            if 0 <= index < len(tokens):
                return tokens[index]
            raise FunctionError(f"token {index} of {text!r} does not exist; it has {len(tokens)}")
    raise FunctionError(f"{call.function} cannot take {call.arguments!r}")


def _text(part: Value) -> str:
    match part:
        case bool():
            return "true" if part else "false"
        case str() | int() | float():
            return str(part)
    raise FunctionError(f"{part!r} is no text")
