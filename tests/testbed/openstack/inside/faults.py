"""What a test wants to go wrong: a JSON file, read at every use.

`destroy_held` (servers are taken down once it is false again); `destroy_fail_names`, `spawn_fail_hosts`,
`spawn_fail_names`, `spawn_abort_names`, `bind_fail_hosts` (regular expressions for whole names).
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

_PATH = Path(os.environ.get("TESTBED_FAULTS", "faults.json"))


def get(key: str, default: Any = None) -> Any:
    """Give what is said about a key."""
    try:
        return json.loads(_PATH.read_text()).get(key, default)
    except (OSError, ValueError):  # nothing is said, or it is being written
        return default


def matches(key: str, value: str | None) -> bool:
    """Tell whether one of the expressions of a key means a name."""
    return any(re.fullmatch(pattern, value or "") for pattern in get(key, []))
