"""Which locations are paths, which are addresses, and that nothing secret is shown."""

from pathlib import Path

import pygit2
import pytest

from specs.errors import RepositoryError
from specs.git.address import Address, locate
from specs.git.faults import printable, reason


def _address(location: str) -> Address:
    found = locate(location)
    assert isinstance(found, Address)
    return found


@pytest.mark.parametrize("location", ["/srv/specs", "specs", "./a:b", "../x", "/a/b:c"])
def test_paths_stay_on_this_machine(location: str) -> None:
    assert locate(location) == Path(location).absolute()


def test_a_tilde_is_the_home_folder() -> None:
    assert locate("~/specs") == Path.home() / "specs"


@pytest.mark.parametrize(
    ("location", "scheme", "host", "port", "username"),
    [
        ("file:///srv/specs.git", "file", "", 0, ""),
        ("https://git.example.org/specs.git", "https", "git.example.org", 443, ""),
        ("http://git.example.org:8080/specs.git", "http", "git.example.org", 8080, ""),
        ("https://Git.Example.org/specs.git", "https", "git.example.org", 443, ""),
        ("https://[::1]:8443/specs.git", "https", "::1", 8443, ""),
        ("ssh://git@git.example.org/srv/specs.git", "ssh", "git.example.org", 22, "git"),
        ("ssh://git.example.org:2222/specs.git", "ssh", "git.example.org", 2222, ""),
        ("git@git.example.org:team/specs.git", "ssh", "git.example.org", 22, "git"),
        ("git.example.org:specs.git", "ssh", "git.example.org", 22, ""),
        ("ssh://git@[::1]:2222/specs.git", "ssh", "::1", 2222, "git"),
    ],
)
def test_addresses_are_taken_apart(location: str, scheme: str, host: str, port: int, username: str) -> None:
    address = _address(location)

    assert (address.scheme, address.host, address.port, address.username) == (scheme, host, port, username)
    assert address.url == location
    assert str(address) == location


def test_a_password_is_kept_out_of_what_is_shown_and_stored() -> None:
    address = _address("https://alice:s3cret%2Fx@git.example.org/specs.git")

    assert (address.username, address.password) == ("alice", "s3cret/x")
    assert address.url == str(address) == "https://git.example.org/specs.git"
    assert "s3cret" not in repr(address)


@pytest.mark.parametrize(
    "location",
    [
        "",
        "git://git.example.org/specs.git",
        "ftp://user:s3cret@git.example.org/specs.git",
        "ext::sh -c touch://x",
        "https://user:s3cret@/specs.git",
        "https://user:s3cret@git.example.org:port/specs.git",
        "https://user:s3cret/x@git.example.org/specs.git",
        "https://git.example.org/specs.git?token=s3cret",
        "https://git.example.org/specs.git#s3cret",
        "https://user:s3cret%0a@git.example.org/specs.git",
        "https://[::1/s3cret@x",
        "ssh://git:s3cret@git.example.org/specs.git",
        "ssh://git@git.example.org",
        "file://server/specs.git",
        "https://git.example.org/a\nb",
        "git@git.example.org:a\x1b[31m",
        "git@[::1]:specs.git",
    ],
)
def test_other_locations_are_refused_without_showing_a_secret(location: str) -> None:
    with pytest.raises(RepositoryError) as caught:
        locate(location)

    assert "s3cret" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("there", "led"),
    [
        ("https://git.example.org/other.git", True),
        ("https://git.example.org:443/other.git", True),
        ("https://git.example.org:8443/specs.git", False),
        ("http://git.example.org/specs.git", False),
        ("https://evil.example.org/specs.git", False),
        ("https://git.example.org@evil.example.org/specs.git", False),
    ],
)
def test_credentials_follow_a_redirect_only_to_the_same_server(there: str, led: bool) -> None:
    assert _address("https://git.example.org/specs.git").leads_to(there) is led


def test_credentials_follow_a_redirect_from_http_to_https() -> None:
    assert _address("http://git.example.org/specs.git").leads_to("https://git.example.org/specs.git")


def test_what_comes_from_outside_is_printed_in_one_bounded_line() -> None:
    assert (
        printable("a\x1b[31m\n b\u202e\udcff") == "a\N{REPLACEMENT CHARACTER}[31m b" + "\N{REPLACEMENT CHARACTER}" * 2
    )
    assert len(printable("x" * 1000)) == 301


def test_known_faults_come_with_advice() -> None:
    error = pygit2.GitError("repository path '/srv/specs' is not owned by current user")

    assert reason(error).endswith("; run as its owner, or list it as safe.directory in your git configuration")
    assert reason(KeyError("nothing there")) == "nothing there"
    assert reason(PermissionError(13, "Permission denied", "/srv")).startswith("Permission denied: /srv; check who")
    assert reason(StopIteration()) == "git gave no reason"
