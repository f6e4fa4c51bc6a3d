"""Commits made by us: on bare repositories, and on work trees that must come along."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier

import pygit2
import pytest
from pygit2.enums import FileMode

from specs.errors import RepositoryError
from specs.repository import Author, Repository
from tests.testbed.git.sandbox import commit

Write = Callable[[Mapping[str, bytes | None]], str]


def _git(folder: Path, *arguments: str) -> str:
    people = ["-c", "user.name=User", "-c", "user.email=user@example.org"]
    command = ["git", *people, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(folder: Path) -> Repository:
    """The bare repository."""
    return Repository.open(str(folder), folder.parent / "state")


@pytest.fixture
def write(repository: Repository, author: Author) -> Write:
    """Write onto the head."""
    return lambda changes: repository.write(changes, "Change", author, onto=repository.resolve())


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A work tree with one commit, checked out."""
    folder = tmp_path / "desk"
    _git(tmp_path, "init", "-q", "-b", "main", str(folder))
    (folder / "specs").mkdir()
    (folder / "specs" / "a.yaml").write_text("a: 1\n")
    (folder / "specs" / "b.yaml").write_text("b: 1\n")
    _git(folder, "add", ".")
    _git(folder, "commit", "-q", "-m", "First")
    return folder


def _at_desk(desk: Path) -> Repository:
    return Repository.open(str(desk), desk / ".reconciler")


# --- bare ------------------------------------------------------------------------------------------


def test_a_commit_holds_the_change_its_author_and_why(folder: Path, repository: Repository, author: Author) -> None:
    head = repository.resolve()
    new = repository.write({"specs/a.yaml": b"a: 2\n"}, "Scale a to 2\n\nThe alert said so", author, onto=head)
    shown = _git(folder, "show", "--format=%an <%ae>|%cn|%P|%B|", "--name-status", "main")

    assert repository.resolve() == new
    assert shown.startswith(f"Policy <policy@example.org>|Policy|{head}|Scale a to 2\n\nThe alert said so\n|")
    assert shown.endswith("M\tspecs/a.yaml\n")
    assert _git(folder, "fsck", "--strict") == ""


def test_files_are_made_changed_and_removed(repository: Repository, write: Write) -> None:
    tree = repository.tree(write({"specs/a.yaml": b"2", "x/y/z.yaml": b"3", "specs/b.yaml": None, "top": b"4"}))

    assert {path: tree.read(path) for path in tree.files} == {"specs/a.yaml": b"2", "x/y/z.yaml": b"3", "top": b"4"}


def test_a_folder_without_files_is_gone(folder: Path, write: Write) -> None:
    write({"specs/a.yaml": None, "specs/b.yaml": None, "top": b"1"})

    assert _git(folder, "ls-tree", "--name-only", "main") == "top\n"


def test_a_file_may_give_way_to_a_folder(repository: Repository, write: Write) -> None:
    tree = repository.tree(write({"specs/a.yaml": None, "specs/a.yaml/b": b"1"}))

    assert list(tree.files) == ["specs/a.yaml/b", "specs/b.yaml"]


def test_a_file_keeps_its_mode(folder: Path, write: Write) -> None:
    commit(folder, {"run": b"1"}, modes={"run": FileMode.BLOB_EXECUTABLE})
    write({"run": b"2", "walk": b"3"})

    assert [line.split()[0] for line in _git(folder, "ls-tree", "main", "run", "walk").splitlines()] == [
        "100755",
        "100644",
    ]


def test_no_change_makes_no_commit(repository: Repository, write: Write) -> None:
    head = repository.resolve()

    assert write({"specs/a.yaml": b"a: 1\n"}) == head
    assert repository.resolve() == head


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a//b",
        "../a",
        "a/../b",
        "./a",
        ".git/config",
        "x/.GIT/y",
        ".reconciler/z",
        "a\nb",
        "a\0b",
        "\ud800",
        "a/",
    ],
)
def test_paths_nobody_should_write_to_are_refused(path: str, repository: Repository, write: Write) -> None:
    head = repository.resolve()
    with pytest.raises(RepositoryError):
        write({path: b"1"})

    assert repository.resolve() == head


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"specs": b"1"}, "specs cannot be written: it is a folder, a link or a submodule"),
        ({"link": b"1"}, "link cannot be written: it is a folder, a link or a submodule"),
        ({"specs/a.yaml/b": b"1"}, "specs/a.yaml is a file: nothing can be written below it"),
        ({"specs/c.yaml": None}, "specs/c.yaml cannot be removed: it is not there"),
        ({"none/c.yaml": None}, "none/c.yaml cannot be removed: it is not there"),
        ({"new": b"1", "new/a": b"2"}, "new/a cannot be written: the same change makes a file of a folder above it"),
        ({"big": b"0" * 16_000_001}, "big would have 16000001 bytes; at most 16000000 are read again"),
    ],
)
def test_changes_that_cannot_be_made_are_refused(
    changes: Mapping[str, bytes | None], message: str, folder: Path, write: Write
) -> None:
    commit(folder, {"link": b"specs"}, modes={"link": FileMode.LINK})
    with pytest.raises(RepositoryError, match=message):
        write(changes)


def test_a_branch_that_moved_on_keeps_both_changes(folder: Path, repository: Repository, author: Author) -> None:
    head = repository.resolve()
    other = commit(folder, {"specs/b.yaml": b"b: 2\n"})
    new = repository.write({"specs/a.yaml": b"a: 2\n"}, "Change", author, onto=head)

    assert repository.tree(new).read("specs/b.yaml") == b"b: 2\n"
    assert repository.is_ancestor(other, new)


@pytest.mark.parametrize("content", [b"a: 3\n", None])
def test_a_change_to_a_file_somebody_else_changed_is_refused(
    content: bytes | None, folder: Path, repository: Repository, author: Author
) -> None:
    head = repository.resolve()
    other = commit(folder, {"specs/a.yaml": content})
    with pytest.raises(RepositoryError, match=f"specs/a.yaml changed on main since {head[:12]}; look again"):
        repository.write({"specs/a.yaml": b"a: 2\n"}, "Change", author, onto=head)

    assert repository.resolve() == other


@pytest.mark.parametrize(
    ("message", "author"),
    [
        ("", Author("a", "a@example.org")),
        ("Why", Author("", "a@example.org")),
        ("Why", Author("a\nparent 1", "a@example.org")),
        ("Why", Author("a <b>", "a@example.org")),
    ],
)
def test_commits_without_reason_or_author_are_refused(message: str, author: Author, repository: Repository) -> None:
    with pytest.raises(RepositoryError):
        repository.write({"specs/a.yaml": b"a: 2\n"}, message, author, onto=repository.resolve())


def test_without_a_branch_nothing_is_written(folder: Path, repository: Repository, author: Author) -> None:
    head = repository.resolve()
    pygit2.Repository(str(folder)).set_head(pygit2.Oid(hex=head))
    with pytest.raises(RepositoryError, match="has no branch checked out; name the one to write to"):
        repository.write({"specs/a.yaml": b"a: 2\n"}, "Change", author, onto=head)


def test_a_lock_of_another_git_is_named(folder: Path, write: Write) -> None:
    (folder / "refs" / "heads" / "main.lock").touch()
    with pytest.raises(RepositoryError, match=r"main\.lock.*another git command works there, or was killed"):
        write({"specs/a.yaml": b"a: 2\n"})


# --- undoing ---------------------------------------------------------------------------------------


def test_a_revert_undoes_one_commit_and_keeps_later_ones(
    folder: Path, repository: Repository, write: Write, author: Author
) -> None:
    undone = write({"specs/a.yaml": b"a: 2\n", "new": b"1"})
    write({"specs/b.yaml": b"b: 2\n"})
    tree = repository.tree(repository.revert(undone, author))

    assert {path: tree.read(path) for path in tree.files} == {"specs/a.yaml": b"a: 1\n", "specs/b.yaml": b"b: 2\n"}
    assert _git(folder, "log", "-1", "--format=%B") == f'Revert "Change"\n\nThis reverts commit {undone}.\n\n'


def test_a_revert_of_the_first_commit_removes_its_files(repository: Repository, write: Write, author: Author) -> None:
    first = repository.resolve()
    write({"top": b"1"})

    assert list(repository.tree(repository.revert(first, author)).files) == ["top"]


def test_a_revert_of_a_merge_undoes_what_it_brought_in(folder: Path, repository: Repository, author: Author) -> None:
    head = repository.resolve()
    git = pygit2.Repository(str(folder))
    git.references.create("refs/heads/side", head)
    side = commit(folder, {"side": b"1"}, branch="side")
    someone = pygit2.Signature("a", "a@example.org")
    merge = git.create_commit(
        "refs/heads/main", someone, someone, "Merge side", git[side].peel(pygit2.Tree).id, [head, side]
    )
    back = repository.revert(str(merge), author)

    assert repository.tree(back).tree_id == repository.tree(head).tree_id
    assert f"This reverts commit {merge}, reversing\nchanges made to {head}." in _git(
        folder, "log", "-1", "--format=%B"
    )


def test_a_revert_that_collides_names_the_files(repository: Repository, write: Write, author: Author) -> None:
    undone = write({"specs/a.yaml": b"a: 2\n"})
    head = write({"specs/a.yaml": b"a: 3\n"})
    with pytest.raises(RepositoryError, match=f"commit {undone[:12]} cannot be undone: .* lines of specs/a.yaml;"):
        repository.revert(undone, author)

    assert repository.resolve() == head


def test_a_revert_of_what_is_undone_already_says_so(repository: Repository, write: Write, author: Author) -> None:
    undone = write({"specs/a.yaml": b"a: 2\n"})
    repository.revert(undone, author)
    with pytest.raises(RepositoryError, match=r"nothing of commit .* is left to undo"):
        repository.revert(undone, author)


def test_a_revert_of_a_commit_of_another_branch_is_refused(
    folder: Path, repository: Repository, author: Author
) -> None:
    other = commit(folder, {"side": b"1"}, branch="side")
    with pytest.raises(RepositoryError, match=f"commit {other[:12]} is not on branch main"):
        repository.revert(other, author)


# --- work trees ------------------------------------------------------------------------------------


def test_a_new_repository_begins_with_a_root_commit(tmp_path: Path, author: Author) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "mine.txt").write_text("mine")
    repository = Repository.create(tmp_path / "new")
    first = repository.write({"sites/a.yaml": b"1"}, "First", author, onto="")

    assert repository.identity() == first[:12]
    assert (tmp_path / "new" / "sites" / "a.yaml").read_bytes() == b"1"
    assert _git(tmp_path / "new", "status", "--porcelain") == "?? mine.txt\n"
    with pytest.raises(RepositoryError, match="is a git repository already"):
        Repository.create(tmp_path / "new")


def test_a_root_commit_on_a_branch_with_commits_is_refused(repository: Repository, author: Author) -> None:
    with pytest.raises(RepositoryError, match=r"specs/a.yaml changed on main since it was empty"):
        repository.write({"specs/a.yaml": b"1"}, "First", author, onto="")


def test_the_work_tree_comes_along(desk: Path, author: Author) -> None:
    repository = _at_desk(desk)
    repository.write(
        {"specs/a.yaml": b"a: 2\n", "specs/b.yaml": None, "new/c.yaml": b"c: 1\n"},
        "Change",
        author,
        onto=repository.resolve(),
    )

    assert _git(desk, "status", "--porcelain") == ""
    assert (desk / "specs" / "a.yaml").read_text() == "a: 2\n"
    assert not (desk / "specs" / "b.yaml").exists()
    assert (desk / "new" / "c.yaml").read_text() == "c: 1\n"


def test_writers_of_the_same_change_leave_a_clean_work_tree(desk: Path, author: Author) -> None:
    start = Barrier(4, timeout=30)

    def write(text: bytes) -> None:
        repository = _at_desk(desk)
        head = repository.resolve()
        start.wait()
        with suppress(RepositoryError):  # it may learn that somebody was quicker
            repository.write({"specs/a.yaml": text}, "Change", author, onto=head)

    with ThreadPoolExecutor(4) as pool:
        for number in range(2, 32):
            list(pool.map(write, [b"a: %d\n" % number] * 4))

            assert _git(desk, "status", "--porcelain") == ""
            assert _git(desk, "show", "HEAD:specs/a.yaml") == f"a: {number}\n"


def test_other_changes_of_the_user_stay_as_they_are(desk: Path, author: Author) -> None:
    (desk / "specs" / "b.yaml").write_text("b: mine\n")
    (desk / "staged").write_text("staged")
    _git(desk, "add", "staged")
    (desk / "untracked").write_text("untracked")
    before = _git(desk, "status", "--porcelain")
    repository = _at_desk(desk)
    repository.write({"specs/a.yaml": b"a: 2\n"}, "Change", author, onto=repository.resolve())

    assert _git(desk, "status", "--porcelain") == before
    assert (desk / "specs" / "b.yaml").read_text() == "b: mine\n"


def _edit(desk: Path) -> None:
    (desk / "specs" / "a.yaml").write_text("a: mine\n")


def _stage(desk: Path) -> None:
    _edit(desk)
    _git(desk, "add", "specs/a.yaml")


def _stage_and_take_back(desk: Path) -> None:
    _stage(desk)
    (desk / "specs" / "a.yaml").write_text("a: 1\n")


def _remove(desk: Path) -> None:
    (desk / "specs" / "a.yaml").unlink()


def _remove_from_index(desk: Path) -> None:
    _git(desk, "rm", "-q", "--cached", "specs/a.yaml")


def _put_folder(desk: Path) -> None:
    _remove(desk)
    (desk / "specs" / "a.yaml").mkdir()


def _link_folder(desk: Path) -> None:
    (desk / "specs").rename(desk.parent / "elsewhere")
    (desk / "specs").symlink_to(desk.parent / "elsewhere")


@pytest.mark.parametrize(
    "touch", [_edit, _stage, _stage_and_take_back, _remove, _remove_from_index, _put_folder, _link_folder]
)
def test_a_file_with_changes_of_the_user_is_not_written_over(
    touch: Callable[[Path], None], desk: Path, author: Author
) -> None:
    repository = _at_desk(desk)
    head = repository.resolve()
    touch(desk)
    before = _git(desk, "status", "--porcelain")
    with pytest.raises(RepositoryError, match=r"specs/a.yaml in .*desk/ has changes that are not committed"):
        repository.write({"specs/a.yaml": b"a: 2\n", "top": b"1"}, "Change", author, onto=head)

    assert repository.resolve() == head
    assert _git(desk, "status", "--porcelain") == before
    assert not (desk / "top").exists()


@pytest.mark.parametrize("ignored", [False, True])
def test_an_untracked_file_is_not_written_over(ignored: bool, desk: Path, author: Author) -> None:
    (desk / "c.yaml").write_text("mine")
    if ignored:
        (desk / ".git" / "info" / "exclude").write_text("c.yaml\n")
    repository = _at_desk(desk)
    with pytest.raises(RepositoryError, match=r"c.yaml in .* has changes that are not committed"):
        repository.write({"c.yaml": b"c: 1\n"}, "Change", author, onto=repository.resolve())

    assert (desk / "c.yaml").read_text() == "mine"


@pytest.mark.parametrize("staged", [False, True])
def test_what_a_killed_process_left_half_done_is_finished(staged: bool, desk: Path, author: Author) -> None:
    (desk / "specs" / "a.yaml").write_text("a: 2\n")
    (desk / "new.yaml").write_text("n: 1\n")
    (desk / "specs" / "b.yaml").unlink()
    if staged:
        _git(desk, "add", "--all")
    repository = _at_desk(desk)
    changes = {"specs/a.yaml": b"a: 2\n", "new.yaml": b"n: 1\n", "specs/b.yaml": None}
    repository.write(changes, "Change", author, onto=repository.resolve())

    assert _git(desk, "status", "--porcelain") == ""
    assert not (desk / "specs" / "b.yaml").exists()


def test_files_are_written_as_the_settings_of_the_work_tree_say(desk: Path, author: Author) -> None:
    (desk / ".gitattributes").write_text("*.yaml text eol=crlf\n")
    _git(desk, "add", ".")
    _git(desk, "commit", "-q", "-m", "Attributes")
    repository = _at_desk(desk)
    for content in (b"a: 2\n", b"a: 3\n"):
        repository.write({"specs/a.yaml": content}, "Change", author, onto=repository.resolve())

    assert (desk / "specs" / "a.yaml").read_bytes() == b"a: 3\r\n"
    assert _git(desk, "status", "--porcelain") == ""


def test_writes_and_the_users_own_commits_may_alternate(desk: Path, author: Author) -> None:
    repository = _at_desk(desk)
    for number in range(3):
        repository.write({"specs/a.yaml": b"a: %d\n" % number}, "Change", author, onto=repository.resolve())
        (desk / "specs" / "b.yaml").write_text(f"b: {number}\n")
        _git(desk, "commit", "-q", "-a", "-m", "Mine")

    assert _git(desk, "status", "--porcelain") == ""
    assert [entry.subject for entry in repository.history(20)] == ["Mine", "Change"] * 3 + ["First"]


def test_a_revert_takes_the_work_tree_along(desk: Path, author: Author) -> None:
    repository = _at_desk(desk)
    new = repository.write({"specs/a.yaml": b"a: 2\n", "c": b"1"}, "Change", author, onto=repository.resolve())
    repository.revert(new, author)

    assert _git(desk, "status", "--porcelain") == ""
    assert (desk / "specs" / "a.yaml").read_text() == "a: 1\n"
    assert not (desk / "c").exists()


def test_a_branch_that_is_not_checked_out_leaves_the_work_tree_alone(desk: Path, author: Author) -> None:
    _git(desk, "branch", "prod")
    repository = Repository.open(str(desk), desk / ".reconciler", "prod")
    new = repository.write({"specs/a.yaml": b"a: 2\n"}, "Change", author, onto=repository.resolve())

    assert _git(desk, "rev-parse", "prod").strip() == new
    assert (desk / "specs" / "a.yaml").read_text() == "a: 1\n"
    assert _git(desk, "status", "--porcelain") == ""


def test_a_branch_checked_out_in_another_work_tree_is_refused(desk: Path, author: Author) -> None:
    _git(desk, "worktree", "add", "-q", "-b", "prod", str(desk.parent / "second"))
    repository = Repository.open(str(desk), desk / ".reconciler", "prod")
    with pytest.raises(RepositoryError, match="branch prod is checked out in another work tree; write there"):
        repository.write({"specs/a.yaml": b"a: 2\n"}, "Change", author, onto=repository.resolve())


def test_a_second_work_tree_of_a_repository_comes_along_too(desk: Path, author: Author) -> None:
    _git(desk, "worktree", "add", "-q", "-b", "prod", str(desk.parent / "second"))
    repository = Repository.open(str(desk.parent / "second"), desk / ".reconciler")
    repository.write({"specs/a.yaml": b"a: 2\n"}, "Change", author, onto=repository.resolve())

    assert repository.branch == "prod"
    assert (desk.parent / "second" / "specs" / "a.yaml").read_text() == "a: 2\n"
    assert _git(desk.parent / "second", "status", "--porcelain") == ""


def test_nothing_is_written_in_the_middle_of_a_merge(desk: Path, author: Author) -> None:
    _git(desk, "checkout", "-q", "-b", "side")
    (desk / "side").write_text("1")
    _git(desk, "add", "side")
    _git(desk, "commit", "-q", "-m", "Side")
    _git(desk, "checkout", "-q", "main")
    _git(desk, "merge", "-q", "--no-ff", "--no-commit", "side")
    repository = _at_desk(desk)
    with pytest.raises(RepositoryError, match="a merge or rebase is going on"):
        repository.write({"specs/a.yaml": b"a: 2\n"}, "Change", author, onto=repository.resolve())


def test_a_branch_that_cannot_be_moved_leaves_the_work_tree_as_it_was(desk: Path, author: Author) -> None:
    repository = _at_desk(desk)
    (desk / ".git" / "refs" / "heads" / "main.lock").touch()
    with pytest.raises(RepositoryError, match="cannot move refs/heads/main"):
        repository.write(
            {"specs/a.yaml": b"2", "c": b"1", "specs/b.yaml": None}, "Change", author, onto=repository.resolve()
        )

    assert _git(desk, "status", "--porcelain") == ""
    assert sorted(path.name for path in desk.rglob("*") if ".git" not in path.parts) == ["a.yaml", "b.yaml", "specs"]


def test_writers_at_the_same_time_lose_nothing(folder: Path) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        from specs.repository import Author, Repository
        repository = Repository.open(sys.argv[1], Path(sys.argv[1]))
        for number in range(8):
            changes = {f"{sys.argv[2]}.yaml": b"%d" % number}
            repository.write(changes, "Change", Author("a", "a@example.org"), onto=repository.resolve())
    """
    writers = [subprocess.Popen([sys.executable, "-c", code, folder, name]) for name in ("x", "y", "z")]
    ends = [writer.wait(60) for writer in writers]
    repository = Repository.open(str(folder), folder.parent / "state")
    tree = repository.tree(repository.resolve())

    assert ends == [0, 0, 0]
    assert len(repository.history(100)) == 25
    assert [tree.read(f"{name}.yaml") for name in ("x", "y", "z")] == [b"7"] * 3
