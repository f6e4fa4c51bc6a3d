"""What a hostile case is, and the cases that are written down as text in the files beside this one."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

READ_WHATEVER_IT_HOLDS = "inputs/lab.yaml"
"""Other files are left alone if they do not look like TOSCA."""

GOOD: Mapping[str, bytes] = {
    "sites/lab.yaml": b"""\
tosca_definitions_version: tosca_simple_profile_for_nfv_1_0_0
metadata: {site: lab}
imports: [flame_definitions.yaml]
topology_template:
  node_templates:
    sandpit: {type: eu.ict-flame.nodes.Provider, properties: {plugin: sandpit}}
    dc-1:
      type: eu.ict-flame.nodes.Cluster
      properties: {capacity: {num_cpus: 16, mem_size: 32 GB, disk_size: 500 GB}}
""",
    "specs/good.yaml": b"""\
tosca_definitions_version: tosca_simple_yaml_1_3
metadata: {service: good, sites: [lab]}
topology_template:
  node_templates:
    server: {type: tosca.nodes.Compute, capabilities: {host: {properties: {num_cpus: 1, mem_size: 1 GB}}}}
""",
}
"""The repository that hostile files are laid over."""

SERVICE = """\
tosca_definitions_version: tosca_simple_yaml_1_3
metadata: {service: hostile, sites: [lab]}
"""
FLAME = """\
tosca_definitions_version: tosca_simple_profile_for_nfv_1_0_0
imports: [flame_definitions.yaml]
metadata: {service: hostile, sites: [lab]}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One attack; `files` is a function because some files are large."""

    name: str
    code: str
    """What an error about it must be called."""
    files: Callable[[], Mapping[str, bytes]]


_CASE = re.compile(r"^### (?P<name>[^:\n]+): (?P<code>[a-z-]+)\n", re.MULTILINE)
_FILE = re.compile(r"^=== (?P<path>.+)\n", re.MULTILINE)


def written() -> Iterator[Case]:
    """Give every case of the text files: `### name: code`, and `=== path` before each of its files.

    A line `$SERVICE` or `$FLAME` stands for the head of a service spec. What names no path is read
    whatever it holds.
    """
    for file in sorted(Path(__file__).parent.glob("*.txt")):
        _, *parts = _CASE.split(file.read_text(encoding="utf-8"))
        for name, code, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            yield _written(name, code, text)


def _written(name: str, code: str, text: str) -> Case:
    text = text.removesuffix("\n").replace("$SERVICE\n", SERVICE).replace("$FLAME\n", FLAME)
    first, *rest = _FILE.split(text)
    files = dict(zip(rest[::2], rest[1::2], strict=True)) if rest else {READ_WHATEVER_IT_HOLDS: first}
    return Case(name, code, lambda: {path: content.encode() for path, content in files.items()})
