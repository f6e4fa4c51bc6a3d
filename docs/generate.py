"""Writes `docs/reference/` from the code: commands, settings, providers, types and diagnostics.

    python -m docs.generate

A test compares what this gives with what is committed, so nothing can be added without its line in the reference.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

from msgspec import NODEFAULT, Struct

from providers.base import Provider
from reconciler import settings
from reconciler.cli import exits
from reconciler.cli import parser as command_line
from specs.yaml.document import load

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
NOTE = "<!-- Written by docs/generate.py from the code; change it there and run: make docs -->"
CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@cache
def pages() -> dict[str, str]:
    """Give every page by its name."""
    made = {
        "commands.md": commands(),
        "settings.md": all_settings(),
        "providers.md": providers(),
        "types.md": types(),
        "diagnostics.md": diagnostics(),
    }
    titles = {name: text.partition("\n")[0].removeprefix("# ") for name, text in made.items()}
    index = ["# Reference", "", *(f"- [{title}]({name})" for name, title in titles.items())]
    made["README.md"] = "\n".join(index) + "\n"
    return {name: f"{NOTE}\n\n{text}" for name, text in made.items()}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write a table; nothing for one without rows."""
    body = ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
    return [f"| {' | '.join(head)} |", "|" + " --- |" * len(head), *body, ""] if body else []


def words(names: Iterable[str]) -> str:
    """Write names as code, in order."""
    return ", ".join(f"`{name}`" for name in sorted(names))


# --- commands --------------------------------------------------------------------------------------


def commands() -> str:
    """Describe every command and option from the parser itself."""
    parser = command_line.build()
    lines = ["# Commands", "", f"{parser.description}", "", "```", _usage(parser), "```", "", *_arguments(parser)]
    lines += ["These may stand before or after the command.", "", *_exit_codes()]
    for names, command in _commands(parser):
        lines += [f"## `{' '.join(names)}`", "", f"{command.description}", "", "```", _usage(command), "```", ""]
        lines += _arguments(command)
    return "\n".join(lines).rstrip() + "\n"


def _exit_codes() -> list[str]:
    _, documented = _docstrings(Path(exits.__file__))["Exit"]
    rows = [
        (f"`{code.value}`", documented.get(code.name, code.name.lower().capitalize())) for code in sorted(exits.Exit)
    ]
    return ["## Exit codes", "", *table(("code", "meaning"), rows)]


def _commands(
    parser: argparse.ArgumentParser, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield (*above, name), command
                yield from _commands(command, (*above, name))


def _usage(parser: argparse.ArgumentParser) -> str:
    return " ".join(parser.format_usage().removeprefix("usage: ").split())


def _arguments(parser: argparse.ArgumentParser) -> list[str]:
    rows = []
    for action in parser._actions:
        if (
            not isinstance(action, argparse._SubParsersAction | argparse._HelpAction)
            and action.help != argparse.SUPPRESS
        ):
            choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
            metavar = action.metavar if isinstance(action.metavar, str) else choices
            taken = f" {metavar}" if action.nargs != 0 else ""
            names = ", ".join(f"`{name}{taken}`" for name in action.option_strings) or f"`{metavar}`"
            rows.append((names, action.help or ""))
    return table(("argument", "meaning"), rows)


# --- settings --------------------------------------------------------------------------------------


def all_settings() -> str:
    """Describe every field of every settings class."""
    lines = ["# Settings", "", "What `reconciler.yaml` in the root of the spec repository may say.", ""]
    for name, about, rows in _described(settings):
        lines += [f"## {name}", "", about, "", *rows]
    return "\n".join(lines).rstrip() + "\n"


def _described(module: ModuleType) -> Iterator[tuple[str, str, list[str]]]:
    """Give name, meaning and table of fields of every class of settings, the outermost first."""
    for name, (about, documented) in reversed(_docstrings(Path(str(module.__file__))).items()):
        rows = [
            (f"`{field}`", _type(annotation), _default(default), documented.get(field, ""))
            for field, annotation, default in _fields(getattr(module, name))
        ]
        yield name, about, table(("key", "type", "default", "meaning"), rows)


def _fields(kind: type[Struct]) -> Iterator[tuple[str, str, object]]:
    """Give name, type as it is written and default of every field."""
    names, defaults = kind.__struct_fields__, kind.__struct_defaults__
    needed = (NODEFAULT,) * (len(names) - len(defaults))
    for name, default in zip(names, (*needed, *defaults), strict=True):
        yield name, kind.__annotations__[name], default


def _docstrings(module: Path) -> dict[str, tuple[str, dict[str, str]]]:
    """Read the docstrings of classes and of their fields, which Python itself does not keep."""
    found = {}
    for node in ast.parse(module.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef):
            documented = {}
            for field, after in pairwise(node.body):
                match field, after:
                    case (
                        ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                        ast.Expr(value=ast.Constant(value=str() as text)),
                    ):
                        documented[name] = " ".join(text.split())
            found[node.name] = (" ".join((ast.get_docstring(node) or "").split()), documented)
    return found


def _type(annotation: str) -> str:
    text = annotation.removesuffix(" | None").replace("timedelta", "duration")
    text = re.sub(r"tuple\[(.*), \.\.\.\]", r"list of \1", re.sub(r"Mapping\[str, (.*)\]", r"mapping of \1", text))
    return re.sub(r"\bint\b", "whole number", re.sub(r"\bfloat\b", "number", re.sub(r"\bstr\b", "text", text)))


def _default(value: Any) -> str:
    match value.factory() if hasattr(value, "factory") else value:
        case timedelta():
            return f"`{int(value.total_seconds())}s`"
        case bool():
            return f"`{str(value).lower()}`"
        case None | "" | () | {}:
            return ""
        case int() | float() | str():
            return f"`{value}`"
        case tuple():
            return ", ".join(f"`{item}`" for item in value)
    return "required" if value is NODEFAULT else ""


# --- providers -------------------------------------------------------------------------------------

VARIABLE = re.compile(r"\bRECONCILER_[A-Z_]*[A-Z]\b")


def providers() -> str:
    """Describe every installed provider of this distribution and its kinds."""
    lines = ["# Providers", "", "Each is named by `plugin` in a site spec.", ""]
    for name, plugin in sorted(_plugins()):
        about = " ".join((plugin.__doc__ or "").split())
        lines += [f"## `{name}`", "", about, "", f"Roles: {words(plugin.roles)}", ""]
        rows = [
            (
                f"`{kind.name}`",
                kind.description,
                words(kind.replaced_by),
                words(kind.attributes),
                words(kind.stands_on),
                f"{int(kind.deadline.total_seconds())} s",
            )
            for kind in plugin.kinds.values()
        ]
        head = ("kind", "what it is", "replaced when these change", "known after creation", "stands on", "deadline")
        lines += table(head, rows)
        package = plugin.__module__.rpartition(".")[0]
        if variables := _variables(ROOT / package.replace(".", "/")):
            lines += [f"Environment: {words(variables)}", ""]
        if find_spec(f"{package}.settings"):
            for _, about, described in _described(import_module(f"{package}.settings")):
                lines += [f"`settings` of the node: {about}", "", *described]
    return "\n".join(lines).rstrip() + "\n"


def _variables(package: Path) -> set[str]:
    """Find the environment variables a provider reads."""
    return {name for file in package.glob("*.py") for name in VARIABLE.findall(file.read_text("utf-8"))}


def _plugins() -> Iterator[tuple[str, type[Provider]]]:
    """Load what `pyproject.toml` declares: what happens to be installed may be older."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    for name, target in declared["project"]["entry-points"]["reconciler.providers"].items():
        module, _, attribute = target.partition(":")
        yield name, getattr(import_module(module), attribute)


# --- types -----------------------------------------------------------------------------------------

SECTIONS = ("node_types", "policy_types", "capability_types", "relationship_types", "data_types", "group_types")


def types() -> str:
    """Describe the types that are shipped, file by file."""
    lines = ["# Types", "", "Imported by the name of their file; `tosca.yaml` is always there.", ""]
    for file in sorted((ROOT / "specs" / "types").glob("*.yaml")):
        document, faults = load(file.name, file.read_bytes())
        if document is None or faults:
            raise ValueError(f"{file} cannot be read: {faults}")
        lines += [f"## `{file.name}`", "", *_sections(document.data)]
    return "\n".join(lines).rstrip() + "\n"


def _sections(data: Any) -> Iterator[str]:
    for section in SECTIONS:
        for name, definition in (data.get(section) or {}).items():
            yield f"### `{name}`"
            yield ""
            parent = definition.get("derived_from")
            about = " ".join(definition.get("description", "").split())
            yield f"{about}{'. ' if about else ''}{f'Derived from `{parent}`' if parent else 'A root type'}."
            yield ""
            yield from table(("property", "type", "", "constraints"), _properties(definition))
            if requirements := definition.get("requirements"):
                yield from table(("requirement", "of"), _requirements(requirements))


def _properties(definition: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, about in (definition.get("properties") or {}).items():
        of = about.get("entry_schema")
        kind = f"{about['type']} of {of['type'] if isinstance(of, dict) else of}" if of else about["type"]
        default = f"default `{about['default']}`" if "default" in about else ""
        required = "" if about.get("required") is False or default else "required"
        limits = "; ".join(
            f"`{rule}: {limit}`" for item in about.get("constraints", ()) for rule, limit in item.items()
        )
        yield f"`{name}`", f"`{kind}`", default or required, limits


def _requirements(requirements: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for item in requirements:
        for name, about in item.items():
            yield f"`{name}`", words(str(about[key]) for key in ("node", "capability") if key in about)


# --- diagnostics -----------------------------------------------------------------------------------

SEVERITIES = frozenset({"error", "warning", "hint"})
DIAGNOSING = re.compile(r"(error|warning|hint|note|stop|report|fault|diagnostic|problem)$", re.IGNORECASE)
"""What calls are named that note a diagnostic."""


def diagnostics() -> str:
    """List every code a diagnostic of a document can carry, found where it is raised."""
    found: dict[str, dict[str, set[str]]] = {}
    for text in _modules_that_diagnose():
        for code, severity, message in _raised(ast.parse(text)):
            messages = found.setdefault(code, {"severities": set(), "messages": set()})
            messages["severities"] |= {severity} if severity else set()
            messages["messages"] |= {message} if message else set()
    lines = [
        "# Diagnostics",
        "",
        "What `validate` says of a document: `file:line:column: severity: message [code]`.",
        "Only an error makes it invalid.",
        "",
    ]
    for code, about in sorted(found.items()):
        lines += [f"## `{code}`", ""]
        lines += [f"Severity: {', '.join(sorted(about['severities']))}", ""] if about["severities"] else []
        lines += [*(f"- {message}" for message in sorted(about["messages"])), ""]
    return "\n".join(lines).rstrip() + "\n"


def _modules_that_diagnose() -> Iterator[str]:
    for package in ("specs", "providers", "reconciler"):
        for file in sorted((ROOT / package).rglob("*.py")):
            text = file.read_text("utf-8")
            if re.search(r"\b(Cursor|Diagnostic|Faults?)\b", text):
                yield text


def _raised(tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Walk the calls that carry a code followed by a message, written there or worked out in the lines before."""
    written: dict[str, ast.expr] = {}
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.Assign | ast.Call))
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                written[name] = value
            case ast.Call():
                yield from _codes(node, written)


def _codes(call: ast.Call, written: Mapping[str, ast.expr]) -> Iterator[tuple[str, str, str]]:
    texts = [*call.args, *(word.value for word in call.keywords)]
    for code, said in pairwise(texts):
        message = written.get(said.id, said) if isinstance(said, ast.Name) else said
        match code:
            case ast.Constant(value=str() as text) if CODE.fullmatch(text) and (
                _is_message(message) or ("-" in text and DIAGNOSING.search(ast.unparse(call.func)))
            ):
                yield text, _severity(call), _template(message)


def _is_message(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
    )


def _severity(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute) and call.func.attr in SEVERITIES:
        return call.func.attr
    for argument in call.args:
        if isinstance(argument, ast.Attribute) and argument.attr.lower() in SEVERITIES:
            return argument.attr.lower()
    return ""


def _template(message: ast.expr) -> str:
    """Write a message with `…` for what is filled in."""
    match message:
        case ast.Constant(value=str() as text):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts)
    return ""


def main() -> int:
    """Write the pages and drop those that are no longer made."""
    REFERENCE.mkdir(parents=True, exist_ok=True)
    made = pages()
    for old in REFERENCE.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
