"""Every error of the project hangs on one tree, and every fault of a document is a diagnostic.

    ReconcilerError
    ├── SpecError            faults in documents, with file and line, all of them at once
    ├── FunctionError        a TOSCA function got arguments it cannot work with
    ├── RepositoryError      git could not be read, fetched or written
    ├── SettingsError        reconciler.yaml, the environment or an option cannot be used
    ├── StoreError           the state store is unreachable, too new or broken        (state.store)
    │   └── LockedError      somebody else works on the site                          (state.store)
    ├── ProviderError        a provider could not do what it was asked                (providers.base)
    │   ├── TransientError   the same call may succeed later
    │   └── PermanentError   the same call will fail again
    │       └── QuotaExceeded
    ├── PlanError            the plan cannot be made or is not valid any more         (reconciler.plan)
    │   └── StalePlanError
    └── UnwritableError      what a command says cannot be written                    (reconciler.cli.terminal)

Messages say what, where and what now, and end without a full stop.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct


class ReconcilerError(Exception):
    """What this project raises on purpose; the command line shows its text and no traceback."""


class FunctionError(ReconcilerError):
    """A TOSCA function got arguments it cannot work with."""


class RepositoryError(ReconcilerError):
    """Git could not be read, fetched or written."""


class SettingsError(ReconcilerError):
    """Settings, environment or options cannot be used as they are."""


class Severity(StrEnum):
    """How much a diagnostic weighs: only an error makes a document invalid."""

    ERROR = "error"
    WARNING = "warning"
    HINT = "hint"


class Diagnostic(Struct, frozen=True, order=True):
    """One fault or hint: where it is, what it is and what to do.

    `line` and `column` count from 1; 0 means the whole file.
    """

    file: str
    line: int
    column: int
    severity: Severity
    code: str
    """A short stable word in kebab case, e.g. `duplicate-key`; documented in the reference."""
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message} [{self.code}]"


class SpecError(ReconcilerError):
    """Documents are invalid; carries every diagnostic, in order of file and line."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics))
        super().__init__("\n".join(str(diagnostic) for diagnostic in self.diagnostics))
