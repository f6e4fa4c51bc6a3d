"""Signatures of commits, made by the real git and ssh-keygen."""

import subprocess
from pathlib import Path

import pygit2
import pytest

from specs.errors import RepositoryError
from specs.repository import Repository
from tests.testbed.git.sandbox import commit
from tests.testbed.git.servers import make_key


@pytest.fixture
def signed(tmp_path: Path) -> Repository:
    """A repository whose head is signed with the key `key`, its parent with `stranger`, and the first not at all."""
    folder = tmp_path / "signed"
    git = [
        "git",
        "-C",
        str(folder),
        "-c",
        "user.name=Alice",
        "-c",
        "user.email=alice@example.org",
        "-c",
        "gpg.format=ssh",
    ]
    subprocess.run(["git", "init", "-q", "-b", "main", folder], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Unsigned"], check=True)
    for name in ("stranger", "key"):
        make_key(tmp_path / name)
        key = ["-c", f"user.signingKey={tmp_path / name}"]
        subprocess.run([*git, *key, "commit", "-q", "--allow-empty", "-S", "-m", f"By {name}"], check=True)
    return Repository.open(str(folder), tmp_path / "state")


@pytest.fixture
def allowed(signed: Repository, tmp_path: Path) -> Path:
    """The file that allows `key` to sign."""
    file = tmp_path / "allowed_signers"
    file.write_text(f"# who may\nalice@example.org {(tmp_path / 'key.pub').read_text()}")
    return file


def test_a_commit_of_an_allowed_signer_names_the_signer(signed: Repository, allowed: Path) -> None:
    assert signed.verify_signature(signed.resolve(), allowed) == "alice@example.org"


def test_one_key_may_have_several_names(signed: Repository, allowed: Path) -> None:
    allowed.write_text(allowed.read_text().replace("alice@example.org", "ops@example.org,alice@example.org"))

    assert signed.verify_signature(signed.resolve(), allowed) == "ops@example.org"


@pytest.mark.parametrize(
    ("revision", "message"),
    [("main~1", "has no good signature of a key in"), ("main~2", "is not signed; sign it with a key in")],
)
def test_other_commits_are_refused(revision: str, message: str, signed: Repository, allowed: Path) -> None:
    with pytest.raises(RepositoryError, match=f"commit {signed.resolve(revision)[:12]} {message}"):
        signed.verify_signature(signed.resolve(revision), allowed)


def test_a_commit_changed_after_it_was_signed_is_refused(signed: Repository, allowed: Path, tmp_path: Path) -> None:
    git = pygit2.Repository(str(tmp_path / "signed"))
    raw = git[signed.resolve()].read_raw()
    forged = git.odb.write(pygit2.enums.ObjectType.COMMIT, raw.replace(b"By key", b"By Key"))
    with pytest.raises(RepositoryError, match="has no good signature"):
        signed.verify_signature(str(forged), allowed)


def test_a_signature_for_another_purpose_is_refused(signed: Repository, allowed: Path) -> None:
    allowed.write_text(allowed.read_text().replace("example.org ", 'example.org namespaces="file" '))
    with pytest.raises(RepositoryError, match="has no good signature"):
        signed.verify_signature(signed.resolve(), allowed)


def test_a_key_that_has_run_out_is_refused(signed: Repository, allowed: Path) -> None:
    allowed.write_text(allowed.read_text().replace("example.org ", 'example.org valid-before="20200101" '))
    with pytest.raises(RepositoryError, match="has no good signature"):
        signed.verify_signature(signed.resolve(), allowed)


def test_signatures_of_other_kinds_are_refused(signed: Repository, allowed: Path, tmp_path: Path) -> None:
    git = pygit2.Repository(str(tmp_path / "signed"))
    content = f"tree {git.TreeBuilder().write()}\nauthor a <a@x> 1 +0000\ncommitter a <a@x> 1 +0000\n\nBy PGP\n"
    signature = "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----"
    oid = git.create_commit_with_signature(content, signature)
    with pytest.raises(RepositoryError, match="is not signed with an ssh key"):
        signed.verify_signature(str(oid), allowed)


def test_a_file_of_signers_that_is_not_there_is_named(signed: Repository, tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match=r"allowed signers .*/nope does not exist"):
        signed.verify_signature(signed.resolve(), tmp_path / "nope")


def test_commits_of_ours_are_not_signed(folder: Path, allowed: Path) -> None:
    new = commit(folder, {"x": b"1"})
    with pytest.raises(RepositoryError, match="is not signed"):
        Repository.open(str(folder), folder.parent / "state").verify_signature(new, allowed)
