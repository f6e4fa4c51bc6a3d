"""Writes the user data by which a server sets itself up: files, an environment, and scripts one after another. Pure.

JSON is YAML, so `#cloud-config` needs no writer of YAML. The first script that fails ends the run.
"""

from __future__ import annotations

import json
import re
import shlex
from base64 import b64encode
from collections.abc import Mapping, Sequence

from providers.base import PermanentError
from specs.values import Secret, Value

FOLDER = "/var/lib/tosca"
_LARGEST = 65535
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def user_data(name: str, environment: Value, software: Value) -> str:
    """Give the user data in base64, or nothing if there is nothing to do; `PermanentError` if it is too large."""
    files: list[dict[str, str]] = []
    if isinstance(environment, Mapping) and environment:
        files.append(_file(f"{FOLDER}/environment", _assignments(name, environment), "0600"))
        files.append(
            _file("/etc/profile.d/tosca.sh", f"set -a; [ -r {FOLDER}/environment ] && . {FOLDER}/environment; set +a\n")
        )
    run = ["#!/bin/sh", "set -e"]
    for number, step in enumerate(software if isinstance(software, list) else []):
        stem = f"{FOLDER}/{number:02}-{step['name']}"
        inputs = step.get("inputs") or {}
        files.append(_file(f"{stem}.env", _assignments(name, inputs), "0600"))
        files.append(_file(stem, str(step["script"]), "0755"))
        run.append(f"( set -a; . {stem}.env; set +a; exec {stem} )")
    if not files:
        return ""
    config: dict[str, object] = {"write_files": files}
    if len(run) > 2:
        files.append(_file(f"{FOLDER}/run", "\n".join(run) + "\n", "0755"))
        config["runcmd"] = [[f"{FOLDER}/run"]]
    text = b64encode(b"#cloud-config\n" + json.dumps(config).encode()).decode()
    if len(text) > _LARGEST:
        raise PermanentError(
            f"the scripts of {name} are {len(text)} bytes of user data, {_LARGEST} are allowed;"
            " let them download the rest"
        )
    return text


def _file(path: str, content: str, permissions: str = "0644") -> dict[str, str]:
    return {
        "path": path,
        "content": b64encode(content.encode()).decode(),
        "encoding": "b64",
        "permissions": permissions,
    }


def _assignments(owner: str, values: Mapping[str, Value]) -> str:
    return "".join(f"{checked_name(owner, key)}={shlex.quote(_text(value))}\n" for key, value in sorted(values.items()))


def checked_name(owner: str, key: str) -> str:
    """Give a name that a shell takes as a variable; `PermanentError` for another."""
    if not _NAME.fullmatch(key):
        raise PermanentError(f"{owner}: input {key!r} cannot be a shell variable; use letters, digits and underscores")
    return key


def _text(value: Value) -> str:
    match value:
        case Secret(text=text):
            return text
        case str():
            return value
        case Mapping() | Sequence():
            return json.dumps(value, default=_opened)
        case bool():
            return "true" if value else "false"
        case None:
            return ""
    return str(value)


def _opened(value: object) -> object:
    return value.text if isinstance(value, Secret) else dict(value) if isinstance(value, Mapping) else str(value)
