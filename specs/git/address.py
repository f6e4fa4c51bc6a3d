"""Where a repository is: a path on this machine, or an address to clone from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from specs.errors import RepositoryError
from specs.git.faults import UNSAFE, printable

_PORTS = {"http": 80, "https": 443, "ssh": 22}
_SCP = re.compile(r"(?:(?P<user>[^/@:\[\]]+)@)?(?P<host>\[[^/@\]]+\]|[^/@:\[\]]+):(?P<path>.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address of a repository, taken apart so that no message and no file can hold its password."""

    url: str
    """What libgit2 connects to: for http and https without user and password."""
    scheme: str
    """`file`, `http`, `https` or `ssh`."""
    host: str = ""
    port: int = 0
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.url

    def leads_to(self, url: str) -> bool:
        """Tell whether a server at `url`, where we were redirected, may be given our credentials."""
        there = _split(url)
        scheme, port = there.scheme, _port(there)
        if there.hostname != self.host:
            return False
        return (scheme, port) == (self.scheme, self.port) or (self.scheme, scheme) == ("http", "https")


def locate(location: str) -> Path | Address:
    """Tell a path from an address; `RepositoryError` says which addresses there are."""
    if not location or UNSAFE.search(location):
        raise RepositoryError(f"{_shown(location)!r} is neither a path nor the address of a repository")
    if "://" in location:
        return _from_url(location)
    scp = _SCP.fullmatch(location)
    if scp is not None:
        if scp["host"].startswith("["):
            raise RepositoryError(f"{location} cannot be used; write it as ssh://user@{scp['host']}/path")
        return Address(url=location, scheme="ssh", host=scp["host"].lower(), port=22, username=scp["user"] or "")
    return Path(location).expanduser().absolute()


def _from_url(location: str) -> Address:
    parts = _split(location)
    match parts.scheme:
        case "file":
            return _file(parts, location)
        case "http" | "https":
            return _http(parts, location)
        case "ssh":
            return _ssh(parts, location)
    raise RepositoryError(
        f"{_shown(location)} begins with {parts.scheme}://, which is not supported; use a path, file://, https://, "
        "http://, ssh:// or user@host:path"
    )


def _file(parts: SplitResult, location: str) -> Address:
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise RepositoryError(f"{_shown(location)} is not a file address; it should look like file:///srv/specs.git")
    return Address(url=f"file://{parts.path}", scheme="file")


def _http(parts: SplitResult, location: str) -> Address:
    if not parts.hostname or parts.query or parts.fragment:
        raise RepositoryError(
            f"{_shown(location)} is not the address of a repository; it should look like https://host/path.git"
        )
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    if UNSAFE.search(username + password):
        raise RepositoryError(f"the user or password in the address {_shown(location)} has control characters")
    server = parts.netloc.rpartition("@")[2]
    return Address(
        url=f"{parts.scheme}://{server}{parts.path}",
        scheme=parts.scheme,
        host=parts.hostname,
        port=_port(parts),
        username=username,
        password=password,
    )


def _ssh(parts: SplitResult, location: str) -> Address:
    if parts.password:
        raise RepositoryError(f"{_shown(location)} carries a password, which ssh does not take; use a key")
    if not parts.hostname or parts.path in ("", "/") or parts.query or parts.fragment:
        raise RepositoryError(
            f"{_shown(location)} is not the address of a repository; it should look like ssh://user@host/path.git"
        )
    return Address(
        url=location, scheme="ssh", host=parts.hostname, port=_port(parts), username=unquote(parts.username or "")
    )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _port(parts)
    except ValueError:
        raise RepositoryError(f"{_shown(url)} is not an address: its host or port cannot be read") from None
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port or _PORTS.get(parts.scheme, 0)


def _shown(location: str) -> str:
    """Leave out all that may be secret: user, password, query and fragment."""
    text = re.sub(r"[?#].*", "", location, flags=re.DOTALL)
    return printable(re.sub(r"(?<=://).*@", "", text))
