"""Who may say what is applied: signers that git names, and what takes them back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pygit2
import pytest

from tests.support.city import STORAGE, City
from tests.testbed.git.servers import make_key

NAMED = "allowed_signers: signers\n"
THIRD = ("default_instances: 2", "default_instances: 3")


@dataclass(frozen=True, slots=True)
class Desk:
    """Where commits are made, signed or not."""

    city: City

    def sign(self, wanted: bool = True) -> None:
        """Sign the commits that are made from now on, or do not."""
        self._git().config["commit.gpgsign"] = "true" if wanted else "false"

    def rewrite(self, revision: str) -> None:
        """Put the branch back to where it was."""
        git = self._git()
        git.reset(git.revparse_single(revision).peel(pygit2.Commit).id, pygit2.enums.ResetMode.HARD)

    def _git(self) -> pygit2.Repository:
        return pygit2.Repository(str(self.city.folder))


@pytest.fixture
def desk(city: City, tmp_path: Path) -> Desk:
    """A city that was applied and whose signers have just been named, by a signed commit that changes nothing else."""
    make_key(tmp_path / "key")
    (city.folder / "signers").write_text(f"ann@example.org {(tmp_path / 'key.pub').read_text()}")
    config = pygit2.Repository(str(city.folder)).config
    config["gpg.format"] = "ssh"
    config["user.signingkey"] = str(tmp_path / "key")
    city.run("apply", "--auto-approve")
    desk = Desk(city)
    desk.sign()
    city.commit({"reconciler.yaml": NAMED})
    assert city.run("apply", "--auto-approve").code == 0
    desk.sign(wanted=False)
    return desk


def drop_signers(desk: Desk) -> None:
    desk.city.commit({"reconciler.yaml": "defaults: {sync: {prune: true}}\n"})


def drop_signers_in_steps(desk: Desk) -> None:
    drop_signers(desk)
    desk.city.edit(*THIRD)


def go_back_to_before_they_were_named(desk: Desk) -> None:
    desk.rewrite("HEAD~1")
    desk.city.edit(*THIRD)


@pytest.mark.parametrize("attack", [drop_signers, drop_signers_in_steps, go_back_to_before_they_were_named])
def test_what_nobody_signed_does_not_take_the_signers_back(desk: Desk, attack: Callable[[Desk], None]) -> None:
    attack(desk)

    ended = desk.city.run("apply", "--auto-approve")
    assert ended.code == 1
    assert "is not signed; sign it with a key in" in ended.err
    assert "asked for that, and" in ended.err
    assert desk.city.run("apply", "--auto-approve", "--local").code == 1
    assert "is not signed" in desk.city.run("adopt", STORAGE).err


def test_a_lost_store_does_not_take_the_signers_back(desk: Desk) -> None:
    drop_signers(desk)
    for file in (desk.city.folder / ".reconciler").glob("state.db*"):
        file.unlink()

    assert "is not signed" in desk.city.run("apply", "--auto-approve").err


def test_a_signed_commit_that_follows_takes_the_signers_back(desk: Desk) -> None:
    desk.sign()
    drop_signers(desk)
    assert desk.city.run("apply", "--auto-approve").code == 0
    desk.sign(wanted=False)
    desk.city.edit(*THIRD)

    assert desk.city.run("apply", "--auto-approve").code == 0


def test_a_signed_commit_of_before_does_not_take_the_signers_back(desk: Desk) -> None:
    desk.rewrite("HEAD~1")
    desk.sign()
    desk.city.commit({"notes.txt": "signed before anybody had to\n"})
    assert desk.city.run("apply", "--auto-approve").code == 0
    desk.sign(wanted=False)
    desk.city.edit(*THIRD)

    assert "is not signed" in desk.city.run("apply", "--auto-approve").err


def test_other_signers_are_named_by_a_commit_that_satisfies_both(desk: Desk) -> None:
    (desk.city.folder / "others").write_text("")
    desk.sign()
    desk.city.commit({"reconciler.yaml": "allowed_signers: others\n"})
    assert "has no good signature of a key in" in desk.city.run("apply", "--auto-approve").err
    (desk.city.folder / "others").write_bytes((desk.city.folder / "signers").read_bytes())
    assert desk.city.run("apply", "--auto-approve").code == 0
    (desk.city.folder / "signers").unlink()

    assert desk.city.run("apply", "--auto-approve").code == 0


def test_a_memory_that_cannot_be_read_trusts_nothing(desk: Desk) -> None:
    (desk.city.folder / ".reconciler" / "trust.json").write_text("{}")
    said = desk.city.run("apply", "--auto-approve").err

    assert "which says who must have signed what is applied, cannot be read" in said


def test_a_loop_that_begins_where_nobody_signed_keeps_to_the_last_trusted_commit(desk: Desk) -> None:
    trusted = desk.city.repository().resolve()
    drop_signers(desk)
    ended = desk.city.run("run", "--once")

    assert "is not signed" in ended.err
    assert f"{trusted[:12]} is the commit to apply, signed by ann@example.org" in ended.err
