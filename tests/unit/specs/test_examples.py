from __future__ import annotations

import pytest

from policies.placement import capacity_findings, place
from specs.model import LifecycleState
from tests.support.spec_files import ROOT, catalogue_of, folder

EXAMPLES = ROOT / "examples"


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()))
def test_every_example_is_valid_and_fits_its_sites(name: str) -> None:
    found = catalogue_of(folder(EXAMPLES / name))

    assert found.diagnostics == ()
    for site in found.sites.values():
        deployments = [place(site, service) for service in found.services_on(site.name)]
        assert deployments
        assert capacity_findings(site, deployments) == ()


def test_the_flame_example_is_a_city_with_a_chain_and_its_alerts() -> None:
    found = catalogue_of(folder(EXAMPLES / "flame"))

    (site,) = found.sites.values()
    (service,) = found.services_on(site.name)
    assert (len(site.clusters), len(site.switches)) == (4, 3)
    assert service.states["storage"]["edge-1"] is LifecycleState.PLACED
    assert service.nodes["frontend"].properties["env"] is not None
    assert [alerts.sfci for alerts in found.alerts] == [service.name]


def test_the_classic_example_is_a_web_shop_on_two_servers() -> None:
    found = catalogue_of(folder(EXAMPLES / "classic"))

    (service,) = found.services_on("lab")
    endpoints = {endpoint.subject for endpoint in place(found.sites["lab"], service).endpoints}
    assert {"lab/shop/web-server@dc-1.0", "lab/shop/web-server@dc-1.1", "lab/shop/db-server@dc-1.0"} <= endpoints
    assert {"lab/shop/front", "lab/shop/back"} <= endpoints
    assert service.nodes["db-server"].protect
