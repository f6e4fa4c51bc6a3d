"""Artifacts and operations of nodes: which files they name, and the text of those in the commit."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from msgspec import Struct, field

from specs.model import Artifact, Operation
from specs.tosca.assignments import Assignments
from specs.tosca.checks import check
from specs.tosca.cursor import Cursor
from specs.tosca.definitions import InterfaceDefinition, Kind, OperationDefinition, Schema, Type
from specs.tosca.functions import evaluate
from specs.tosca.library import PREFIX
from specs.tosca.topology import NodeTemplate
from specs.tosca.typebuilder import interface_name
from specs.tosca.wording import suggest
from specs.tree import Tree
from specs.values import Value

MAX_SCRIPT_BYTES = 1_000_000
"""How large a file may be whose text goes into the model."""
_ARTIFACT_KEYS = frozenset(
    {
        "type",
        "file",
        "repository",
        "description",
        "deploy_path",
        "properties",
        "version",
        "artifact_version",
        "checksum",
        "checksum_algorithm",
        "metadata",
    }
)
_ALSO_KEPT = ("repository", "deploy_path", "version", "artifact_version", "checksum", "checksum_algorithm")
_OPERATION_KEYS = frozenset({"description", "implementation", "inputs", "outputs"})
_IMPLEMENTATION_KEYS = frozenset({"primary", "dependencies", "timeout", "operation_host"})
_INTERFACE_WORDS = frozenset({"type", "inputs", "operations", "notifications", "description"})


class Files(Struct, frozen=True):
    """The files of the commit that documents name; remembers which were looked for."""

    tree: Tree
    looked_for: set[str] = field(default_factory=set)

    def find(self, name: str, document: str) -> str:
        """Give the path a document means by a name; empty if there is no such file."""
        folder = "" if document.startswith(PREFIX) else posixpath.dirname(document)
        path = posixpath.normpath(posixpath.join(folder, name))
        if name.startswith("/") or path.startswith("..") or "://" in name:
            return ""
        self.looked_for.add(path)
        return path if path in self.tree.files else ""

    def text(self, path: str, cursor: Cursor) -> str:
        """Read a file named at a cursor as text; empty if there is none, or it is too large or no text."""
        if not path:
            return ""
        content = self.tree.read(path)
        cursor.faults.spend(len(content) // 64)
        if len(content) > MAX_SCRIPT_BYTES or b"\0" in content:
            return ""
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            return ""


def artifacts(node: NodeTemplate, files: Files) -> Mapping[str, Artifact]:
    """Read the artifacts of a node, those of its type included."""
    found = {}
    of_type = {name: cursor.reporting_to(node.cursor.faults) for name, cursor in node.type.artifacts.items()}
    for name, cursor in {**of_type, **node.section("artifacts")}.items():
        artifact = _artifact(name, cursor, node, files)
        if artifact is not None:
            found[name] = artifact
    return found


def _artifact(name: str, cursor: Cursor, node: NodeTemplate, files: Files) -> Artifact | None:
    given = {"file": cursor} if isinstance(cursor.value, str) else cursor.fields(_ARTIFACT_KEYS, ("file",))
    file = given["file"].text() if "file" in given else ""
    if not file:
        if "file" in given and given["file"].is_text:
            given["file"].error("missing-file", f"the artifact {name!r} names no file")
        return None
    space = node.topology.space
    its_type = space.need(Kind.ARTIFACT, given["type"]) if "type" in given else None
    path = files.find(file, cursor.source.path) if "repository" not in given else ""
    return Artifact(
        name=name,
        type=its_type.name if its_type else _guessed_type(node, file),
        file=path or file,
        content=files.text(path, cursor),
        properties={**_artifact_properties(name, its_type, given, node), **_kept(given, node)},
    )


def _guessed_type(node: NodeTemplate, file: str) -> str:
    extension = file.rpartition(".")[2]
    known = {"sh": "tosca.artifacts.Implementation.Bash", "py": "tosca.artifacts.Implementation.Python"}
    return known.get(extension, "tosca.artifacts.File")


def _artifact_properties(
    name: str, its_type: Type | None, given: Mapping[str, Cursor], node: NodeTemplate
) -> Mapping[str, Value]:
    if its_type is None or "properties" not in given:
        return {}
    assigned = given["properties"].fields()
    label = f"the artifact {name!r}"
    space = node.topology.space
    return Assignments(
        label, its_type.properties, assigned, frame=node.frame, space=space, home=given["properties"]
    ).all()


def _kept(given: Mapping[str, Cursor], node: NodeTemplate) -> Mapping[str, Value]:
    return {key: evaluate(given[key], node.frame) for key in _ALSO_KEPT if key in given}


# --- operations ---


def operations(node: NodeTemplate, files: Files) -> Mapping[str, Operation]:
    """Read the operations of a node that have an implementation or inputs, by `Interface.operation`."""
    found: dict[str, Operation] = {}
    written = {interface_name(name): cursor for name, cursor in node.section("interfaces").items()}
    for name in written:
        if name not in node.type.interfaces and not node.type.broken:
            hint = suggest(name, node.type.interfaces)
            written[name].error("unknown-interface", f"{node.type.name} has no interface {name!r}{hint}", key=True)
    for name, definition in node.type.interfaces.items():
        given = written[name].fields() if name in written else {}
        found.update(_interface(node, name, definition, given, files))
    return found


def _interface(
    node: NodeTemplate, name: str, definition: InterfaceDefinition, given: Mapping[str, Cursor], files: Files
) -> Mapping[str, Operation]:
    written = {key: cursor for key, cursor in given.items() if key not in _INTERFACE_WORDS}
    if "operations" in given:
        written.update(given["operations"].fields())
    if "notifications" in given:
        given["notifications"].warning("not-run", "notifications are not listened to", key=True)
    shared = given["inputs"].fields() if "inputs" in given else {}
    found = {}
    for operation in {**definition.operations, **written}:
        declared = definition.operations.get(operation)
        cursor = written.get(operation)
        if cursor is None and declared is not None and declared.implementation is None:
            continue
        if declared is None and not definition.open and cursor is not None:
            hint = suggest(operation, definition.operations)
            cursor.error("unknown-operation", f"{name} has no operation {operation!r}{hint}", key=True)
            continue
        made = _operation(node, f"{name}.{operation}", (definition, declared), (cursor, shared), files)
        if made is not None:
            found[made.name] = made
    return found


def _operation(
    node: NodeTemplate,
    name: str,
    defined: tuple[InterfaceDefinition, OperationDefinition | None],
    written: tuple[Cursor | None, Mapping[str, Cursor]],
    files: Files,
) -> Operation | None:
    interface, declared = defined
    cursor, shared = written
    given: Mapping[str, Cursor] = {}
    if cursor is not None:
        given = {"implementation": cursor} if isinstance(cursor.value, str) else cursor.fields(_OPERATION_KEYS)
    implementation = given.get("implementation")
    assigned = dict(shared)
    if declared is not None:
        faults = node.cursor.faults
        implementation = implementation or (declared.implementation and declared.implementation.reporting_to(faults))
        assigned.update({key: item.reporting_to(faults) for key, item in declared.assigned.items()})
    assigned.update(given["inputs"].fields() if "inputs" in given else {})
    if implementation is None:
        return None
    file, content = _implementation(implementation, node, files)
    schemas = {**interface.inputs, **(declared.inputs if declared else {})}
    inputs = _inputs(node, name, schemas, assigned, cursor or node.cursor)
    return Operation(name=name, implementation=file, content=content, inputs=inputs)


def _inputs(
    node: NodeTemplate, name: str, schemas: Mapping[str, Schema], assigned: Mapping[str, Cursor], home: Cursor
) -> Mapping[str, Value]:
    """Work out the inputs of an operation: those that are declared, and whatever else is assigned."""
    values: dict[str, Value] = {}
    for key, schema in schemas.items():
        source = assigned.get(key) or (schema.default and schema.default.reporting_to(node.cursor.faults))
        if source is not None:
            values[key] = check(node.topology.space, schema, evaluate(source, node.frame), source)
        elif schema.required:
            home.error("missing-input", f"the operation {name!r} needs the input {key!r}", key=True)
    for key, source in assigned.items():
        if key not in schemas:
            values[key] = evaluate(source, node.frame)
    return values


def _implementation(cursor: Cursor, node: NodeTemplate, files: Files) -> tuple[str, str]:
    """Find the file of an implementation, and its text where it is in the commit."""
    if isinstance(cursor.value, dict):
        given = cursor.fields(_IMPLEMENTATION_KEYS | _ARTIFACT_KEYS)
        for dependency in given["dependencies"].items() if "dependencies" in given else ():
            if isinstance(dependency.value, str):
                _implementation(dependency, node, files)
        main = given.get("primary") or given.get("file")
        return _implementation(main, node, files) if main is not None else ("", "")
    name = cursor.text()
    if not cursor.is_text:
        return "", ""
    artifact = node.section("artifacts").get(name) or node.type.artifacts.get(name)
    if artifact is not None:
        file = node.artifact(name) or ""
        path = files.find(file, artifact.source.path)
        return path or name, files.text(path, cursor)
    path = files.find(name, cursor.source.path)
    if not path and "://" not in name:
        cursor.error("missing-file", f"{name!r} is no file of this commit and no artifact of {node.name!r}")
    return path or name, files.text(path, cursor)
