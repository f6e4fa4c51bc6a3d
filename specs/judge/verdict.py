"""Says in the project's words what tosca-parser complains about, and where that most likely is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Struct

from specs.errors import Severity

Pointer: TypeAlias = tuple[str | int, ...]

COMPLAINT = "second-judge"
"""The code of what tosca-parser complains about."""
SILENCE = "second-judge-silent"
"""The code of having no answer from tosca-parser."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What the second judge says of a template; `pointer` leads into the template, as near as its words allow."""

    message: str
    code: str = COMPLAINT
    severity: Severity = Severity.ERROR
    pointer: Pointer = ()


def silence(reason: str) -> Verdict:
    """Say that there is no answer, e.g. because `it ended with KeyError`."""
    message = f"tosca-parser gave no answer: {reason}; the document passed only the project's own checks"
    return Verdict(message=message, code=SILENCE, severity=Severity.WARNING)


def verdicts(complaints: Iterable[tuple[str, str]], template: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """Turn complaints, each the class and text of an exception, into verdicts."""
    texts = [text[1:-1] if kind == _QUOTED_KIND else text for kind, text in complaints]
    names = [_names(text) for text in texts]
    places = _Places(template, {name for found in names for name in found})
    return tuple(
        Verdict(message=f"tosca-parser: {_worded(text)}", pointer=places.of(found))
        for text, found in zip(texts, names, strict=True)
    )


# --- words -----------------------------------------------------------------------------------------

_KINDS = {
    "an integer": "a whole number",
    "a float": "a number",
    "a numeric": "a number",
    "a string": "text",
    "a boolean": "true or false",
    "a map": "a mapping",
    "a valid scalar-unit": "a number with a unit, e.g. 2 GB",
    "a valid range": "a range, e.g. [1, 4]",
}
_WORDS: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(pattern, re.DOTALL), words)
    for pattern, words in (
        (r"(?P<what>.+) is missing required field (?P<name>.+)", r"\g<what> needs \g<name>"),
        (r"(?P<what>.+) contains unknown field (?P<name>.+)\. Refer to .*", r"\g<what> cannot have \g<name>"),
        (r"(?:Node type|Type) '(?P<name>[^']+)' is not a valid type", r"there is no type '\g<name>'"),
        (r"(?P<what>.+) must be of type '(?P<kind>.+)'", r"\g<what> must be a \g<kind>"),
        (
            r"Target member '(?P<name>[^']+)' is not found in node_templates",
            r"there is no node template '\g<name>'",
        ),
        (r"Unknown input '(?P<name>.+)'", r"there is no input '\g<name>'"),
        (
            r"Node template '(?P<name>[^']+)' was not found in '(?P<what>[^']+)'",
            r"'\g<what>' names the node template '\g<name>', which is not there",
        ),
        (r"Node template '(?P<name>[^']+)' was not found.*", r"there is no node template '\g<name>'"),
        (r"The template version '(?P<name>.*)' is invalid.*", r"the version '\g<name>' is not known"),
    )
)
_QUOTED_KIND = "InvalidGroupTargetException"
"""The exception that puts its whole text in quotes."""
_NO_SUCH_VALUE = re.compile(r"'(?P<value>.*)' is not (?P<kind>an? [a-z -]+)", re.DOTALL)
_LONGEST = 300


def _worded(text: str) -> str:
    """Say it as the project does: names in single quotes, one line, no full stop."""
    text = " ".join(text.replace('"', "'").split()).rstrip(".")
    if (match := _NO_SUCH_VALUE.fullmatch(text)) and match["kind"] in _KINDS:
        return f"'{match['value'][:_LONGEST]}' must be {_KINDS[match['kind']]}"
    for pattern, words in _WORDS:
        if match := pattern.fullmatch(text):
            return match.expand(words)[:_LONGEST]
    return f"{text[:1].lower()}{text[1:_LONGEST]}" if text[:2].istitle() else text[:_LONGEST]


# --- places ----------------------------------------------------------------------------------------

_QUOTED = re.compile(r'"([^"]+)"')
_LISTED = re.compile(r"'([^']+)'")
_ENTITIES = frozenset(
    {"node_templates", "groups", "relationship_templates"}
    | {f"{kind}_types" for kind in ("node", "capability", "relationship", "data", "policy", "group")}
)
_MOST_PLACES = 500


def _names(text: str) -> list[str]:
    """Give what stands in quotes, lists taken apart, in order."""
    found: list[str] = []
    for quoted in _QUOTED.findall(text):
        found.extend(_LISTED.findall(quoted) if quoted.startswith("[") else [quoted])
    return found


class _Places:
    """Where the given names stand in a template, as keys or as values; the template is walked once."""

    def __init__(self, template: Mapping[str, Any], names: set[str]) -> None:
        self._found: dict[str, list[Pointer]] = {name: [] for name in names}
        for name, pointer in _occurrences(template) if names else ():
            places = self._found.get(name)
            if places is not None and len(places) < _MOST_PLACES:
                places.append(pointer)

    def of(self, names: Sequence[str]) -> Pointer:
        """Guess the place: inside of the first template, policy or type that is named, where most names meet."""
        entity = next((place for name in names for place in self._found[name] if _is_entity(place)), ())
        meetings: dict[Pointer, int] = {entity: 0}
        for name in dict.fromkeys(names):
            for place in self._found[name]:
                if place[: len(entity)] == entity:
                    meetings.setdefault(place, len({*place[:-1]} & {*names}))
                    meetings[place] += 1
        return max(meetings, key=lambda place: (meetings[place], -len(place)))


def _is_entity(place: Pointer) -> bool:
    match place:
        case ("topology_template", str() as section, _) | (str() as section, _):
            return section in _ENTITIES
        case ("topology_template", "policies", int(), _):
            return True
    return False


def _occurrences(template: Mapping[str, Any]) -> Iterator[tuple[str, Pointer]]:
    """Walk all keys and scalars, outer ones first."""
    level: list[tuple[Any, Pointer]] = [(template, ())]
    while level:
        deeper: list[tuple[Any, Pointer]] = []
        for item, place in level:
            match item:
                case dict():
                    yield from ((key, (*place, key)) for key in item)
                    deeper.extend((inner, (*place, key)) for key, inner in item.items())
                case list():
                    deeper.extend((inner, (*place, index)) for index, inner in enumerate(item))
                case None:
                    pass
                case _:
                    yield str(item), place
        level = deeper
