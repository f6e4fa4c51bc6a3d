"""One thing to do to one resource, and why."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from providers.base import Present
from reconciler.difference import Change
from specs.model import Address, Resource
from state.store import Item


class Action(StrEnum):
    """What a step does to its resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    ADOPT = "adopt"
    """Write down what is there already, as wanted and with our mark."""
    FORGET = "forget"
    """Drop the record of what is neither wanted nor there."""


class Reason(StrEnum):
    """Why a step is there, in words that stay the same."""

    NEW = "wanted and never made"
    VANISHED = "it was there and is gone"
    SPEC_CHANGED = "the spec changed"
    DRIFTED = "the world changed"
    CONFLICT = "the spec and the world both changed"
    FOLLOWS = "what it refers to changes"
    CANNOT_UPDATE = "a change that cannot be made in place"
    LOST_WITH_HOST = "what it stands on is made anew"
    NOT_IN_SPEC = "it is no longer in git"
    LOWERED = "its state or number was lowered in the spec"
    DEPOSED = "left behind by a replacement that was cut short"
    RECOGNISED = "there already, known by its owner mark"
    RECORD_ONLY = "only its record is left"


class Step(Struct, frozen=True, kw_only=True):
    """One thing to do to one resource."""

    address: Address
    action: Action
    reason: Reason
    binding: str
    resource: Resource | None = None
    """What is wanted; `None` for deletes."""
    present: Present | None = None
    """What is there; `None` for creates."""
    item: Item | None = None
    changes: tuple[Change, ...] = ()
    lost_with: Address | None = None
    """What it stands on and goes down with."""
    requires: tuple[Address, ...] = ()
    """What it needs, or needed when it was made."""
    create_before_delete: bool = False
    deposed: bool = False
    spec_moved: bool = False
    """Whether it does what a commit changed."""
    world_moved: bool = False
    """Whether it corrects what the world changed."""
