"""Where the texts of secrets come from: the operator's environment, or files only the operator reads."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from specs.errors import SettingsError
from specs.values import Secret

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Secrets:
    """Looks a secret up in `RECONCILER_SECRET_<NAME>`, then in the file `<folder>/<name>`."""

    folder: Path
    """Usually `.reconciler/secrets`; a file's last line break does not count."""
    repository: str
    """Keys the digests, so that equal secrets of two repositories do not look equal."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def digest(self, name: str) -> str:
        """Give the digest a secret compares by; `SettingsError` says where to put a missing one."""
        key = self.repository.encode()[:64]
        return blake2b(self._text(name).encode(), digest_size=16, key=key).hexdigest()

    def unseal(self, secret: Secret) -> Secret:
        """Give the secret with its text."""
        return secret.unsealed(self._text(secret.name))

    def _text(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise SettingsError(f"{name!r} cannot name a secret; use letters, digits, '_', '-' and '.'")
        variable = "RECONCILER_SECRET_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
        if variable in self.environment:
            return self.environment[variable]
        try:
            return (self.folder / name).read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, UnicodeDecodeError) as error:
            where = f"set {variable} or write it to {self.folder / name}"
            raise SettingsError(f"secret {name!r} is not known; {where}") from error
