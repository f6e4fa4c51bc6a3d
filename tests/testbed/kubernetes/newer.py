"""Makes an old API server look newer: `autoscaling/v2` and `policy/v1` are what it has as betas of equal shape."""

from __future__ import annotations

import json
from typing import Any

NEWER = {"autoscaling/v2": "autoscaling/v2beta2", "policy/v1": "policy/v1beta1"}
"""What is pretended → what is there."""


def older_path(path: str) -> tuple[str, str]:
    """Give the path the old server knows, and which newer version was asked for, if any."""
    for new, old in NEWER.items():
        for end in ("/", "?", ""):
            prefix = f"/apis/{new}{end}"
            if path.startswith(prefix) if end else path == prefix:
                return f"/apis/{old}{end}{path.removeprefix(prefix)}", new
    return path, ""


def to_older(body: bytes | None, new: str) -> bytes | None:
    """Rewrite what is sent."""
    return body if body is None or not new else json.dumps(_swapped(json.loads(body), new, NEWER[new])).encode()


def to_newer(body: bytes, path: str, new: str) -> bytes:
    """Rewrite what is answered."""
    if new:
        return json.dumps(_swapped(json.loads(body), NEWER[new], new)).encode()
    if path.partition("?")[0] != "/apis":
        return body
    found = json.loads(body)
    for group in found["groups"]:
        for new_version in NEWER:
            name, _, version = new_version.partition("/")
            if group["name"] == name:
                group["versions"].insert(0, {"groupVersion": new_version, "version": version})
    return json.dumps(found).encode()


def _swapped(value: Any, before: str, after: str) -> Any:
    if isinstance(value, dict):
        versions = ("apiVersion", "groupVersion")
        return {k: after if k in versions and v == before else _swapped(v, before, after) for k, v in value.items()}
    return [_swapped(item, before, after) for item in value] if isinstance(value, list) else value
