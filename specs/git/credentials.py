"""Credentials from the usual places, in the order they are tried; each is tried once.

For http and https: the address itself, `RECONCILER_GIT_PASSWORD` (with `RECONCILER_GIT_USERNAME`),
`~/.netrc`, and the credential helpers of git if git is installed.
For ssh: the key file `RECONCILER_SSH_KEY` alone if that is set, or else the ssh-agent and then
`~/.ssh/id_ed25519`, `id_ecdsa`, `id_rsa`. `RECONCILER_SSH_PASSPHRASE` opens key files.
"""

from __future__ import annotations

import netrc
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from specs.errors import RepositoryError
from specs.git.address import Address

_KEY_FILES = ("id_ed25519", "id_ecdsa", "id_rsa")
_HELPER_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Password:
    """A user and a password or token."""

    source: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Key:
    """A private key in a file."""

    source: str
    path: Path
    passphrase: str = field(repr=False)


class Agent(Struct, frozen=True):
    """Whatever keys the ssh-agent holds."""

    source: str = "the ssh-agent"


Credential: TypeAlias = Password | Key | Agent


class Offers:
    """Hands out one credential after the other and remembers where each came from."""

    def __init__(self, address: Address, environment: Mapping[str, str]) -> None:
        self.tried: list[str] = []
        self._passwords = passwords(address, environment)
        self._keys = keys(environment)

    def password(self) -> Password:
        """Give the next password; `RepositoryError` when there is none left."""
        offer = next(self._passwords, None)
        if offer is None:
            raise RepositoryError(
                self._exhausted("~/.netrc, RECONCILER_GIT_USERNAME and RECONCILER_GIT_PASSWORD, or a credential helper")
            )
        self.tried.append(offer.source)
        return offer

    def key(self) -> Key | Agent:
        """Give the next key; `RepositoryError` when there is none left."""
        offer = next(self._keys, None)
        if offer is None:
            raise RepositoryError(
                self._exhausted("the ssh-agent, ~/.ssh, or RECONCILER_SSH_KEY with RECONCILER_SSH_PASSPHRASE")
            )
        self.tried.append(offer.source)
        return offer

    def _exhausted(self, places: str) -> str:
        if self.tried:
            return f"the server refused the credentials from {', '.join(self.tried)}; correct them in {places}"
        return f"the server asks for credentials and there are none; put them in {places}"


def passwords(address: Address, environment: Mapping[str, str]) -> Iterator[Password]:
    """Walk the passwords for an address; a place is looked into only when its turn comes."""
    if address.password:
        yield Password("the address", address.username, address.password)
    if password := environment.get("RECONCILER_GIT_PASSWORD"):
        username = environment.get("RECONCILER_GIT_USERNAME") or address.username or "git"
        yield Password("RECONCILER_GIT_PASSWORD", username, password)
    yield from _from_netrc(address)
    yield from _from_helper(address, environment)


def keys(environment: Mapping[str, str]) -> Iterator[Key | Agent]:
    """Walk the keys for ssh: the one named by the environment alone, or the agent and the usual files."""
    passphrase = environment.get("RECONCILER_SSH_PASSPHRASE", "")
    if named := environment.get("RECONCILER_SSH_KEY"):
        path = Path(named).expanduser()
        if not path.is_file():
            raise RepositoryError(f"RECONCILER_SSH_KEY names {path}, which is not a file; correct or unset it")
        yield Key("RECONCILER_SSH_KEY", path, passphrase)
        return
    if environment.get("SSH_AUTH_SOCK"):
        yield Agent()
    for name in _KEY_FILES:
        path = Path.home() / ".ssh" / name
        if path.is_file():
            yield Key(f"~/.ssh/{name}", path, passphrase)


def _from_netrc(address: Address) -> Iterator[Password]:
    try:
        found = netrc.netrc().authenticators(address.host)
    except FileNotFoundError:
        return
    except netrc.NetrcParseError as error:  # its text may quote a password
        where = f"line {error.lineno} makes no sense" if error.lineno else "others may read it; chmod 600 ~/.netrc"
        raise RepositoryError(f"~/.netrc cannot be used: {where}") from None
    except (OSError, UnicodeDecodeError):
        raise RepositoryError("~/.netrc cannot be read; correct it or remove it") from None
    if found is not None and found[2] and address.username in ("", found[0]):
        yield Password("~/.netrc", found[0], found[2])


def _from_helper(address: Address, environment: Mapping[str, str]) -> Iterator[Password]:
    git = shutil.which("git", path=environment.get("PATH"))
    if git is None:
        return
    host = f"{address.host}:{address.port}" if address.port not in (80, 443) else address.host
    question = f"protocol={address.scheme}\nhost={host}\n"
    if address.username:
        question += f"username={address.username}\n"
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true", "SSH_ASKPASS": "true"}
    try:
        answer = subprocess.run(  # noqa: S603 -- git itself, with fixed arguments
            [git, "credential", "fill"],
            input=f"{question}\n",
            capture_output=True,
            text=True,
            cwd="/",
            env={**environment, **quiet},
            timeout=_HELPER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        raise RepositoryError(
            "git credential fill did not answer; check credential.helper in your git configuration"
        ) from None
    found = dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)
    if answer.returncode == 0 and found.get("password"):
        yield Password("the credential helper", found.get("username", ""), found["password"])
