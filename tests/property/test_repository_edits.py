"""Whatever is changed in whatever tree: the new tree is the old one with the change, or there is an error."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pygit2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from specs.errors import RepositoryError
from specs.git.edit import check_changes, edited
from specs.git.tree import Folders

PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
FILES = st.dictionaries(PATHS, st.binary(max_size=2), max_size=8)
CHANGES = st.dictionaries(PATHS, st.none() | st.binary(max_size=2), max_size=5)


def _possible(files: Mapping[str, bytes]) -> bool:
    """Tell whether no file is a folder as well."""
    return not any(other.startswith(f"{path}/") for path in files for other in files)


def _clear(changes: Mapping[str, bytes | None]) -> bool:
    """Tell whether no file is made of a folder in which the same change does something, be it to empty it."""
    return not any(
        other.startswith(f"{path}/") for path, content in changes.items() if content is not None for other in changes
    )


@example(files={"a/a": b""}, changes={"a/a": None, "a": b""})
@settings(max_examples=200, deadline=None)
@given(files=FILES.filter(_possible), changes=CHANGES)
def test_an_edit_is_the_change_or_an_error(files: dict[str, bytes], changes: dict[str, bytes | None]) -> None:
    wanted = {path: content for path, content in {**files, **changes}.items() if content is not None}
    removed = (path for path, content in changes.items() if content is None)
    sound = _possible(wanted) and _clear(changes) and all(path in files for path in removed)
    with tempfile.TemporaryDirectory() as folder:
        git = pygit2.init_repository(str(Path(folder)), bare=True)
        before = git[edited(git, None, files)].peel(pygit2.Tree)
        try:
            check_changes(changes)
            after = str(edited(git, before, changes))
        except RepositoryError:
            assert not sound
            return
        folders = Folders(git)
        listed = folders.files(after, "after")

        assert sound
        assert {path: folders.read(oid, path) for path, oid in listed.items()} == wanted
        assert list(listed) == sorted(listed)
        assert after == str(edited(git, None, wanted))
