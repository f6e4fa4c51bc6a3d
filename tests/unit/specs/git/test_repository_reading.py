"""Reading commits of a repository on this machine."""

import subprocess
from datetime import UTC
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import FileMode, ObjectType

from specs.errors import RepositoryError
from specs.git import tree as bounds
from specs.repository import Repository
from tests.testbed.git.sandbox import bare, commit


def _open(folder: Path, branch: str = "") -> Repository:
    return Repository.open(str(folder), folder.parent / "state", branch)


def test_a_local_repository_is_read_in_place(folder: Path) -> None:
    repository = _open(folder)
    tree = repository.tree(repository.resolve())

    assert list(tree.files) == ["specs/a.yaml", "specs/b.yaml"]
    assert tree.read("specs/a.yaml") == b"a: 1\n"
    assert tree.commit == repository.resolve()
    assert not (folder.parent / "state").exists()


def test_the_ids_of_files_are_those_of_git(folder: Path) -> None:
    repository = _open(folder)
    tree = repository.tree(repository.resolve())
    listed = subprocess.run(["git", "-C", folder, "ls-tree", "-r", "main"], capture_output=True, text=True, check=True)

    assert tree.files == {path: oid for _, _, oid, path in map(str.split, listed.stdout.splitlines())}


def test_files_are_in_the_order_of_paths(folder: Path) -> None:
    commit(folder, {"a.b": b"1", "a/z": b"2", "a-b": b"3", "a0": b"4", "ä/ö": b"5"})
    repository = _open(folder)
    paths = list(repository.tree(repository.resolve()).files)

    assert paths == sorted(paths)


def test_links_submodules_and_our_own_folders_are_left_out(folder: Path) -> None:
    head = _open(folder).resolve()
    new = commit(
        folder,
        {
            "link": b"specs/a.yaml",
            "module": head.encode(),
            ".reconciler/state.db": b"1",
            "x/.reconciler/y": b"2",
            "run": b"3",
        },
        modes={"link": FileMode.LINK, "module": FileMode.COMMIT, "run": FileMode.BLOB_EXECUTABLE},
    )

    assert list(_open(folder).tree(new).files) == ["run", "specs/a.yaml", "specs/b.yaml"]


def test_equal_root_ids_mean_equal_files(folder: Path) -> None:
    repository = _open(folder)
    first = repository.resolve()
    second = commit(folder, {"specs/a.yaml": b"a: 2\n"})
    third = commit(folder, {"specs/a.yaml": b"a: 1\n"})

    assert repository.tree(first).tree_id == repository.tree(third).tree_id != repository.tree(second).tree_id


def test_folders_known_from_the_commit_before_are_not_read_again(folder: Path) -> None:
    first = commit(folder, {f"d{number}/e/f.yaml": b"%d" % number for number in range(20)})
    second = commit(folder, {"d7/e/f.yaml": b"changed"})
    roots = [str(pygit2.Repository(str(folder))[oid].peel(pygit2.Tree).id) for oid in (first, second)]
    folders = bounds.Folders(pygit2.Repository(str(folder)))
    before = folders.files(roots[0], "first")
    for number in set(range(20)) - {7}:
        known = pygit2.Repository(str(folder))[first].peel(pygit2.Tree) / f"d{number}"
        (folder / "objects" / str(known.id)[:2] / str(known.id)[2:]).unlink()
    folders.turn_to(pygit2.Repository(str(folder)))
    after = folders.files(roots[1], "second")

    assert {path for path in before if before[path] != after[path]} == {"d7/e/f.yaml"}
    with pytest.raises(RepositoryError, match="first cannot be read"):
        bounds.Folders(pygit2.Repository(str(folder))).files(roots[0], "first")


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    repository = _open(folder)
    with pytest.raises(RepositoryError, match=r"'specs/c.yaml' is not in commit [0-9a-f]{12}$"):
        repository.tree(repository.resolve()).read("specs/c.yaml")


def test_a_file_that_is_too_long_is_not_unpacked(folder: Path) -> None:
    new = commit(folder, {"big": b"0" * (bounds.MAX_FILE_BYTES + 1)})
    with pytest.raises(RepositoryError, match=r"'big' in commit .* has 16000001 bytes; at most 16000000 are read"):
        _open(folder).tree(new).read("big")


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\nb", "\u202egnp.yaml", "x" * 256])
def test_names_that_deceive_are_refused(name: str, folder: Path) -> None:
    new = commit(folder, {f"specs/{name}": b""})
    with pytest.raises(RepositoryError, match=f"commit {new[:12]} holds the name .*; rename it") as caught:
        _ = _open(folder).tree(new).files

    assert str(caught.value).isascii()


def _raw_tree(folder: Path, entries: list[tuple[bytes, bytes, str]]) -> str:
    """Make a commit whose tree no git would write."""
    git = pygit2.Repository(str(folder))
    data = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(oid) for mode, name, oid in entries)
    tree = git.odb.write(ObjectType.TREE, data)
    header = f"tree {tree}\nauthor a <a@example.org> 1 +0000\ncommitter a <a@example.org> 1 +0000\n\nEvil\n"
    return str(git.odb.write(ObjectType.COMMIT, header))


@pytest.mark.parametrize("name", [b"..", b".", b"a/b", b"\xff\xfe", b""])
def test_names_that_lead_outside_or_are_no_text_are_refused(name: bytes, folder: Path) -> None:
    blob = str(pygit2.Repository(str(folder)).create_blob(b"x"))
    new = _raw_tree(folder, [(b"100644", name, blob)])
    with pytest.raises(RepositoryError, match=r"holds the name|cannot be read"):
        _ = _open(folder).tree(new).files


def test_a_tree_that_multiplies_itself_is_refused(folder: Path) -> None:
    git = pygit2.Repository(str(folder))
    oid = str(git.TreeBuilder().write())
    for _ in range(9):
        builder = git.TreeBuilder()
        for number in range(10):
            builder.insert(f"d{number}", oid, FileMode.TREE)
        oid = str(builder.write())
    new = _raw_tree(folder, [(b"40000", b"d", oid)])
    with pytest.raises(RepositoryError, match="holds more than 200000 files"):
        _ = _open(folder).tree(new).files


def test_folders_that_go_too_deep_are_refused(folder: Path) -> None:
    new = commit(folder, {"d/" * 65 + "f": b""})
    with pytest.raises(RepositoryError, match="more than 64 folders inside each other"):
        _ = _open(folder).tree(new).files


def test_a_folder_that_is_no_folder_is_damage(folder: Path) -> None:
    git = pygit2.Repository(str(folder))
    new = _raw_tree(folder, [(b"40000", b"d", str(git.create_blob(b"x")))])
    with pytest.raises(RepositoryError, match="is damaged"):
        _ = _open(folder).tree(new).files


def test_an_object_that_is_missing_is_an_error(folder: Path) -> None:
    new = _raw_tree(folder, [(b"100644", b"f", "1" * 40), (b"40000", b"g", "2" * 40)])
    with pytest.raises(RepositoryError, match="cannot be read"):
        _ = _open(folder).tree(new).files


def test_revisions_are_what_git_understands(folder: Path) -> None:
    repository = _open(folder)
    first = repository.resolve()
    second = commit(folder, {"specs/a.yaml": b"a: 2\n"})
    pygit2.Repository(str(folder)).references.create("refs/tags/v1", first)

    assert repository.resolve() == second
    assert [repository.resolve(text) for text in ("v1", "main~1", first, first[:8])] == [first] * 4


@pytest.mark.parametrize(
    "revision", ["nope", "main..main", "0" * 40, "main:specs", "a\0b", "^", "\x1b[31m", "-x", "@{9}"]
)
def test_a_revision_that_is_no_commit_is_an_error(revision: str, folder: Path) -> None:
    with pytest.raises(RepositoryError, match="has no commit") as caught:
        _open(folder).resolve(revision)

    assert "\x1b" not in str(caught.value)


def test_an_empty_repository_has_no_commit_yet(tmp_path: Path) -> None:
    repository = _open(bare(tmp_path / "empty.git"))
    for ask in (repository.resolve, repository.identity, lambda: repository.history(1)):
        with pytest.raises(RepositoryError, match="has no commit yet; make the first one on branch main"):
            ask()

    assert not repository.fetch()


def test_a_branch_that_is_not_there_is_named_with_those_that_are(folder: Path) -> None:
    with pytest.raises(RepositoryError, match="has no branch prod; it has: main"):
        _open(folder, "prod").resolve()


def test_a_name_no_branch_can_have_is_refused(folder: Path) -> None:
    with pytest.raises(RepositoryError, match="cannot be the name of a branch"):
        _open(folder, "a..b")


def test_a_commit_that_is_checked_out_by_itself_is_followed(folder: Path) -> None:
    first = _open(folder).resolve()
    commit(folder, {"specs/a.yaml": b"a: 2\n"})
    pygit2.Repository(str(folder)).set_head(pygit2.Oid(hex=first))
    repository = _open(folder)

    assert repository.resolve() == first
    assert repository.branch == ""


def test_fetch_tells_whether_a_local_branch_moved(folder: Path) -> None:
    repository = _open(folder)
    still = repository.fetch()
    commit(folder, {"specs/a.yaml": b"a: 2\n"})

    assert not still
    assert repository.fetch()
    assert not repository.fetch()


def test_history_is_the_newest_first(folder: Path) -> None:
    second = commit(folder, {"specs/a.yaml": b"a: 2\n"}, "Change a\n\nBecause \x1b[31m of b\n")
    history = _open(folder).history(10)

    assert [entry.subject for entry in history] == ["Change a", "First"]
    assert (history[0].id, history[0].author, history[0].email) == (second, "Somebody Else", "else@example.org")
    assert history[0].when.tzinfo is UTC
    assert _open(folder).history(1) == history[:1]


def test_history_of_strange_commits_is_fit_to_print(folder: Path) -> None:
    git = pygit2.Repository(str(folder))
    tree = git.TreeBuilder().write()
    people = b"\xff\x1b[31m <\x07@x> 99999999999999 +9959"
    oid = git.odb.write(
        ObjectType.COMMIT, b"tree %s\nauthor %s\ncommitter %s\n\n\x1b]0;x\x07" % (str(tree).encode(), people, people)
    )
    git.references.create("refs/heads/main", oid, force=True)
    (entry,) = _open(folder).history(1)

    assert "\x1b" not in entry.author + entry.subject + entry.email
    assert entry.when.year == 9999


def test_identity_is_the_first_commit_for_ever(folder: Path) -> None:
    repository = _open(folder)
    first = repository.resolve()
    identities = [repository.identity()]
    for number in range(3):
        commit(folder, {"specs/a.yaml": b"a: %d\n" % number})
        identities.append(repository.identity())

    assert identities == [first[:12]] * 4


def test_identity_follows_first_parents_only(folder: Path) -> None:
    main = _open(folder).resolve()
    other = commit(folder, {"o.yaml": b"o: 1\n"}, branch="orphan")
    git = pygit2.Repository(str(folder))
    someone = pygit2.Signature("a", "a@example.org")
    tree = git.revparse_single(main).peel(pygit2.Tree).id
    git.create_commit("refs/heads/main", someone, someone, "Merge", tree, [main, other])

    assert _open(folder).identity() == main[:12]
    assert _open(folder, "orphan").identity() == other[:12]


def test_a_shallow_clone_has_no_identity(folder: Path, tmp_path: Path) -> None:
    commit(folder, {"specs/a.yaml": b"a: 2\n"})
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{folder}", shallow], check=True)
    with pytest.raises(RepositoryError, match=r"git fetch --unshallow, or set id in reconciler.yaml"):
        _open(shallow).identity()


def test_ancestors_are_known(folder: Path) -> None:
    repository = _open(folder)
    first = repository.resolve()
    second = commit(folder, {"specs/a.yaml": b"a: 2\n"})

    assert repository.is_ancestor(first, second)
    assert repository.is_ancestor(first, first)
    assert not repository.is_ancestor(second, first)
    with pytest.raises(RepositoryError, match="has no commit"):
        repository.is_ancestor("0" * 40, first)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match=r"there is no folder .*/nope; check the path"):
        _open(tmp_path / "nope")


def test_a_folder_inside_a_repository_names_the_repository(tmp_path: Path) -> None:
    Repository.create(tmp_path / "specs")
    (tmp_path / "specs" / "inner").mkdir()
    with pytest.raises(RepositoryError, match=r"the repository around it is .*/specs$"):
        _open(tmp_path / "specs" / "inner")


def test_a_folder_without_a_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="cannot be used as a git repository"):
        _open(tmp_path)


def test_a_repository_with_long_object_names_is_refused(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--object-format=sha256", tmp_path / "long"], check=True)
    with pytest.raises(RepositoryError, match="SHA-256 repositories are not supported"):
        _open(tmp_path / "long")
