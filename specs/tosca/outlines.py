"""Recognises the documents of a commit by what they hold, and gathers the types each can name."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from specs.errors import Diagnostic, Severity
from specs.tosca import library
from specs.tosca.cursor import Cursor, Faults, TooMuch
from specs.tosca.definitions import Kind
from specs.tosca.entries import site_of_inputs
from specs.tosca.flame import CLUSTER
from specs.tosca.imports import Closure, Documents, follow
from specs.tosca.interfaces import Files
from specs.tosca.services import Head, read_head
from specs.tosca.typesystem import TypeSpace
from specs.tosca.verification import verify
from specs.tosca.wording import kind_of, suggest
from specs.tree import Tree
from specs.yaml.document import Document

NFV_VERSION = "tosca_simple_profile_for_nfv_1_0_0"
VERSIONS = ("tosca_simple_yaml_1_0", "tosca_simple_yaml_1_2", "tosca_simple_yaml_1_3", NFV_VERSION)
_TOP_KEYS = frozenset(
    {
        "tosca_definitions_version",
        "namespace",
        "metadata",
        "template_name",
        "template_author",
        "template_version",
        "description",
        "dsl_definitions",
        "repositories",
        "imports",
        "topology_template",
        *(kind.section for kind in Kind),
    }
)


class Outline(Struct, kw_only=True):
    """A document with its types, before its topology is compiled."""

    path: str
    top: Cursor
    closure: Closure
    space: TypeSpace
    shared: tuple[Diagnostic, ...]
    """What is wrong with the types it imports."""
    kind: str
    files: Files
    head: Head | None = None
    also_read: set[str] = field(default_factory=set)
    """Templates that stand in for its nodes, and their imports."""
    found: set[Diagnostic] = field(default_factory=set)
    """What compiling it found, for whatever site."""

    @property
    def faults(self) -> Faults:
        """What is wrong with the document itself."""
        return self.top.faults


class Unread(Struct, frozen=True):
    """A file that is no TOSCA document: inputs of a site, something else, or too broken to tell."""

    path: str
    document: Document | None
    faults: Faults
    kind: str


class Outlines:
    """The documents of one commit; what several of them share is read once."""

    def __init__(self, tree: Tree) -> None:
        self.documents = Documents(tree)
        self._tree = tree
        self._found: dict[str, Outline | Unread] = {}
        self._spaces: dict[object, tuple[TypeSpace, tuple[Diagnostic, ...]]] = {}

    def of(self, path: str) -> Outline | Unread:
        """Give the outline of a file of the commit."""
        if path not in self._found:
            faults = Faults()
            try:
                self._found[path] = self._read(path, faults)
            except (TooMuch, RecursionError) as error:
                self._found[path] = Unread(path, None, give_up(path, faults, error), "other")
        return self._found[path]

    def _read(self, path: str, faults: Faults) -> Outline | Unread:
        content = self._tree.read(path)
        is_inputs = bool(site_of_inputs(path))
        marked = is_inputs or b"tosca_definitions_version" in content or b"topology_template" in content
        if not marked and _is_text(content):
            return Unread(path, None, Faults(), "other")
        document, diagnostics = self.documents.load(path)
        for diagnostic in diagnostics:
            faults.add(diagnostic)
        data = document.data if document is not None else None
        keys = data.keys() if isinstance(data, Mapping) else frozenset[str]()
        if is_inputs and "tosca_definitions_version" not in keys:
            return Unread(path, document, faults, "inputs")
        if document is None or "tosca_definitions_version" in keys or "topology_template" in keys:
            return Unread(path, None, faults, "other") if document is None else self._open(document, faults)
        return Unread(path, None, Faults(), "other")

    def _open(self, document: Document, faults: Faults) -> Outline:
        top = Cursor.top(document, faults)
        fields = top.fields(_TOP_KEYS)
        self._check_version(top, fields)
        closure = follow(self.documents, document, faults)
        space, shared = self._space(top, closure, nfv=_is_nfv(fields))
        files = Files(self._tree)
        kind = self._kind(fields, space)
        outline = Outline(
            path=document.path, top=top, closure=closure, space=space, shared=shared, kind=kind, files=files
        )
        if kind == "service":
            outline.head = read_head(top)
        return outline

    def _check_version(self, top: Cursor, fields: Mapping[str, Cursor]) -> None:
        version = fields.get("tosca_definitions_version")
        if version is None:
            top.error(
                "missing-version",
                "the document needs 'tosca_definitions_version', e.g. tosca_simple_yaml_1_3",
                key=True,
            )
        elif version.value not in VERSIONS:
            hint = suggest(str(version.value), VERSIONS)
            version.error("unsupported-version", f"the TOSCA version cannot be {kind_of(version.value)}{hint}")

    def _space(self, top: Cursor, closure: Closure, *, nfv: bool) -> tuple[TypeSpace, tuple[Diagnostic, ...]]:
        """Give the types a document can name; what it imports is resolved once for all who import the same."""
        key = (nfv, closure.key)
        if key not in self._spaces:
            self._spaces[key] = self._library(closure, nfv=nfv)
        space, shared = self._spaces[key]
        if isinstance(top.value, Mapping) and any(kind.section in top.value for kind in Kind):
            space = TypeSpace(space, [(top, "")])
            verify(space)
        return space, shared

    def _library(self, closure: Closure, *, nfv: bool) -> tuple[TypeSpace, tuple[Diagnostic, ...]]:
        faults = Faults()
        space = self._base(nfv=nfv)
        if closure.members:
            space = TypeSpace(space, [(Cursor.top(one.document, faults), one.prefix) for one in closure.members])
            try:
                verify(space)
            except TooMuch as error:
                faults = give_up(closure.members[-1].document.path, faults, error)
        return space, faults.sorted()

    def _base(self, *, nfv: bool) -> TypeSpace:
        if nfv not in self._spaces:
            faults = Faults()
            path = library.NFV if nfv else library.NORMATIVE
            document, _ = self.documents.load(path)
            if document is None:
                raise RuntimeError(f"{path} cannot be read; install the package again")
            below = self._base(nfv=False) if nfv else None
            self._spaces[nfv] = TypeSpace(below, [(Cursor.top(document, faults), "")]), ()
        return self._spaces[nfv][0]

    def _kind(self, fields: Mapping[str, Cursor], space: TypeSpace) -> str:
        """Tell a site (has a cluster), alerts (only policies, with metrics or by import), a service and a library."""
        if "topology_template" not in fields:
            return "library"
        topology = fields["topology_template"].value
        nodes = topology.get("node_templates") if isinstance(topology, Mapping) else None
        if isinstance(nodes, Mapping) and nodes:
            types = {str(node.get("type")) for node in nodes.values() if isinstance(node, Mapping)}
            found = (space.find(Kind.NODE, name) for name in sorted(types))
            return "site" if any(one is not None and one.is_a(CLUSTER) for one in found) else "service"
        return "alerts" if _imports_alerts(fields) or _has_metrics(topology) else "service"


def give_up(path: str, faults: Faults, error: Exception) -> Faults:
    """Give what was found in a document that is not read to its end, and why it is not."""
    why = str(error) if isinstance(error, TooMuch) else "its values refer to one another too deeply"
    return Faults([*faults.sorted(), Diagnostic(path, 1, 1, Severity.ERROR, "too-much", why)])


def _is_text(content: bytes) -> bool:
    """Tell text from what may be a damaged spec: passed over, its service would seem to be deleted."""
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _is_nfv(fields: Mapping[str, Cursor]) -> bool:
    version = fields.get("tosca_definitions_version")
    return version is not None and version.value == NFV_VERSION


def _imports_alerts(fields: Mapping[str, Cursor]) -> bool:
    """Tell whether the shipped alerts definitions are imported by name."""
    written = fields["imports"].value if "imports" in fields else None
    names = {name for item in written for name in _texts(item)} if isinstance(written, list) else set()
    return any(library.shipped(name) == library.ALERTS for name in names)


def _texts(value: object) -> frozenset[str]:
    match value:
        case str():
            return frozenset({value})
        case Mapping():
            return frozenset[str]().union(*map(_texts, value.values()))
    return frozenset()


def _has_metrics(topology: object) -> bool:
    """Tell whether any trigger of a policy watches a metric."""
    policies = topology.get("policies") if isinstance(topology, Mapping) else None
    for item in policies if isinstance(policies, list) else ():
        for policy in item.values() if isinstance(item, Mapping) else ():
            triggers = policy.get("triggers") if isinstance(policy, Mapping) else None
            for trigger in triggers.values() if isinstance(triggers, Mapping) else ():
                if isinstance(trigger, Mapping) and "metric" in trigger:
                    return True
    return False
