"""Put values in the place of expressions, as far as they are known. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

from providers.base import Present
from reconciler.difference import LATER, Later
from specs.model import Address
from specs.values import Call, Reference, Secret, Value, digest, evaluate, expressions, rewrite

Look = Callable[[Address], Present | None]
"""Gives what is there now at an address, or `None` while its attributes are not known."""


def resolve(value: Value, look: Look, unseal: Callable[[Secret], Secret] = lambda secret: secret) -> Value | Later:
    """Resolve references, secrets and calls inside a value; `LATER` if a part is not known yet.

    A call over a secret is itself a secret. One that cannot be worked out raises `FunctionError`.
    """
    later = False

    def settle(expression: Reference | Secret | Call) -> Value:
        nonlocal later
        match expression:
            case Secret():
                return unseal(expression)
            case Reference(target, attribute, path):
                present = look(Address(target))
                found = LATER if present is None else attribute_of(present, attribute, path)
                if not isinstance(found, Later):
                    return found
                later = True
            case Call() if not later:
                return _evaluated(expression)
        return expression

    resolved = rewrite(value, settle)
    return LATER if later else resolved


def _evaluated(call: Call) -> Value:
    secrets = [item for item in expressions(call) if isinstance(item, Secret)]
    if not secrets:
        return evaluate(call)
    text = evaluate(cast("Call", rewrite(call, _open))) if all(secret.text for secret in secrets) else ""
    return Secret("+".join(secret.name for secret in secrets), digest(call), str(text))


def _open(expression: Reference | Secret | Call) -> Value:
    return expression.text if isinstance(expression, Secret) else expression


def attribute_of(present: Present, attribute: str, path: tuple[str | int, ...]) -> Value | Later:
    """Read an attribute of what is there, or one of its properties; `LATER` while it has none."""
    value: Value = present.attributes.get(attribute, present.properties.get(attribute))
    for step in path:
        match value:
            case Mapping() if isinstance(step, str) and step in value:
                value = value[step]
            case Sequence() if isinstance(step, int) and not isinstance(value, str) and step < len(value):
                value = value[step]
            case _:
                return LATER
    return LATER if value is None else value
