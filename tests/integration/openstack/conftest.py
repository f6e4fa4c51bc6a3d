from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from specs.model import Site
from tests.support.kubernetes_turns import PATIENT as HURRIED
from tests.support.kubernetes_turns import Bench, Workbench
from tests.testbed.openstack.cloud import USERS, Cloud, attached_cloud, running_cloud
from tests.testbed.openstack.operator import Operator

pytest.register_assert_rewrite("tests.contract.provider_suite")

PATIENT = replace(HURRIED, health_deadline=timedelta(minutes=3))
"""A server comes up in a second, or in a minute where everything else runs as well."""


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud for the whole session: its own, or one that is served by hand in the folder `OPENSTACK_TESTBED`."""
    if folder := os.environ.get("OPENSTACK_TESTBED"):
        yield attached_cloud(Path(folder))
        return
    with running_cloud(tmp_path_factory.mktemp("openstack")) as cloud:
        yield cloud


@pytest.fixture(scope="session", autouse=True)
def everything_is_gone(cloud: Cloud) -> Iterator[None]:
    """Hold all tests together to what each of them should do: remove what it made."""
    yield
    assert {user: Operator(cloud, user).left() for user in ("admin", *USERS)} == {"admin": [], "alice": [], "bob": []}


@pytest.fixture(scope="session")
def admin(cloud: Cloud) -> Operator:
    """The administrator, past the provider."""
    return Operator(cloud)


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an image of 4 KiB."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "tiny.raw").write_bytes(b"\0" * 4096)
    return folder


@pytest.fixture
def workbench(cloud: Cloud, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    """Makes benches; what they make is for the test to remove."""
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_yaml))
    monkeypatch.setenv("RECONCILER_IMAGES", str(images))
    made: list[Bench] = []

    def make(place: Site) -> Bench:
        made.append(Bench(place, tmp_path / f"{len(made)}", patience=PATIENT))
        return made[-1]

    yield make
    for bench in made:
        bench.close()
