"""Brings the manifests of a node as they are: YAML of many documents, from files of the repository. Pure.

Custom resource definitions come before their objects, namespaces before what is in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from providers.base import PermanentError
from providers.kubernetes.place import Place, standing
from providers.kubernetes.shape import OWN_WORDS, parts_of
from specs.errors import Severity
from specs.model import Address, Artifact, Node, Resource
from specs.values import Value
from specs.yaml.document import load

TYPE = "reconciler.artifacts.kubernetes.Manifest"
_BEGIN = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_OCTAL = re.compile(r"^(\s*(?:- )?(?:defaultMode|mode):\s*)0([0-7]{3,4})(?=\s*(?:#.*)?$)", re.MULTILINE)
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Service", "Job", "CronJob")
_CLUSTER_WIDE = frozenset(
    {
        "Namespace",
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleBinding",
        "PersistentVolume",
        "StorageClass",
        "IngressClass",
        "PriorityClass",
        "RuntimeClass",
        "CSIDriver",
        "APIService",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
)
_DEFINITION = "CustomResourceDefinition"


class _Piece(Struct, frozen=True):
    """One object of a manifest."""

    where: str
    """File and line."""
    body: Mapping[str, Value]

    @property
    def kind(self) -> str:
        return str(self.body.get("kind", ""))

    @property
    def group(self) -> str:
        version = str(self.body.get("apiVersion", ""))
        return version.rpartition("/")[0]

    @property
    def metadata(self) -> Mapping[str, Value]:
        found = self.body.get("metadata")
        return found if isinstance(found, Mapping) else {}

    @property
    def name(self) -> str:
        return str(self.metadata.get("name", ""))


def carries_manifests(node: Node) -> bool:
    """Tell whether a node brings manifests."""
    return any(_is_manifest(artifact) for artifact in node.artifacts.values())


def manifests(place: Place) -> Iterator[Resource]:
    """Make one resource of every object in the manifests of a node."""
    pieces = [piece for _, a in sorted(place.node.artifacts.items()) if _is_manifest(a) for piece in _pieces(a)]
    scopes = _Scopes(pieces)
    addresses: dict[Address, str] = {}
    stands = next((p for kind in _WORKLOADS for p in pieces if p.kind == kind), pieces[0] if pieces else None)
    for piece in pieces:
        resource = _resource(place, piece, scopes)
        if resource.address in addresses:
            raise PermanentError(
                f"{piece.where}: {piece.kind} {piece.name} is already in {addresses[resource.address]}"
            )
        addresses[resource.address] = piece.where
        yield standing(resource) if piece is stands else resource


class _Scopes:
    """What the pieces say about one another: which definitions and namespaces are among them."""

    def __init__(self, pieces: list[_Piece]) -> None:
        self.definitions: dict[tuple[str, str], _Piece] = {}
        self.cluster_wide: set[tuple[str, str]] = set()
        self.namespaces = {piece.name: piece for piece in pieces if piece.kind == "Namespace"}
        for piece in pieces:
            spec = piece.body.get("spec")
            if piece.kind == _DEFINITION and isinstance(spec, Mapping) and isinstance(spec.get("names"), Mapping):
                names = spec["names"]
                key = (str(spec.get("group")), str(names.get("kind") if isinstance(names, Mapping) else ""))
                self.definitions[key] = piece
                if spec.get("scope") == "Cluster":
                    self.cluster_wide.add(key)

    def is_namespaced(self, piece: _Piece) -> bool:
        return piece.kind not in _CLUSTER_WIDE and (piece.group, piece.kind) not in self.cluster_wide


def _resource(place: Place, piece: _Piece, scopes: _Scopes) -> Resource:
    namespaced = scopes.is_namespaced(piece)
    namespace = str(piece.metadata.get("namespace") or place.namespace) if namespaced else ""
    parts = parts_of(piece.body)
    if clash := parts.keys() & set(OWN_WORDS):
        raise PermanentError(f"{piece.where}: {piece.kind} has {', '.join(sorted(clash))}, which cannot be brought")
    requires = set()
    if (definition := scopes.definitions.get((piece.group, piece.kind))) is not None:
        requires.add(_address(place, definition, ""))
    if namespace in scopes.namespaces:
        requires.add(_address(place, scopes.namespaces[namespace], ""))
    elif namespaced and namespace == place.namespace and place.namespace_address:
        requires.add(place.namespace_address)
    properties: dict[str, Value] = {
        "cluster": place.cluster,
        **({"namespace": namespace} if namespaced else {}),
        "name": piece.name,
        "api_version": piece.body.get("apiVersion"),
        "object_kind": piece.kind,
        "in_place": True,
        **({"force": True} if place.wishes.force or place.settings.force else {}),
        **parts,
    }
    return Resource(
        address=_address(place, piece, namespace),
        binding=place.binding,
        properties=properties,
        requires=tuple(sorted(requires)),
        protect=place.node.protect,
    )


def _address(place: Place, piece: _Piece, namespace: str) -> Address:
    group = f".{piece.group}" if piece.group else ""
    words = [f"{piece.kind}{group}", *([namespace] if namespace else []), piece.name]
    return place.address("object", re.sub(r"[^A-Za-z0-9_.-]", "_", "_".join(words)))


def _is_manifest(artifact: Artifact) -> bool:
    return artifact.type == TYPE or (
        artifact.type.startswith("tosca.artifacts.") and artifact.properties.get("format") == "kubernetes"
    )


def _pieces(artifact: Artifact) -> Iterator[_Piece]:
    if not artifact.content.strip():
        raise PermanentError(f"artifact {artifact.name}: {artifact.file} is empty or not a file of the repository")
    for line, text in _documents(_OCTAL.sub(_decimal, artifact.content)):
        where = f"{artifact.file}:{line}"
        document, found = load(artifact.file, ("\n" * (line - 1) + text).encode())
        wrong = [f for f in found if f.severity is not Severity.HINT or f.code == "type-surprise"]
        if wrong:
            raise PermanentError("\n".join(str(fault) for fault in wrong))
        if document is not None and document.data is not None:
            yield from _objects(document.data, where)


def _decimal(match: re.Match[str]) -> str:
    """Write a file mode as the number it means to everybody who renders manifests."""
    return f"{match[1]}{int(match[2], 8)}"


def _documents(text: str) -> Iterator[tuple[int, str]]:
    """Cut YAML into its documents, each with the line it begins in."""
    line, start = 1, 0
    for match in _BEGIN.finditer(text):
        yield line, text[start : match.start()]
        line += text.count("\n", start, match.start())
        start = match.end()
    yield line, text[start:]


def _objects(data: Value, where: str) -> Iterator[_Piece]:
    if not isinstance(data, Mapping):
        raise PermanentError(f"{where}: this is no object of Kubernetes, which has apiVersion, kind and metadata")
    items = data.get("items")
    if str(data.get("kind", "")).endswith("List") and isinstance(items, list):
        for item in items:
            yield from _objects(item, where)
        return
    piece = _Piece(where, data)
    if piece.kind == "Secret" and not piece.group and (data.get("data") or data.get("stringData")):
        raise PermanentError(f"{where}: a secret in git is none; name it in `env` or `files` of a function instead")
    if not piece.kind or not data.get("apiVersion") or not piece.name:
        raise PermanentError(
            f"{where}: an object needs apiVersion, kind and metadata.name; a generated name cannot be kept"
        )
    yield piece
