"""Takes the figures of the Kubernetes provider on a real API server of its own, in this process.

    python -m benchmarks.kubernetes --objects 1000

Needs `tests/testbed/kubernetes/install.sh`, once. Prints seconds on the clock, seconds of our own processor time and
calls; the API server works on the same machine, so that only ratios of one run are worth quoting.
"""

from __future__ import annotations

import argparse
import gc
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from kubernetes import client, config

from providers.kubernetes.connection import Call, Connection
from providers.kubernetes.settings import Access
from reconciler.holds import Limits, Switches
from reconciler.pace import Patience
from specs.model import Binding, Budget, Node, Service, Site
from tests.support.kubernetes_services import function, site
from tests.support.kubernetes_turns import Bench, failures, wants
from tests.testbed.kubernetes.control_plane import ControlPlane, running_control_plane
from tests.testbed.kubernetes.gate import Gate

_PER_NODE = 5
"""Service account, configuration, deployment, network policy and service."""


def main() -> None:
    """Run everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=1000, help="how many objects the service has (default: 1000)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_control_plane(Path(folder) / "plane") as plane:
        measure(plane, Path(folder), max(1, arguments.objects // _PER_NODE))


def measure(plane: ControlPlane, folder: Path, nodes: int) -> None:
    """Take the figures of one service."""
    town = fast(site("bench", plane.kubeconfig))
    service = big(nodes, town)
    bench = bench_for(town, folder / "first")
    with figure("plan, nothing there yet"):
        plan = bench.plan(service)
    with figure(f"apply, {len(plan.operations)} objects, until all are healthy"):
        report = bench.turn(service)
    assert not failures(report), next(iter(failures(report).items()))
    with figure("plan, no change, same process"):
        plan = bench.plan(service)
    assert not plan.operations, plan.steps
    again = bench_for(town, folder / "first")
    with figure("plan, no change, new connection"):
        plan = again.plan(service)
    assert not plan.operations
    changed = replace(service, nodes={**service.nodes, "f0": function("f0", env={"MODE": "slow"})})
    with figure("plan, one function changed"):
        plan = again.plan(changed)
    print(f"{'':>52}  {len(plan.steps)} steps")
    all_changed = big(nodes, town, mode="slow")
    with figure("plan, every function changed (dry runs)"):
        plan = again.plan(all_changed)
    print(f"{'':>52}  {len(plan.steps)} steps")
    again.close()
    watched(plane, folder, town, service)
    lists(plane)
    bench.close()


def watched(plane: ControlPlane, folder: Path, town: Site, service: Service) -> None:
    """Take the figures of looks that are answered by a watch, and count their calls."""
    with Gate(plane.url, plane.folder / "ca.crt").running() as gate:
        kubeconfig = plane.kubeconfig_of(folder / "gate", url=gate.url)
        through = replace(
            town.bindings["kube"], settings={**town.bindings["kube"].settings, "kubeconfig": str(kubeconfig)}
        )
        bench = bench_for(replace(town, bindings={"kube": through}), folder / "first", watching=True)
        with figure("first look, watch begins"):
            bench.plan(service)
        bench.plan(service)
        gate.calls.clear()
        with figure("plan, no change, from the watch"):
            plan = bench.plan(service)
        assert not plan.operations
        print(f"{'':>52}  {len(gate.calls)} calls")
        bench.close()


def lists(plane: ControlPlane) -> None:
    """Compare a list read by the typed client with the same list read as plain JSON."""
    configuration = client.Configuration()
    config.load_kube_config(config_file=str(plane.kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]  # of the SDK
    api = client.AppsV1Api(client.ApiClient(configuration))
    with figure("list of deployments, typed models"):
        items = api.list_deployment_for_all_namespaces().items
    with figure("the same list, plain JSON"):
        Connection(Access(kubeconfig=str(plane.kubeconfig))).call(Call(path="/apis/apps/v1/deployments"))
    print(f"{'':>52}  {len(items)} deployments")


def big(nodes: int, town: Site, mode: str = "fast") -> Service:
    """Give a service of many functions."""
    functions: list[Node] = [function(f"f{number}", env={"MODE": mode}) for number in range(nodes)]
    return wants("big", *functions, on=town)


def fast(town: Site) -> Site:
    """Let the binding make as many calls as the machine bears."""
    binding: Binding = replace(town.bindings["kube"], budget=Budget(concurrency=8))
    return replace(town, bindings={"kube": binding})


def bench_for(town: Site, folder: Path, *, watching: bool = False) -> Bench:
    """Give a bench on the store in a folder."""
    folder.mkdir(exist_ok=True)
    return Bench(
        town,
        folder,
        limits=Limits(default=Switches(prune=True), breaker_count=10**6),
        patience=Patience(),
        stir=(lambda: None) if watching else None,
    )


@contextmanager
def figure(name: str) -> Iterator[None]:
    """Print what a block took."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:<52}  {wall:7.2f} s  {cpu:7.2f} s cpu  {peak:5.0f} MB peak so far", flush=True)


if __name__ == "__main__":
    main()
