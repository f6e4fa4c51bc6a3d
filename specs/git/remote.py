"""The network: fetching from and pushing to a repository elsewhere, bounded in time and attempts."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TypeVar

import pygit2
from msgspec import Struct
from pygit2.enums import CredentialType
from pygit2.remotes import RemoteHead, TransferProgress

from specs.errors import RepositoryError
from specs.git.address import Address, locate
from specs.git.credentials import Agent, Offers, Password
from specs.git.faults import FAULTS, printable, reason

_NAME = "origin"
_HEADS = "+refs/heads/*:refs/heads/*"
_TAGS = "+refs/tags/*:refs/tags/*"
_KEPT = ("refs/heads/", "refs/tags/")
_SSH_FAULT = 23
"""libgit2's `GIT_ERROR_SSH`: with a key that cannot be used it gives up instead of asking for the next."""

T = TypeVar("T")


class TimeLimits(Struct, frozen=True):
    """How long a server may take before a call fails."""

    connect_seconds: float = 10
    silence_seconds: float = 30
    """Between two signs of life."""
    total_seconds: float = 900


PATIENT = TimeLimits()


class Remote:
    """The repository at an address, seen from the mirror that keeps its objects here."""

    def __init__(self, mirror: pygit2.Repository, limits: TimeLimits = PATIENT) -> None:
        self._mirror = mirror
        self._limits = limits

    @classmethod
    def add(cls, mirror: pygit2.Repository, address: Address) -> None:
        """Write an address into a new mirror; every branch and tag will be fetched as it is there."""
        mirror.remotes.create(_NAME, address.url, fetch=_HEADS)
        mirror.remotes.add_fetch(_NAME, _TAGS)
        mirror.config[f"remote.{_NAME}.tagOpt"] = "--no-tags"

    @classmethod
    def address_of(cls, mirror: pygit2.Repository) -> str:
        """Give the address written into a mirror; empty when there is none."""
        return _setting(mirror.config, f"remote.{_NAME}.url")

    def fetch(self, address: Address) -> str:
        """Bring every branch and tag here; return the full name of the branch the server calls `HEAD`.

        The server is asked first what it has: without news that is all. With news, what is gone there goes here
        before anything comes, so that a branch can give way to a folder of branches.
        """
        what = f"cannot fetch from {address}"
        heads = {
            head.name: head
            for head in self._talk(address, what, lambda remote, calls: remote.list_heads(calls, proxy=True))
            if head.name is not None
        }
        there = {name: head.oid for name, head in heads.items() if name.startswith(_KEPT) and not name.endswith("^{}")}
        here = {name: self._mirror.references[name].target for name in self._mirror.references}
        if here != there:
            for gone in here.keys() - there.keys():
                self._mirror.references.delete(gone)
            self._talk(address, what, lambda remote, calls: remote.fetch(callbacks=calls, proxy=True))
        return _default_branch(heads)

    def push(self, address: Address, commit: pygit2.Oid, branch: str) -> None:
        """Move a branch (full name) forward to a commit; never by force.

        `RepositoryError` if the server or one of its hooks refuses, or the branch has moved.
        """

        def call(remote: pygit2.Remote, calls: _Callbacks) -> None:
            try:
                remote.push([f"{commit}:{branch}"], callbacks=calls, proxy=True)
            finally:
                calls.raise_refusal()

        self._talk(address, f"cannot push to {address}", call)

    def _talk(self, address: Address, what: str, call: Callable[[pygit2.Remote, _Callbacks], T]) -> T:
        """Call the server; go on with the next key when libgit2 gave up over one it could not use."""
        self._prepare()
        remote = self._mirror.remotes[_NAME]  # a new one each time: an open connection keeps the callbacks it came with
        address = _reached(remote, address)
        offers = Offers(address, os.environ)
        while True:
            before = len(offers.tried)
            callbacks = _Callbacks(address, offers, self._limits)
            try:
                return call(remote, callbacks)
            except RepositoryError as error:
                raise RepositoryError(f"{what}: {error}") from error
            except FAULTS as error:
                unusable = getattr(error, "error_class", 0) == _SSH_FAULT and "authenticate" in str(error)
                if unusable and len(offers.tried) > before:
                    continue
                raise RepositoryError(f"{what}: {reason(error)}") from error

    def _prepare(self) -> None:
        pygit2.settings.server_connect_timeout = int(self._limits.connect_seconds * 1000)
        pygit2.settings.server_timeout = int(self._limits.silence_seconds * 1000)
        config = self._mirror.config
        file = os.environ.get("GIT_SSL_CAINFO") or _setting(config, "http.sslCAInfo")
        folder = os.environ.get("GIT_SSL_CAPATH") or _setting(config, "http.sslCAPath")
        if file or folder:
            _trust(file, folder)


class _Callbacks(pygit2.RemoteCallbacks):
    """Answers libgit2's questions during one call."""

    def __init__(self, address: Address, offers: Offers, limits: TimeLimits) -> None:
        super().__init__()
        self._address = address
        self._offers = offers
        self._limits = limits
        self._deadline = time.monotonic() + limits.total_seconds
        self._refusal = ""
        self._said: list[str] = []

    def credentials(
        self, url: str, username_from_url: str | None, allowed_types: CredentialType
    ) -> pygit2.UserPass | pygit2.Username | pygit2.Keypair:
        self._check_time()
        if not self._address.leads_to(url):
            raise RepositoryError(
                f"the server sends us on to {locate(url)}, which gets no credentials; use that address if it is right"
            )
        if allowed_types & CredentialType.SSH_KEY:
            return self._key(username_from_url or getpass.getuser())
        if allowed_types & CredentialType.USERNAME:
            return pygit2.Username(username_from_url or getpass.getuser())
        if allowed_types & CredentialType.USERPASS_PLAINTEXT and self._address.scheme != "ssh":
            offer: Password = self._offers.password()
            return pygit2.UserPass(offer.username, offer.password)
        raise RepositoryError("the server takes no kind of credentials we have; use a key for ssh, a password for http")

    def _key(self, username: str) -> pygit2.Keypair:
        offer = self._offers.key()
        if isinstance(offer, Agent):
            return pygit2.KeypairFromAgent(username)
        return pygit2.Keypair(username, None, offer.path, offer.passphrase)

    def certificate_check(self, certificate: None, valid: bool, host: bytes) -> bool:
        """Refuse what libgit2 found wanting. Not overriding this would accept every ssh host key."""
        if valid:
            return True
        name = printable(host.decode("utf-8", "replace"))
        if self._address.scheme == "ssh":
            raise RepositoryError(
                f"the host key of {name} is not in ~/.ssh/known_hosts, or is another one there; ask who runs the "
                "server for its key, check it, and add it to known_hosts"
            )
        raise RepositoryError(
            f"the certificate of {name} is not signed by an authority we trust, or not for this name; name the "
            "authority's file in SSL_CERT_FILE or in git's http.sslCAInfo"
        )

    def push_update_reference(self, refname: str, message: str | None) -> None:
        if message is not None:
            self._refusal = message

    def raise_refusal(self) -> None:
        """Raise what the server said against a push: libgit2 itself reports it only to the callback."""
        if self._refusal:
            said = f" ({printable(' '.join(self._said))})" if self._said else ""
            raise RepositoryError(f"the server refused: {printable(self._refusal)}{said}")

    def sideband_progress(self, string: str) -> None:
        self._check_time()
        self._said = [*self._said[-19:], string]

    def transfer_progress(self, stats: TransferProgress) -> None:
        self._check_time()

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise RepositoryError(
                f"the server took longer than {self._limits.total_seconds:g} seconds; try again, or use a closer one"
            )


def _reached(remote: pygit2.Remote, address: Address) -> Address:
    """Give the address libgit2 will connect to: `url.<base>.insteadOf` may have changed it."""
    other = locate(remote.url) if remote.url and remote.url != address.url else address
    return other if isinstance(other, Address) else address


def _default_branch(heads: Mapping[str, RemoteHead]) -> str:
    """Tell what `HEAD` means there; a server that does not say is taken to mean `main` or `master` if they fit."""
    if "HEAD" not in heads:
        return ""
    if target := heads["HEAD"].symref_target:
        return target
    same = (name for name, head in heads.items() if name.startswith("refs/heads/") and head.oid == heads["HEAD"].oid)
    return min(same, key=lambda name: (name not in ("refs/heads/main", "refs/heads/master"), name), default="")


def _setting(config: pygit2.Config, name: str) -> str:
    try:
        return config[name] or ""
    except KeyError:
        return ""


@cache
def _trust(file: str, folder: str) -> None:
    """Trust further authorities, once; they add to those of `SSL_CERT_FILE` and `SSL_CERT_DIR`."""
    file, folder = (str(Path(path).expanduser()) if path else "" for path in (file, folder))
    try:
        if file:
            pygit2.settings.set_ssl_cert_locations(file, folder or None)
        else:
            pygit2.settings.set_ssl_cert_locations(None, folder)
    except FAULTS as error:
        raise RepositoryError(
            f"the authorities in {file or folder} cannot be read: {reason(error)}; correct GIT_SSL_CAINFO or "
            "http.sslCAInfo"
        ) from error
