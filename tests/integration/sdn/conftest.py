from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testbed.sdn.fabric import RealFabric, running_fabric
from tests.testbed.sdn.sites import ring

pytest.register_assert_rewrite("tests.contract.provider_suite")


@pytest.fixture(scope="session")
def ring_fabric() -> Iterator[RealFabric]:
    """Three switches in a ring, four hosts and Ryu, for the whole session."""
    with running_fabric(ring(full_look=0)) as fabric:
        yield fabric


@pytest.fixture
def clean_ring(ring_fabric: RealFabric) -> RealFabric:
    """The ring, without any rule of ours."""
    ring_fabric.wipe()
    return ring_fabric
