"""What a server does not give back, kept in its metadata: what was asked of it and what was chosen for it. Pure.

A few texts of at most 255 characters, compressed; secrets in them are digests. Whoever loses it loses a comparison, not
the server.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping

from providers.answers import parsed
from providers.base import PermanentError
from specs.values import Properties, Value, decode, encode

PREFIX = "tosca."
"""What every key of ours in the metadata of a server begins with."""
_KEY = f"{PREFIX}applied."
_PIECE = 255
_MOST = 100
"""Nova allows 128 items of metadata by default; the rest is for the mark and the spec."""

KEPT = (
    "vcpus", "ram_mib", "disk_gib", "extra_specs", "os", "image_name", "scheduler_hints", "boot_volume_gb", "ports",
    "volumes", "environment", "software",
)  # fmt: skip
"""Properties of servers that cannot be read back as the spec says them."""


Record = tuple[Properties, Mapping[str, str]]
"""What was asked, and what was chosen."""


def pack(properties: Properties, chosen: Mapping[str, str]) -> dict[str, str]:
    """Write what was asked and chosen as metadata; `PermanentError` if it does not fit."""
    kept = {name: properties[name] for name in KEPT if name in properties}
    text = json.dumps({"asked": encode(kept), "chosen": dict(chosen)}, separators=(",", ":"), sort_keys=True)
    packed = b64encode(zlib.compress(text.encode(), 9)).decode()
    pieces = [packed[start : start + _PIECE] for start in range(0, len(packed), _PIECE)]
    if len(pieces) > _MOST:
        raise PermanentError(
            f"{properties.get('name')}: its scripts and inputs are too large to be kept beside the server"
            f" ({len(packed)} of {_MOST * _PIECE} bytes); let the scripts download the rest"
        )
    return {f"{_KEY}{number:02}": piece for number, piece in enumerate(pieces)}


def unpack(metadata: Mapping[str, str]) -> Record:
    """Read what was asked and chosen; nothing if somebody damaged it."""
    packed = "".join(metadata[key] for key in sorted(metadata) if key.startswith(_KEY))
    if not packed:
        return {}, {}
    try:
        unpacker = zlib.decompressobj()
        found = parsed(unpacker.decompress(b64decode(packed), 2**20))
        asked: Value = decode(found["asked"])
        chosen = {str(name): str(value) for name, value in found["chosen"].items()}
    except (NotBase64, zlib.error, ValueError, KeyError, TypeError, AttributeError):
        return {}, {}
    return (asked if isinstance(asked, Mapping) else {}), chosen
