"""What the catalogue keeps of each document, and how it knows that what it kept is still true.

An entry is plain JSON data. It stands under a key made of the document's path and content and of this program; it
lists the content of every other file it depends on, and a digest of the sites and inputs it was compiled for.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import translate
from functools import cache
from hashlib import blake2b
from pathlib import Path

from msgspec import Struct

from specs.codec import Json, decode_selector
from specs.model import Site, SiteSelector
from specs.tosca import library
from specs.tree import Tree

_YAML = re.compile(r"(?!reconciler\.ya?ml$).*\.ya?ml")
_INPUTS = re.compile(r"inputs/([^/]+)\.ya?ml")


def candidates(tree: Tree, include: Iterable[str] | None) -> Sequence[str]:
    """Give the paths that may hold documents; in `include`, `*` also crosses folders."""
    wanted = _YAML if include is None else _pattern(tuple(include))
    return [path for path in tree.files if wanted.fullmatch(path)]


@cache
def _pattern(include: tuple[str, ...]) -> re.Pattern[str]:
    """Put YAML and all of `include` into one pattern; looking at thousands of names one by one adds up."""
    return re.compile(rf"(?={_YAML.pattern}\Z)(?:{'|'.join(map(translate, include))})")


def site_of_inputs(path: str) -> str:
    """Give the site whose inputs a file holds; empty if it is no such file."""
    match = _INPUTS.fullmatch(path)
    return match[1] if match else ""


def key(path: str, content_id: str) -> str:
    """Give the key a document's entry is kept under."""
    return "spec-" + _digest(program(), path, content_id)


@cache
def program() -> str:
    """Give the digest of all that decides what a document compiles to: this code, its types, the second judge."""
    sources = sorted(Path(__file__).parents[1].rglob("*.py"))
    contents = [blake2b(path.read_bytes(), digest_size=16).hexdigest() for path in sources]
    return _digest(*contents, *library.contents().values(), *_installed("tosca_parser"), *_installed("PyYAML"))


def _installed(distribution: str) -> Sequence[str]:
    """Give a distribution's version by its folder: reading its metadata would take longer than all else."""
    return sorted(found.name for folder in sys.path for found in Path(folder).glob(f"{distribution}-*.dist-info"))


def _digest(*parts: str) -> str:
    return blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def is_current(entry: Json, tree: Tree) -> bool:
    """Tell whether every file an entry depends on is still what it was."""
    return all(tree.files.get(path, "") == content_id for path, content_id in entry["depends"].items())


class Surroundings(Struct, frozen=True):
    """What all services of a commit are compiled in."""

    sites: Mapping[str, Site]
    inputs: Mapping[str, Mapping[str, Json]]
    """Site → what its inputs file says."""
    input_files: Mapping[str, str]
    """Site → its inputs file."""
    substitutes: Mapping[str, Sequence[str]]
    """Node type → the templates that stand in for it, sorted."""

    def selected(self, entry: Json) -> tuple[str, ...]:
        """Give the sites a service runs on; the only one there is where it does not say."""
        if not entry["alone"]:
            return ()
        selector = decode_selector(entry["sites"])
        if selector == SiteSelector():
            return tuple(self.sites) if len(self.sites) == 1 else ()
        return tuple(name for name, site in self.sites.items() if selector.selects(site))

    def given(self, entry: Json, site: str) -> Mapping[str, Json]:
        """Give the inputs a site has for a service: its own over those for all that declare them."""
        written = self.inputs.get(site, {})
        for_all = written.get("all")
        own = written.get(entry["name"])
        found = {}
        if isinstance(for_all, dict):
            found.update({name: for_all[name] for name in entry["inputs"] if name in for_all})
        if isinstance(own, dict):
            found.update(own)
        return found

    def digest(self, entry: Json) -> str:
        """Give the digest of all that a service's compilation depends on beside files."""
        sites = {
            name: [sorted(self.sites[name].clusters), self.given(entry, name), self.input_files.get(name, "")]
            for name in self.selected(entry)
        }
        stand_ins = {used: self.substitutes[used] for used in entry["uses"] if used in self.substitutes}
        return _digest(json.dumps([sites, stand_ins], sort_keys=True))
