"""Spec repositories in memory, and what their catalogue says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent, indent

from specs.catalogue import Catalogue, read_catalogue
from specs.model import Node, Service
from tests.support.files import Files

ROOT = Path(__file__).resolve().parents[2]
SITE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
metadata: {site: lab}
imports: [flame_definitions.yaml]
topology_template:
  node_templates:
    sandpit:
      type: eu.ict-flame.nodes.Provider
      properties: {plugin: sandpit}
    dc-1:
      type: eu.ict-flame.nodes.Cluster
      properties: {tier: data_centre, capacity: {num_cpus: 16, mem_size: 32 GB, disk_size: 1 TB}}
    edge-1:
      type: eu.ict-flame.nodes.Cluster
      properties: {tier: edge, capacity: {num_cpus: 4, mem_size: 8 GB, disk_size: 100 GB}}
"""
"""A site with two clusters."""

HEAD = "tosca_definitions_version: tosca_simple_yaml_1_3\n"
SERVICE = "specs/shop.yaml"


class MemoryCache(dict[str, bytes]):
    """A `specs.tree.Cache` that counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.questions = 0

    def get_many(self, keys: list[str]) -> Mapping[str, bytes]:
        """Read what is kept of these keys."""
        self.questions += 1
        return {key: self[key] for key in keys if key in self}

    def put(self, values: Mapping[str, bytes]) -> None:
        """Keep values."""
        self.update(values)


def folder(path: Path) -> Mapping[str, str]:
    """Read a folder as path → text, without what tools keep in hidden folders."""
    files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    names = {file: str(file.relative_to(path)) for file in files}
    return {name: file.read_text() for file, name in names.items() if not name.startswith(".")}


def catalogue_of(files: Mapping[str, str]) -> Catalogue:
    """Read a repository that holds these files and no others."""
    return read_catalogue(Files(files))


def document(text: str) -> str:
    """Put the version before the rest of a document."""
    return f"{HEAD}{dedent(text).strip()}\n"


def service_document(nodes: str, rest: str = "", imports: str = "flame_definitions.yaml") -> str:
    """Write a service spec from its node templates and further sections of the topology."""
    topology = f"node_templates:\n{indent(dedent(nodes).strip(), '  ')}\n{dedent(rest).strip()}"
    return f"{HEAD}imports: [{imports}]\ntopology_template:\n{indent(topology.strip(), '  ')}\n"


def read_service(text: str, **others: str) -> Catalogue:
    """Read a repository of one site and one service spec; `others` are files by path."""
    return catalogue_of({"sites/lab.yaml": SITE, SERVICE: text, **others})


def service(text: str, **others: str) -> Service:
    """Compile a service spec that must be valid."""
    found = read_service(text, **others)
    found.raise_if_invalid()
    (only,) = found.services_on("lab")
    return only


def node(nodes: str, name: str, rest: str = "", **others: str) -> Node:
    """Compile node templates that must be valid, and give one of the nodes."""
    return service(service_document(nodes, rest), **others).nodes[name]


def codes(catalogue: Catalogue) -> list[str]:
    """Give the codes of all diagnostics, in order of file and line."""
    return [one.code for one in catalogue.diagnostics]


def faults(text: str, **others: str) -> list[str]:
    """Give what is said about a service spec: `line code`."""
    return [f"{one.line} {one.code}" for one in read_service(text, **others).diagnostics if one.file == SERVICE]


def messages(text: str, **others: str) -> str:
    """Give all messages about a repository with this service spec."""
    return "\n".join(str(one) for one in read_service(text, **others).diagnostics)
