"""The fabric keeps the contract of every provider, on Open vSwitch under Ryu."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from providers.base import Provider
from providers.sdn.http import Web
from providers.sdn.ryu import Ryu
from specs.model import Address, Resource
from tests.contract.provider_suite import ProviderCase, ProviderSuite, build, secrets_in
from tests.testbed.sdn.case import FabricCase
from tests.testbed.sdn.fabric import RealFabric
from tests.testbed.sdn.sites import with_detours


class TestSdnOnRyu(ProviderSuite):
    @pytest.fixture
    def case(self, clean_ring: RealFabric, tmp_path: Path) -> Iterator[ProviderCase]:
        with closing(Ryu(Web(clean_ring.url))) as controller:
            yield FabricCase(with_detours(clean_ring.site), controller, tmp_path)

    def test_secrets_are_never_given_back(self, provider: Provider, wanted: dict[Address, Resource]) -> None:
        build(provider, wanted)

        # The functions hold secrets in their environment; the fabric is told of none.
        assert not any(secrets_in(resource.properties) for resource in wanted.values())
