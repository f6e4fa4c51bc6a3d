from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from providers.base import Finding, Health, Mark, Present
from reconciler.difference import Difference, Gone, Missing, Recognised, Surplus, Unseen
from reconciler.records import Records
from reconciler.status import SiteStatus, Sync, blind_status, site_status, worst
from specs.desired import Desired
from specs.errors import Severity
from specs.model import Address, Resource
from state.store import Item, Lock, Run, Suspension
from tests.support.world import place, resource, wanted

NOW = datetime(2026, 1, 2, tzinfo=UTC)
NONE = Records()
A, B = resource("a"), resource("b", service="tour")


def there(of: Resource, health: Health = Health.HEALTHY, reason: str = "") -> Present:
    mark = Mark("r", of.address, of.digest)
    return Present(provider_id="1", mark=mark, properties={}, health=health, reason=reason, seen="s")


def status(
    desired: Desired,
    *differences: Difference,
    present: dict[Address, Present] | None = None,
    records: Records = NONE,
) -> SiteStatus:
    seen = {address: there(wanted) for address, wanted in desired.resources.items()} if present is None else present
    return site_status(desired, ["shop", "tour"], differences, seen, records)


def test_a_site_as_it_should_be_is_well() -> None:
    found = status(wanted(A, B))

    assert found.is_well
    assert [(service.name, service.resources) for service in found.services] == [("shop", 1), ("tour", 1)]


def test_a_service_without_resources_is_well() -> None:
    assert status(wanted()).is_well


def test_what_is_missing_is_out_of_sync() -> None:
    found = status(wanted(A, B), Missing(resource=A, item=None), present={B.address: there(B)})

    shop, tour = found.services
    assert (shop.sync, shop.health) == (Sync.OUT_OF_SYNC, Health.MISSING)
    assert tour.is_well
    assert (found.sync, found.health) == (Sync.OUT_OF_SYNC, Health.MISSING)


def test_what_could_not_be_seen_is_unknown_and_not_missing() -> None:
    found = status(wanted(A, B), Unseen(address=A.address, reason="down"), present={B.address: there(B)})

    assert (found.sync, found.health) == (Sync.UNKNOWN, Health.UNKNOWN)


def test_the_worst_resource_makes_the_health_and_says_why() -> None:
    found = status(wanted(A, B), present={A.address: there(A, Health.DEGRADED, "no disk"), B.address: there(B)})

    assert (found.sync, found.health) == (Sync.SYNCED, Health.DEGRADED)
    assert found.services[0].reasons == (f"{A.address}: no disk",)


def test_remarks_of_providers_are_kept_and_spoil_nothing() -> None:
    remark = Finding(Severity.WARNING, "link north was not found")
    desired = wanted(A)
    found = site_status(desired, ["shop"], (), {A.address: there(A)}, NONE, [remark])

    assert found.findings == (remark,)
    assert found.is_well


def test_records_alone_are_no_difference() -> None:
    item = Item(address=place("x"), binding="m", provider_id="1", digest="", properties={}, updated_at=NOW)

    assert status(wanted(A), Recognised(resource=A, present=there(A)), Gone(item)).is_well


def test_what_git_forgot_is_shown_under_its_old_name() -> None:
    old = there(resource("x", service="old"))
    found = status(wanted(A), Surplus(present=old, item=None, binding="memory"))

    assert [(service.name, service.sync) for service in found.services if not service.is_well] == [
        ("old", Sync.OUT_OF_SYNC)
    ]


def test_a_part_of_a_site_is_judged_alone() -> None:
    found = status(wanted(A, B), Missing(resource=A, item=None), present={B.address: there(B)})

    assert found.with_services(found.services[1:]).is_well


def test_a_site_has_its_own_records_only() -> None:
    run = Run(id="1", site="bristol", commit="c", cause="apply", started_at=NOW)
    lock = Lock(site="bristol", owner="a", host="h", pid=1, born="", since=NOW)
    suspension = Suspension(site="bristol", service="shop", owner="a", since=NOW)
    records = Records(
        runs=(replace(run, site="other"), run), locks=(replace(lock, site="other"), lock), suspensions=(suspension,)
    )
    found = status(wanted(A), records=records)

    assert (found.records.runs, found.records.locks) == ((run,), (lock,))
    assert found.services[0].suspension == suspension
    assert found.records.suspension("bristol") is None


def test_a_site_that_could_not_be_looked_at_is_unknown() -> None:
    found = blind_status("bristol", "c1", "it has no room", Records())

    assert (found.sync, found.health, found.problem) == (Sync.UNKNOWN, Health.UNKNOWN, "it has no room")


def test_health_is_that_of_the_worst() -> None:
    assert worst([]) is Health.HEALTHY
    assert worst([Health.HEALTHY, Health.PROGRESSING, Health.SUSPENDED]) is Health.PROGRESSING
    assert worst(Health) is Health.UNKNOWN
