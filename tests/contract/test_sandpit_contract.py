"""The sandpit keeps the contract of every provider."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from providers.base import Context, Provider
from providers.sandpit import faults, sabotage
from providers.sandpit.database import Database, world_file
from providers.sandpit.faults import Fault, Trouble
from providers.sandpit.provider import Sandpit
from specs.model import Deployment, Resource
from specs.values import Value
from tests.contract.provider_suite import ProviderCase, ProviderSuite
from tests.support.chains import SHOP, TOUR, bristol, deployed, shop, tour

CHANGES: dict[str, tuple[str, Value]] = {
    "server": ("memory_mb", 3000),
    "workload": ("replicas", 3),
    "path": ("links", ["a"]),
    "network": ("mtu", 9000),
}


class SandpitCase:
    """An emulated site in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = bristol()
        self.deployments: tuple[Deployment, ...] = (
            deployed(tour(), TOUR, self.site),
            deployed(shop(), SHOP, self.site),
        )
        self.database = Database(world_file(folder, "bristol"))

    def connect(self) -> Provider:
        return Sandpit(Context(binding=self.site.bindings["city"], site=self.site, state_dir=self.folder))

    def changed(self, resource: Resource) -> Resource | None:
        if resource.kind not in CHANGES:
            return None
        name, value = CHANGES[resource.kind]
        return replace(resource, properties={**resource.properties, name: value})

    def exists(self, provider_id: str) -> bool:
        return any(row["id"] == provider_id for row in sabotage.listed(self.database))

    def add_foreign(self, resource: Resource) -> str:
        properties = {key: value for key, value in resource.properties.items() if key != "ip_address"}
        made = sabotage.added(self.database, "city", resource.kind, properties)
        return str(made["id"])

    def unmark(self, provider_id: str) -> None:
        sabotage.unmarked(self.database, provider_id)

    def time_out(self, verb: str, kind: str) -> None:
        faults.add(self.database, Fault(call=f"{verb}:{kind}", trouble=Trouble.TIMEOUT))

    def refuse(self, verb: str, kind: str) -> None:
        faults.add(self.database, Fault(call=f"{verb}:{kind}", trouble=Trouble.REFUSE))

    def lose_answer(self, verb: str, kind: str) -> None:
        faults.add(self.database, Fault(call=f"{verb}:{kind}", trouble=Trouble.LOSE, times=1))

    def cut_short(self, kind: str) -> None:
        faults.add(self.database, Fault(call=f"list:{kind}", trouble=Trouble.PARTIAL))

    def take_down(self) -> None:
        faults.take_down(self.database, "*")

    def mend(self) -> None:
        faults.clear(self.database)
        faults.bring_up(self.database)


class TestSandpit(ProviderSuite):
    @pytest.fixture
    def case(self, tmp_path: Path) -> Iterator[ProviderCase]:
        case = SandpitCase(tmp_path)
        yield case
        case.database.close()
