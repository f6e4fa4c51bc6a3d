"""What is done to the objects of one kind; one class for each way OpenStack works."""

from __future__ import annotations

from typing import Protocol

from msgspec import Raw

from providers.base import Mark, PermanentError, Present
from providers.openstack.cloud import Json
from providers.openstack.sight import Sight
from specs.model import Resource


class Hand(Protocol):
    """Lists, reads, makes, changes and removes the objects of one kind."""

    def rows(self, repository: str, *, everything: bool) -> list[Raw]:
        """List what may be ours, unread; all there is in the project if `everything` is asked for."""

    def mark(self, row: Json) -> Mark | None:
        """Read the owner mark of an object."""

    def name(self, row: Json) -> tuple[str, str]:
        """Give the id and the name of an object."""

    def present(self, row: Json, mark: Mark, sight: Sight) -> Present:
        """Show an object."""

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Make an object, or find the one that was made before."""

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Change an object in place."""

    def delete(self, current: Present) -> Present | None:
        """Remove an object; gives what is left of it."""

    def adopt(self, resource: Resource, number: str, mark: Mark) -> Present:
        """Put a mark on an object that has none."""


def must_be_ours(found: Mark | None, expected: Mark, number: str) -> None:
    """Refuse to touch what does not carry our mark any more."""
    if found is None or (found.repository, found.address) != (expected.repository, expected.address):
        whose = f"belongs to {found.address} of repository {found.repository}" if found else "has lost its mark"
        raise PermanentError(
            f"{expected.address}: {number} {whose}, so it is left alone; adopt it or remove it by hand"
        )


def must_be_free(found: Mark | None, mark: Mark, number: str) -> None:
    """Refuse to adopt what belongs to somebody else."""
    if found is not None and (found.repository, found.address) != (mark.repository, mark.address):
        raise PermanentError(
            f"{number} cannot be adopted as {mark.address}: it is {found.address} of repository {found.repository}"
        )
