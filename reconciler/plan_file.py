"""A plan written down for later: its document, and what it was asked for, in a file only its owner reads."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from msgspec import Struct
from msgspec.structs import asdict

from reconciler.choice import Choice, choice_of
from reconciler.plan import PlanError
from reconciler.plan_document import FORMAT_VERSION, Document

_MAX_BYTES = 500_000_000
_OPTIONS = "made_with"


class PlanFile(Struct, frozen=True, kw_only=True):
    """What `plan --out` wrote."""

    document: Document
    choice: Choice
    sites: tuple[str, ...]
    """The sites that were planned."""

    @property
    def commit(self) -> str:
        """The commit it was made from."""
        return str(self.document["commit"])


def write_plan_file(file: Path, plan: PlanFile) -> None:
    """Write a plan; whole or not at all, and for its owner's eyes only."""
    content = {**plan.document, _OPTIONS: {**asdict(plan.choice), "planned": plan.sites}}
    if not file.name or file.is_dir():
        raise PlanError(f"the plan cannot be written to {file}: it is a folder; name a file")
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        os.close(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with scratch.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(content))
            stream.write("\n")
        scratch.replace(file)
    except OSError as error:
        raise PlanError(f"the plan cannot be written to {file}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)


def read_plan_file(file: Path) -> PlanFile:
    """Read a plan; `PlanError` for what was not written by `plan --out` of this version."""
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise PlanError(f"{file} is too large for a plan")
        found = json.loads(file.read_bytes())
    except OSError as error:
        raise PlanError(f"the plan {file} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{file} is no plan; make one with: reconciler plan --out {file}") from error
    match found:
        case {
            "format_version": version,
            "commit": str(),
            "resource_changes": list(),
            "made_with": {"planned": [*sites], **options},
        } if version == FORMAT_VERSION:
            document = {key: value for key, value in found.items() if key != _OPTIONS}
            choice = choice_of({str(key): value for key, value in options.items()})
            return PlanFile(document=document, choice=choice, sites=tuple(map(str, sites)))
    raise PlanError(f"{file} is no plan of this version; make one with: reconciler plan --out {file}")
