"""The fabric keeps the contract of every provider under the controllers that have a double here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from providers.base import Provider
from providers.sdn.floodlight import Floodlight
from providers.sdn.http import Web
from providers.sdn.opendaylight import OpenDaylight
from providers.sdn.topology import read_fabric
from specs.model import Address, Resource
from tests.contract.provider_suite import ProviderCase, ProviderSuite, build, secrets_in
from tests.testbed.sdn.case import FabricCase
from tests.testbed.sdn.doubles import running
from tests.testbed.sdn.floodlight_double import FloodlightDouble
from tests.testbed.sdn.opendaylight_double import OpenDaylightDouble
from tests.testbed.sdn.simulator import Simulator
from tests.testbed.sdn.sites import ring


class Suite(ProviderSuite):
    def test_secrets_are_never_given_back(self, provider: Provider, wanted: dict[Address, Resource]) -> None:
        build(provider, wanted)

        # The functions hold secrets in their environment; the fabric is told of none.
        assert not any(secrets_in(resource.properties) for resource in wanted.values())


class TestSdnOnFloodlight(Suite):
    @pytest.fixture
    def case(self, tmp_path: Path) -> Iterator[ProviderCase]:
        site = ring(fast_failover=True)
        product = FloodlightDouble(Simulator(read_fabric(site)), lag=1)
        with running(product) as double, closing(Floodlight(Web(double.url))) as controller:
            yield FabricCase(site, controller, tmp_path, limits=False)


class TestSdnOnOpenDaylight(Suite):
    @pytest.fixture
    def case(self, tmp_path: Path) -> Iterator[ProviderCase]:
        site = ring(fast_failover=True)
        product = OpenDaylightDouble(Simulator(read_fabric(site)), lag=1)
        with running(product) as double:
            web = Web(double.url, user="admin", password="admin")
            with closing(OpenDaylight(web)) as controller:
                yield FabricCase(site, controller, tmp_path)
