"""A run of the past, in a few words or as JSON."""

from __future__ import annotations

from reconciler.plan_document import Document
from state.store import Outcome, Run


def run_text(run: Run) -> str:
    """Say when it was, why, and how it ended."""
    done = ", ".join(f"{number} {what}" for what, number in run.summary.items())
    outcome = "not finished" if run.outcome is Outcome.OPEN else run.outcome
    said = f"{run.started_at:%Y-%m-%d %H:%M:%S} UTC, {run.cause}: {outcome}"
    return said + (f" ({done})" if done else "") + (f", {run.message}" if run.message else "")


def run_document(run: Run) -> Document:
    """Give it as JSON."""
    return {
        "id": run.id,
        "site": run.site,
        "commit": run.commit,
        "cause": run.cause,
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "outcome": str(run.outcome),
        "summary": dict(run.summary),
        "message": run.message,
    }
