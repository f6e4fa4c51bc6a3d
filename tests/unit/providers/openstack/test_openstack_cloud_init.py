"""User data that a shell can run."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from providers.base import PermanentError
from providers.openstack.cloud_init import FOLDER, user_data
from specs.values import Secret, Value

STEPS: Value = [
    {
        "name": "db.create",
        "script": '#!/bin/sh\necho "create $word" >> LOG\n',
        "inputs": {"word": Secret("W", "d", "it's")},
    },
    {"name": "db.start", "script": '#!/bin/sh\necho "start [$word]" >> LOG\n'},
]


def unpacked(text: str) -> dict[str, Any]:
    head, _, body = base64.b64decode(text).decode().partition("\n")
    assert head == "#cloud-config"
    found: dict[str, Any] = json.loads(body)
    return found


def test_nothing_to_do_needs_no_user_data() -> None:
    assert user_data("db", None, None) == ""
    assert user_data("db", {}, []) == ""


def test_scripts_run_in_order_each_with_its_inputs(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for file in unpacked(user_data("db", {"CITY": "Bristol"}, STEPS))["write_files"]:
        content = base64.b64decode(file["content"]).decode().replace(FOLDER, str(tmp_path)).replace("LOG", str(log))
        path = Path(file["path"].replace(FOLDER, str(tmp_path)))
        if path.is_relative_to(tmp_path):
            path.write_text(content)
            path.chmod(int(file["permissions"], 8))
    subprocess.run([str(tmp_path / "run")], check=True)

    assert log.read_text() == "create it's\nstart []\n"


def test_a_failing_script_ends_the_run(tmp_path: Path) -> None:
    steps: Value = [{"name": "a", "script": "#!/bin/sh\nexit 3\n"}, {"name": "b", "script": "#!/bin/sh\ntouch never\n"}]
    for file in unpacked(user_data("db", None, steps))["write_files"]:
        path = Path(file["path"].replace(FOLDER, str(tmp_path)))
        path.write_text(base64.b64decode(file["content"]).decode().replace(FOLDER, str(tmp_path)))
        path.chmod(int(file["permissions"], 8))

    assert subprocess.run([str(tmp_path / "run")], cwd=tmp_path, check=False).returncode == 3
    assert not (tmp_path / "never").exists()


def test_secrets_are_readable_by_root_alone() -> None:
    files = unpacked(user_data("db", {"WORD": Secret("W", "d", "sesame")}, STEPS))["write_files"]

    assert {file["permissions"] for file in files if file["path"].endswith(("environment", ".env"))} == {"0600"}


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(PermanentError, match="bytes of user data"):
        user_data("db", None, [{"name": "a", "script": "x" * 60000}])


def test_an_input_that_is_no_variable_is_refused() -> None:
    with pytest.raises(PermanentError, match="shell variable"):
        user_data("db", {"two words": "x"}, None)
