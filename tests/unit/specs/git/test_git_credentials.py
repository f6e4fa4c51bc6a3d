"""Where credentials are looked for, in which order, and that they do not show."""

import os
from pathlib import Path

import pytest

from specs.errors import RepositoryError
from specs.git.address import Address, locate
from specs.git.credentials import Agent, Key, Offers, Password, keys, passwords

NO_GIT = {"PATH": "/nowhere"}


def _address(location: str) -> Address:
    found = locate(location)
    assert isinstance(found, Address)
    return found


def _netrc(home: Path, text: str) -> None:
    (home / ".netrc").write_text(text)
    (home / ".netrc").chmod(0o600)


def test_passwords_come_from_the_address_first_and_helpers_last(home: Path) -> None:
    _netrc(home, "machine git.example.org login alice password three\n")
    (home / ".gitconfig").write_text(
        '[credential]\n\thelper = "!f() { echo username=alice; echo password=four; }; f"\n'
    )
    environment = {**os.environ, "RECONCILER_GIT_PASSWORD": "two"}
    found = list(passwords(_address("https://alice:one@git.example.org/x.git"), environment))

    assert found == [
        Password("the address", "alice", "one"),
        Password("RECONCILER_GIT_PASSWORD", "alice", "two"),
        Password("~/.netrc", "alice", "three"),
        Password("the credential helper", "alice", "four"),
    ]


@pytest.mark.parametrize(
    ("location", "environment", "username"),
    [
        ("https://git.example.org/x.git", {}, "git"),
        ("https://bob@git.example.org/x.git", {}, "bob"),
        ("https://bob@git.example.org/x.git", {"RECONCILER_GIT_USERNAME": "carol"}, "carol"),
    ],
)
def test_a_token_needs_no_name(location: str, environment: dict[str, str], username: str) -> None:
    (found,) = passwords(_address(location), {"RECONCILER_GIT_PASSWORD": "token", **environment, **NO_GIT})

    assert found.username == username


def test_netrc_counts_for_its_host_and_user_only(home: Path) -> None:
    _netrc(
        home, "machine git.example.org login alice password one\nmachine other.example.org login alice password two\n"
    )

    assert [offer.password for offer in passwords(_address("https://git.example.org/x.git"), NO_GIT)] == ["one"]
    assert not list(passwords(_address("https://bob@git.example.org/x.git"), NO_GIT))
    assert not list(passwords(_address("https://third.example.org/x.git"), NO_GIT))


def test_a_netrc_that_makes_no_sense_is_named_without_its_words(home: Path) -> None:
    _netrc(home, "machine git.example.org login alice password one\ns3cret\n")
    with pytest.raises(RepositoryError, match=r"~/.netrc cannot be used: line \d makes no sense") as caught:
        list(passwords(_address("https://git.example.org/x.git"), NO_GIT))

    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_helper_that_asks_a_person_is_not_waited_for(home: Path) -> None:
    asking = home / "ask"
    asking.write_text("#!/bin/sh\nsleep 60\n")
    asking.chmod(0o700)

    assert not list(passwords(_address("https://git.example.org/x.git"), {**os.environ, "GIT_ASKPASS": str(asking)}))


def test_keys_come_from_the_agent_and_then_from_the_home_folder(home: Path) -> None:
    for name in ("id_rsa", "id_ed25519", "id_dsa"):
        (home / ".ssh" / name).touch()
    environment = {"SSH_AUTH_SOCK": "/run/agent", "RECONCILER_SSH_PASSPHRASE": "open"}

    assert list(keys(environment)) == [
        Agent(),
        Key("~/.ssh/id_ed25519", home / ".ssh" / "id_ed25519", "open"),
        Key("~/.ssh/id_rsa", home / ".ssh" / "id_rsa", "open"),
    ]


def test_a_named_key_is_the_only_one(home: Path) -> None:
    (home / ".ssh" / "id_ed25519").touch()
    (home / "deploy").touch()
    environment = {"SSH_AUTH_SOCK": "/run/agent", "RECONCILER_SSH_KEY": "~/deploy"}

    assert list(keys(environment)) == [Key("RECONCILER_SSH_KEY", home / "deploy", "")]


def test_offers_end_with_a_list_of_what_was_refused() -> None:
    address = _address("https://alice:one@git.example.org/x.git")
    offers = Offers(address, {"RECONCILER_GIT_PASSWORD": "two", **NO_GIT})
    given = [offers.password(), offers.password()]
    with pytest.raises(RepositoryError, match="refused the credentials from the address, RECONCILER_GIT_PASSWORD;"):
        offers.password()

    assert "one" not in repr(given)
    assert "two" not in repr(given)
