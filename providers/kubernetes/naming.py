"""Names, labels and annotations: what Kubernetes allows, and the owner mark written with them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from providers.base import Mark
from specs.model import Address, parse_address

Json = dict[str, Any]
"""An object as the API writes it."""

MANAGER = "tosca-reconciler"
"""Our name as field manager."""

DOMAIN = "tosca-reconciler"
MANAGED_BY = "app.kubernetes.io/managed-by"
REPOSITORY = f"{DOMAIN}/repository"
SITE = f"{DOMAIN}/site"
SERVICE = f"{DOMAIN}/service"
NODE = f"{DOMAIN}/node"
CLUSTER = f"{DOMAIN}/cluster"
ADDRESS = f"{DOMAIN}/address"
DIGEST = f"{DOMAIN}/digest"
SECRETS = f"{DOMAIN}/secrets"
"""Annotation of a secret: which secret of the spec stands under each key, with its digest."""
ROLLS_WITH = f"{DOMAIN}/rolls-with"
"""Annotation of a pod template: what the pods must be made anew for."""
ADOPTED = f"{DOMAIN}/adopted"
"""Annotation of what was there before us and is given back instead of deleted."""

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


def dns_label(text: str, limit: int = 63) -> str:
    """Give a name Kubernetes takes; one that had to be changed carries a digest, so that no two become one."""
    if len(text) <= limit and _DNS_LABEL.fullmatch(text):
        return text
    plain = re.sub(r"[^a-z0-9-]+", "-", text.lower()).strip("-")
    return f"{plain[: limit - 7].strip('-')}-{_short(text)}".lstrip("-")


def label_value(text: str) -> str:
    """Give a label's value; one that had to be changed carries a digest."""
    if _LABEL.fullmatch(text):
        return text
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", text)
    return f"{plain[:56].strip('-_.')}-{_short(text)}".lstrip("-")


def selector(repository: str, site: str) -> str:
    """Select what is ours on a site."""
    return f"{REPOSITORY}={label_value(repository)},{SITE}={label_value(site)}"


def mark_labels(mark: Mark) -> dict[str, str]:
    """Give the labels of an owner mark: what lists select by."""
    return {
        MANAGED_BY: MANAGER,
        REPOSITORY: label_value(mark.repository),
        SITE: label_value(parse_address(mark.address).site),
    }


def mark_annotations(mark: Mark) -> dict[str, str]:
    """Give the annotations of an owner mark: what does not fit into a label."""
    return {ADDRESS: mark.address, DIGEST: mark.digest}


def mark_of(metadata: Mapping[str, Any], repository: str) -> Mark | None:
    """Read the owner mark of this repository; `None` for an object without one or with a broken one.

    What a controller made carries copies of labels and annotations, which are no marks.
    """
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if labels.get(REPOSITORY) != label_value(repository) or ADDRESS not in annotations:
        return None
    if any(owner.get("controller") for owner in metadata.get("ownerReferences") or ()):
        return None
    try:
        parse_address(annotations[ADDRESS])
    except ValueError:
        return None
    return Mark(repository, Address(annotations[ADDRESS]), str(annotations.get(DIGEST, "")))


def compact(value: object) -> str:
    """Write JSON in one spelling."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _short(text: str) -> str:
    return blake2b(text.encode(), digest_size=3).hexdigest()
