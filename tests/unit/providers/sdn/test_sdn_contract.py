"""The fabric keeps the contract of every provider, on switches in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from providers.base import Provider
from providers.sdn.topology import read_fabric
from specs.model import Address, Resource
from tests.contract.provider_suite import ProviderCase, ProviderSuite, build, secrets_in
from tests.testbed.sdn.case import FabricCase
from tests.testbed.sdn.simulator import Simulator
from tests.testbed.sdn.sites import ring


class TestSdn(ProviderSuite):
    @pytest.fixture
    def case(self, tmp_path: Path) -> ProviderCase:
        site = ring(full_look=0, fast_failover=True)
        return FabricCase(site, Simulator(read_fabric(site)), tmp_path)

    def test_secrets_are_never_given_back(self, provider: Provider, wanted: dict[Address, Resource]) -> None:
        build(provider, wanted)

        # The functions hold secrets in their environment; the fabric is told of none.
        assert not any(secrets_in(resource.properties) for resource in wanted.values())
