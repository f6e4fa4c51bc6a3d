"""Policies of others: what they forbid is told before it is tried, and where they allow no trial we still see."""

from __future__ import annotations

from tests.support.kubernetes_services import function
from tests.support.kubernetes_turns import Bench, changes, failures, until, wants
from tests.testbed.kubernetes.admission import EVIL, REASON, admission
from tests.testbed.kubernetes.control_plane import ControlPlane

DEPLOYMENT = "web@edge-1.0:kubernetes.deployment"


def refused(plane: ControlPlane, bench: Bench) -> bool:
    """Tell whether the policy is in force: an API server notices it after a moment."""
    body = f'{{"spec": {{"template": {{"spec": {{"containers": [{{"name": "web", "image": "{EVIL}"}}]}}}}}}}}'
    namespace = f"{bench.site.name}-tour-edge-1"
    try:
        plane.kubectl("-n", namespace, "patch", "deployment", "web", "--dry-run=server", "-p", body)
    except AssertionError as error:
        return REASON in str(error) or "dry run" in str(error)
    return False


def test_what_a_policy_forbids_is_told_at_plan_time(plane: ControlPlane, bench: Bench) -> None:
    bench.turn(wants("tour", function("web"), on=bench.site))
    with admission(plane, bench.site.name):
        until(lambda: refused(plane, bench), "the policy is in force")
        plan = bench.plan(wants("tour", function("web", image_url=f"docker://{EVIL}"), on=bench.site))

    assert REASON in plan.held[0].why
    assert plan.operations == ()


def test_where_no_trial_is_allowed_the_record_of_ownership_tells(plane: ControlPlane, bench: Bench) -> None:
    service = wants("tour", function("web", kubernetes={"pod": {"terminationGracePeriodSeconds": 5}}), on=bench.site)
    bench.turn(service)
    with admission(plane, bench.site.name, dry_runs=False):
        until(lambda: refused(plane, bench), "the policy is in force")
        calm = bench.turn(service)
        nothing = bench.plan(service)
        plane.kubectl("-n", f"{bench.site.name}-tour-edge-1", "scale", "deployment/web", "--replicas=3")
        drift = changes(bench.plan(service))
        healed = bench.turn(service)
        less = wants("tour", function("web"), on=bench.site)
        pending = changes(bench.plan(less))
        changed = bench.turn(less)
        rest = bench.plan(less)

    assert failures(calm) == failures(healed) == failures(changed) == {}
    assert drift == {DEPLOYMENT: {"spec.replicas": (3, 1)}}
    assert {address: set(found) for address, found in pending.items()} == {DEPLOYMENT: {"spec.template"}}
    assert nothing.operations == rest.operations == ()
