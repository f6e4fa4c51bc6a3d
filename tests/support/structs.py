"""Generates structs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypothesis import strategies as st

Built = TypeVar("Built")


def structs(kind: Callable[..., Built], **fields: st.SearchStrategy[object]) -> st.SearchStrategy[Built]:
    """Generate structs of a kind; `st.builds` would ask for types that only another module knows."""
    return st.fixed_dictionaries(fields).map(lambda given: kind(**given))
