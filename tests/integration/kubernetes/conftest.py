from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testbed.kubernetes.control_plane import ControlPlane, running_control_plane

pytest.register_assert_rewrite("tests.contract.provider_suite")


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane for the whole session."""
    with running_control_plane(tmp_path_factory.mktemp("kubernetes")) as plane:
        yield plane
