"""Follows imports inside one commit: no network, no absolute paths, nothing outside the repository."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from msgspec import Struct

from specs.errors import Diagnostic
from specs.tosca import library
from specs.tosca.cursor import Cursor, Faults
from specs.tosca.wording import suggest
from specs.tree import Tree
from specs.yaml.document import Document, load

MAX_IMPORTED = 500
"""How many files one document may import, what its imports import included."""
MAX_CHAIN = 40
"""How long a chain of imports may be."""
_IMPORT_KEYS = frozenset({"file", "repository", "namespace_uri", "namespace_prefix"})


class Documents:
    """The documents of one commit and the shipped ones, each loaded once."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._loaded: dict[str, tuple[Document | None, tuple[Diagnostic, ...]]] = {}

    def load(self, path: str) -> tuple[Document | None, tuple[Diagnostic, ...]]:
        """Give a document and what is wrong with its YAML; the path must exist."""
        if path not in self._loaded:
            content = library.read(path) if path.startswith(library.PREFIX) else self.tree.read(path)
            self._loaded[path] = load(path, content)
        return self._loaded[path]

    def content_id(self, path: str) -> str:
        """Give the content id of a file, or an empty one if it is not in the commit."""
        return self.tree.files.get(path, "")


class Imported(Struct, frozen=True):
    """A document among the imports of another, and the prefix its types carry there."""

    document: Document
    prefix: str


class Closure(Struct, frozen=True):
    """All that a document imports, each before who imports it, and every path that was looked for."""

    members: tuple[Imported, ...]
    looked_for: frozenset[str]

    @property
    def key(self) -> tuple[tuple[str, str], ...]:
        """What tells closures with the same types from others."""
        return tuple((member.document.path, member.prefix) for member in self.members)


def follow(documents: Documents, root: Document, faults: Faults) -> Closure:
    """Find everything a document imports; what cannot be imported is reported at the import."""
    walk = _Walk(documents, faults)
    walk.visit(root, "", (root.path,))
    return Closure(tuple(walk.members.values()), frozenset(walk.looked_for))


class _Walk:
    def __init__(self, documents: Documents, faults: Faults) -> None:
        self._documents = documents
        self._faults = faults
        self._full = False
        self.members: dict[tuple[str, str], Imported] = {}
        self.looked_for: set[str] = set()

    def visit(self, document: Document, prefix: str, chain: tuple[str, ...]) -> None:
        """Import what a document imports; `chain` is how it was reached."""
        if not isinstance(document.data, Mapping) or "imports" not in document.data:
            return
        top = Cursor.top(document, self._faults)
        repositories = document.data.get("repositories")
        for item in top.at("imports", document.data["imports"]).items():
            cursor, fields = _target(item)
            if cursor is None:
                continue
            if "repository" in fields:
                self._refuse_repository(fields["repository"], repositories)
                continue
            path = self._path(cursor, document.path)
            if path:
                inner = fields["namespace_prefix"].text() if "namespace_prefix" in fields else ""
                self._import(cursor, path, f"{prefix}{inner}:" if inner else prefix, chain)

    def _refuse_repository(self, cursor: Cursor, repositories: object) -> None:
        name = cursor.text()
        if isinstance(repositories, Mapping) and name in repositories:
            cursor.error(
                "import-network",
                f"the repository {name!r} is not read: imports come from the same commit; copy the file into it",
            )
        else:
            known = repositories if isinstance(repositories, Mapping) else ()
            cursor.error("unknown-repository", f"there is no repository {name!r}{suggest(name, known)}")

    def _path(self, cursor: Cursor, importer: str) -> str:
        """Give the path an import means; empty if it must not be followed, which is reported."""
        name = cursor.text()
        if not cursor.is_text:
            return ""
        if found := library.shipped(name):
            self._mention_shadowed(cursor, importer, name)
            return found
        if "://" in name:
            cursor.error(
                "import-network",
                f"{name!r} is not fetched: imports come from the same commit; copy the file into the repository",
            )
            return ""
        if name.startswith(("/", "~")) or "\\" in name or name[1:2] == ":":
            cursor.error("import-absolute", f"{name!r} is no path relative to this file; write it with '/' from here")
            return ""
        folder = "" if importer.startswith(library.PREFIX) else posixpath.dirname(importer)
        path = posixpath.normpath(posixpath.join(folder, name))
        if path == ".." or path.startswith("../"):
            cursor.error("import-escape", f"{name!r} leads out of the repository")
            return ""
        return path

    def _mention_shadowed(self, cursor: Cursor, importer: str, name: str) -> None:
        path = posixpath.join(posixpath.dirname(importer), name)
        if path in self._documents.tree.files:
            cursor.hint("shipped-import", f"the shipped {name} is imported; {path} of the repository is not read")

    def _import(self, cursor: Cursor, path: str, prefix: str, chain: tuple[str, ...]) -> None:
        if path in chain:
            circle = " -> ".join((*chain[chain.index(path) :], path))
            cursor.error("import-cycle", f"these files import each other in a circle: {circle}")
            return
        if (path, prefix) in self.members or self._full:
            return
        if len(chain) > MAX_CHAIN or len(self.members) >= MAX_IMPORTED:
            self._full = True
            cursor.error("too-many-imports", f"more than {MAX_CHAIN} imports in a chain, or {MAX_IMPORTED} in all")
            return
        document = self._load(cursor, path)
        if document is not None:
            self.visit(document, prefix, (*chain, path))
            self.members[(path, prefix)] = Imported(document, prefix)

    def _load(self, cursor: Cursor, path: str) -> Document | None:
        if not path.startswith(library.PREFIX):
            self.looked_for.add(path)
            if not self._documents.content_id(path):
                near = [
                    name for name in self._documents.tree.files if posixpath.basename(name) == posixpath.basename(path)
                ]
                hint = f"; did you mean {near[0]!r}?" if near else ""
                cursor.error("import-missing", f"there is no file {path!r} in this commit{hint}")
                return None
        document, diagnostics = self._documents.load(path)
        for diagnostic in diagnostics:
            self._faults.add(diagnostic)
        if document is not None and not isinstance(document.data, Mapping):
            cursor.error("import-missing", f"{path!r} holds no TOSCA definitions")
            return None
        return document


def _target(item: Cursor) -> tuple[Cursor | None, Mapping[str, Cursor]]:
    """Find the file an import names: a text, `{file: …}`, or either of them under a name."""
    match item.value:
        case str():
            return item, {}
        case {"file": _}:
            fields = item.fields(_IMPORT_KEYS)
            return fields["file"], fields
        case {**entries} if len(entries) == 1:
            ((_, cursor),) = item.fields().items() or (("", item),)
            if cursor.value != item.value:
                return _target_of_name(cursor)
    item.error("wrong-shape", "an import is a path, {file: path}, or one of them under a name")
    return None, {}


def _target_of_name(cursor: Cursor) -> tuple[Cursor | None, Mapping[str, Cursor]]:
    if isinstance(cursor.value, str):
        return cursor, {}
    fields = cursor.fields(_IMPORT_KEYS, ("file",))
    return fields.get("file"), fields
