"""Generates worlds that change from look to look."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st


@st.composite
def histories(draw: st.DrawFn, worlds: st.SearchStrategy[dict[str, Any]]) -> list[dict[str, Any]]:
    """Draw a world, and how one or two of its parts become others from look to look."""
    turns = [draw(worlds)]
    for _ in range(draw(st.integers(1, 4))):
        moved = draw(worlds)
        changed = draw(st.lists(st.sampled_from(sorted(moved)), min_size=1, max_size=2))
        turns.append({**turns[-1], **{name: moved[name] for name in changed}})
    return turns
