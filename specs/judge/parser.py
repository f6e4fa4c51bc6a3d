"""The home of tosca-parser: runs it on one template at a time, with its global state under control.

tosca-parser keeps built-in types and collected errors in class attributes, changes the first while
it reads and lets raw exceptions through. Here every template meets the types as they were at the
start. Not for threads; it belongs into a process that may be killed.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping
from typing import Any, NamedTuple

import toscaparser.tosca_template
import yaml
from toscaparser.common.exception import ExceptionCollector, ValidationError
from toscaparser.elements.entity_type import EntityType
from toscaparser.extensions.exttools import ExtTools
from toscaparser.tosca_template import ToscaTemplate
from toscaparser.unsupportedtype import UnsupportedType
from toscaparser.utils.yamlparser import load_yaml, yaml_loader

from specs.judge.dialect import prepare
from specs.judge.speed import quicken
from specs.judge.types import Definitions, Types
from specs.tosca import library

MAX_COMPLAINTS = 50
"""After how many complaints a template is bad enough."""
_NFV_VERSION = "tosca_simple_profile_for_nfv_1_0_0"


class Complaint(NamedTuple):
    """What tosca-parser found wrong: the class of its exception and its words."""

    kind: str
    text: str


class Outcome(NamedTuple):
    """Every complaint, and the exception that ended the reading early, if one did."""

    complaints: tuple[Complaint, ...]
    crash: str = ""


class _Enough(Exception):  # noqa: N818 - not an error of ours
    """There are complaints enough."""


class Parser:
    """tosca-parser, made ready once."""

    def __init__(self) -> None:
        logging.disable(logging.CRITICAL)
        self._collected: dict[tuple[str, str], None] = {}
        ExceptionCollector.appendException = staticmethod(self._collect)
        toscaparser.tosca_template.update_definitions = _keep_definitions
        UnsupportedType.un_supported_types = []
        self._forget = quicken()
        plain, nfv = _known_types()
        self._known = {_NFV_VERSION: nfv}
        self._plain = plain
        self._pickled = {_NFV_VERSION: pickle.dumps(nfv)}
        self._pickled_plain = pickle.dumps(plain)

    def read(self, template: Definitions) -> Outcome:
        """Read a merged template without imports; never raises."""
        version = str(template.get("tosca_definitions_version"))
        self._collected.clear()
        self._forget()
        EntityType.TOSCA_DEF = pickle.loads(self._pickled.get(version, self._pickled_plain))  # noqa: S301 - our own
        crash = ""
        try:
            ToscaTemplate(yaml_dict_tpl=prepare(template, self._known.get(version, self._plain)))
        except (ValidationError, _Enough):
            pass
        except Exception as error:  # whatever it stumbles over says nothing about the document
            crash = type(error).__name__
        finally:
            ExceptionCollector.stop()
        return Outcome(tuple(Complaint(kind, text) for kind, text in self._collected), crash)

    def _collect(self, exception: Exception) -> None:
        """Stand in for tosca-parser's collector, which formats a stack and compares texts for each complaint."""
        if not ExceptionCollector.collecting:
            raise exception
        text = str(exception.args[0]) if isinstance(exception, KeyError) and exception.args else str(exception)
        self._collected.setdefault((type(exception).__name__, text))
        ExceptionCollector.exceptions[:] = [exception]
        if len(self._collected) >= MAX_COMPLAINTS:
            raise _Enough


def _keep_definitions(version: str) -> None:
    """Stand in for the function that mixes the types of a profile into those of all later documents."""


def _known_types() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Give the built-in types without and with the profile for NFV: tosca-parser's, then the project's over them."""
    theirs = pickle.loads(pickle.dumps(EntityType.TOSCA_DEF))  # noqa: S301 - our own
    plain = {**theirs, **_shipped(library.NORMATIVE, theirs)}
    profile = load_yaml(ExtTools().get_defs_file(_NFV_VERSION))
    nfv = {**theirs, **_flat(profile), **plain}
    return plain, {**nfv, **_shipped(library.NFV, nfv)}


def _shipped(path: str, known: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read a shipped file as tosca-parser would: here is no use for places and faults, and a reader less to import."""
    return _flat(Types(yaml.load(library.read(path), Loader=yaml_loader), known).prepared())  # noqa: S506 - a safe loader


def _flat(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Put the types of all sections side by side, as tosca-parser keeps them."""
    return {
        name: definition
        for section in EntityType.TOSCA_DEF_SECTIONS
        for name, definition in (sections.get(section) or {}).items()
    }
