"""Reading a folder as it stands."""

import os
import subprocess
import time
from pathlib import Path

import pygit2
import pytest

from specs.errors import RepositoryError
from specs.git import tree as bounds
from specs.repository import Author, Repository
from specs.worktree import WorkTree


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with two files, in no repository."""
    folder = tmp_path / "desk"
    (folder / "specs").mkdir(parents=True)
    (folder / "specs" / "a.yaml").write_text("a: 1\n")
    (folder / "b.yaml").write_text("b: 1\n")
    return folder


def _put(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"{path}\n")


def test_files_are_read_as_they_stand(desk: Path) -> None:
    tree = WorkTree(desk)

    assert list(tree.files) == ["b.yaml", "specs/a.yaml"]
    assert tree.read("specs/a.yaml") == b"a: 1\n"
    assert tree.commit.startswith("local-")


def test_content_ids_are_those_of_a_commit(desk: Path, author: Author) -> None:
    repository = Repository.create(desk)
    head = repository.write({"c/d.yaml": b"d: 1\n"}, "First", author, onto="")
    committed = repository.tree(head).files

    assert WorkTree(desk).files["c/d.yaml"] == committed["c/d.yaml"]
    assert WorkTree(desk).files["b.yaml"] == str(pygit2.hashfile(str(desk / "b.yaml")))


def test_the_name_of_the_look_follows_paths_and_content(desk: Path) -> None:
    names = [WorkTree(desk).commit, WorkTree(desk).commit]
    (desk / "b.yaml").write_text("b: 2\n")
    names.append(WorkTree(desk).commit)
    (desk / "b.yaml").rename(desk / "c.yaml")
    names.append(WorkTree(desk).commit)

    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_what_is_no_spec_is_left_out(desk: Path, tmp_path: Path) -> None:
    _put(
        desk,
        ".git/config",
        ".reconciler/state.db",
        "x/.reconciler/y",
        ".hidden/z",
        "module/.git",
        "module/file",
        ".kept",
    )
    (tmp_path / "outside").write_text("secret")
    (desk / "link").symlink_to(tmp_path / "outside")
    (desk / "inner").symlink_to(desk / "b.yaml")
    (desk / "folder").symlink_to(tmp_path)
    os.mkfifo(desk / "pipe")
    (desk / ".git").rename(tmp_path / "no-git")

    assert list(WorkTree(desk).files) == [".kept", "b.yaml", "specs/a.yaml"]


def test_a_folder_reached_by_a_link_is_read(desk: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(desk)

    assert WorkTree(tmp_path / "link").files == WorkTree(desk).files


def test_the_files_are_those_git_would_list(desk: Path) -> None:
    _put(
        desk,
        "ignored.log",
        "build/x",
        "build/kept",
        "deep/build/y",
        "deep/ok",
        "!weird",
        "sub/local",
        "sub/other",
        ".ci/run",
    )
    (desk / ".gitignore").write_text("*.log\nbuild/\n")
    (desk / "sub" / ".gitignore").write_text("local\n")
    git = ["git", "-C", str(desk)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "--force", "build/kept", "b.yaml", ".ci/run"], check=True)
    listed = subprocess.run(
        [*git, "ls-files", "-z", "-co", "--exclude-standard"], check=True, capture_output=True, text=True
    )

    assert list(WorkTree(desk).files) == sorted(filter(None, listed.stdout.split("\0")))


def test_a_folder_inside_a_repository_follows_its_rules(desk: Path) -> None:
    _put(desk, "specs/x.log")
    (desk / ".gitignore").write_text("*.log\n")
    subprocess.run(["git", "init", "-q", desk], check=True)

    assert list(WorkTree(desk / "specs").files) == ["a.yaml"]


def test_a_folder_that_is_ignored_as_a_whole_is_read_all_the_same(desk: Path) -> None:
    (desk / ".gitignore").write_text("specs/\n")
    subprocess.run(["git", "init", "-q", desk], check=True)

    assert list(WorkTree(desk / "specs").files) == ["a.yaml"]


def test_files_that_were_not_touched_are_not_read_again(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    while time.time() - (desk / "b.yaml").stat().st_ctime < 0.2:
        time.sleep(0.01)
    tree = WorkTree(desk)
    before = tree.files
    (desk / "specs" / "a.yaml").write_text("a: 2\n")
    read: list[str] = []
    read_bytes = Path.read_bytes

    def noted(path: Path) -> bytes:
        read.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    after = tree.refreshed().files

    assert read == ["a.yaml"]
    assert after["b.yaml"] == before["b.yaml"]
    assert after["specs/a.yaml"] != before["specs/a.yaml"]


def test_a_look_is_not_changed_by_what_happens_later(desk: Path) -> None:
    tree = WorkTree(desk)
    listed = dict(tree.files)
    (desk / "b.yaml").write_text("b: 2\n")

    assert tree.files == listed
    with pytest.raises(RepositoryError, match=r"b\.yaml changed while it was read; try again"):
        tree.read("b.yaml")
    assert tree.refreshed().read("b.yaml") == b"b: 2\n"


def test_a_change_within_one_tick_of_the_clock_is_seen(desk: Path) -> None:
    tree = WorkTree(desk)
    for number in range(2, 10):
        (desk / "b.yaml").write_text(f"b: {number}\n")
        tree = tree.refreshed()

        assert tree.read("b.yaml") == f"b: {number}\n".encode()


def test_a_file_that_is_too_long_is_listed_but_not_read(desk: Path) -> None:
    with (desk / "big").open("wb") as file:
        file.truncate(bounds.MAX_FILE_BYTES + 1)
    tree = WorkTree(desk)

    assert "big" in tree.files
    with pytest.raises(RepositoryError, match="at most 16000000 are read"):
        tree.read("big")


def test_a_file_that_is_not_there_is_named(desk: Path) -> None:
    with pytest.raises(RepositoryError, match=r"'../x' is not in .*/desk"):
        WorkTree(desk).read("../x")


def test_names_that_deceive_are_refused(desk: Path) -> None:
    (desk / "a\x1b[31m").write_text("")
    with pytest.raises(RepositoryError, match=r"/desk holds the name 'a\\x1b\[31m'"):
        _ = WorkTree(desk).files


def test_folders_that_go_too_deep_are_refused(desk: Path) -> None:
    (desk / ("d/" * 66)).mkdir(parents=True)
    with pytest.raises(RepositoryError, match="more than 64 folders inside each other"):
        _ = WorkTree(desk).files


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match=r"cannot read the folder .*nope"):
        _ = WorkTree(tmp_path / "nope").files
