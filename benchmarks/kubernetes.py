"""Takes the figures of the Kubernetes provider on a real API server of its own, in this process.

    python -m benchmarks.kubernetes --objects 1000,5000

Needs `tests/testbed/kubernetes/install.sh`, once. Figures are milliseconds of our own processor time; the clock stands
beside them. The API server works on the same machine, so that only ratios of one run are worth quoting.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TypeVar

from kubernetes import client, config
from msgspec.structs import replace

from benchmarks.compare import RESULTS, machine
from providers.base import Scope
from providers.kubernetes.connection import Call, Connection
from providers.kubernetes.settings import Access
from reconciler.holds import Limits, Switches
from reconciler.pace import Patience
from reconciler.project import utc_now
from specs.model import Binding, Budget, Node, Service, Site
from tests.support.kubernetes_services import function, site
from tests.support.kubernetes_turns import REPOSITORY, Bench, failures, wants
from tests.testbed.kubernetes.control_plane import ADMIN, ControlPlane, running_control_plane
from tests.testbed.kubernetes.gate import Gate

_PER_NODE = 5
"""Service account, configuration, deployment, network policy and service."""
_LIFE_SECONDS = 7200
T = TypeVar("T")


@dataclass
class Figures:
    """What was measured, printed as it comes."""

    rows: list[dict[str, object]] = field(default_factory=list)

    def add(self, what: str, value: float, note: str = "ms") -> None:
        """Take one figure down."""
        print(f"{what:70} {value:10.1f} {note}", flush=True)
        self.rows.append({"what": what, "value": round(value, 3), "note": note})

    def timed(self, what: str, call: Callable[[], T]) -> T:
        """Take down what a call costs us, and how long it takes."""
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        result = call()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        self.add(what, cpu * 1000, f"ms, {wall:.2f} s on the clock")
        return result

    def weighed(self, what: str, call: Callable[[], object]) -> None:
        """Take down how much memory a call takes at its height, and how much its result keeps."""
        gc.collect()
        tracemalloc.start()
        result = call()
        gc.collect()
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del result
        self.add(what, peak / 1e6, f"MB at its height, {kept / 1e6:.1f} MB kept")


def main() -> None:
    """Take the figures, print them and write them down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", default="1000,5000", help="how many objects the service has (default: 1000,5000)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    figures = Figures()
    for objects in map(int, given.objects.split(",")):
        with (
            tempfile.TemporaryDirectory() as folder,
            running_control_plane(Path(folder) / "plane", _LIFE_SECONDS) as plane,
        ):
            measure(figures, plane, Path(folder), max(1, objects // _PER_NODE))
    given.out.mkdir(parents=True, exist_ok=True)
    report = {"date": f"{utc_now():%Y-%m-%d}", "machine": machine(), "figures": figures.rows}
    (given.out / "kubernetes.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(f"written to {os.path.relpath(given.out)}")


def measure(figures: Figures, plane: ControlPlane, folder: Path, nodes: int) -> None:
    """Take the figures of one service."""
    town = fast(site("bench", plane.kubeconfig))
    service = big(nodes, town)
    bench = bench_for(town, folder / "first")
    size = f"{len(bench.wanted(service).resources):,} objects"
    figures.timed(f"{size}: plan, nothing there yet", lambda: bench.plan(service))
    report = figures.timed(f"{size}: apply, until all are healthy", lambda: bench.turn(service))
    assert not failures(report), next(iter(failures(report).items()))
    still = figures.timed(f"{size}: turn, no change, same process", lambda: bench.turn(service))
    assert not still.finished
    bench.close()
    again = bench_for(town, folder / "first")
    calm = figures.timed(f"{size}: plan, no change, cold", lambda: again.plan(service))
    assert not calm.operations
    one = replace(service, nodes={**service.nodes, "f0": function("f0", env={"MODE": "slow"})})
    figures.timed(f"{size}: plan, one function changed", lambda: again.plan(one))
    every = big(nodes, town, mode="slow")
    plan_all = figures.timed(f"{size}: plan, every function changed (dry runs)", lambda: again.plan(every))
    figures.add(f"{size}: steps of that plan", len(plan_all.steps), "")
    again.close()
    watched(figures, plane, folder, town, service, size)
    lists(figures, plane, folder, town, service, size)


def watched(figures: Figures, plane: ControlPlane, folder: Path, town: Site, service: Service, size: str) -> None:
    """Take the figures of looks that are answered by a watch, count their calls and time its bell."""
    rung = threading.Event()
    with Gate(plane.url, plane.folder / "ca.crt").running() as gate:
        kubeconfig = plane.kubeconfig_of(folder / "gate", ADMIN, gate.url)
        through = replace(
            town.bindings["kube"], settings={**town.bindings["kube"].settings, "kubeconfig": str(kubeconfig)}
        )
        bench = bench_for(replace(town, bindings={"kube": through}), folder / "first", rung.set)
        figures.timed(f"{size}: plan, the watch begins", lambda: bench.plan(service))
        bench.plan(service)
        gate.calls.clear()
        plan = figures.timed(f"{size}: plan, no change, from the watch", lambda: bench.plan(service))
        assert not plan.operations
        figures.add(f"{size}: calls of that plan", sum("watch=" not in call for call in gate.calls), "")
        waits = sorted(bell(plane, rung, number) for number in range(1, 21))
        figures.add(f"{size}: from a change to the bell", median(waits) * 1000, f"ms, {waits[-1] * 1000:.0f} at most")
        bench.close()


def bell(plane: ControlPlane, rung: threading.Event, number: int) -> float:
    """Give the seconds from the answer to somebody's change until the watch rings."""
    rung.clear()
    path = "/apis/apps/v1/namespaces/bench-big-edge-1/deployments/f1"
    plane.call("PATCH", path, {"spec": {"replicas": number % 2 + 1}}, "application/merge-patch+json")
    began = time.perf_counter()
    assert rung.wait(60)
    return time.perf_counter() - began


def lists(figures: Figures, plane: ControlPlane, folder: Path, town: Site, service: Service, size: str) -> None:
    """Weigh a look at everything beside the typed client's list of the deployments alone."""
    bench = bench_for(town, folder / "first")
    wanted = bench.wanted(service).resources
    scope = Scope(repository=REPOSITORY, site=town.name, wanted=wanted)
    bench.providers["kube"].observe(Scope(repository=REPOSITORY, site="nowhere", wanted={}))  # connects
    figures.weighed(f"{size}: memory of a look at all of them", lambda: bench.providers["kube"].observe(scope))
    bench.close()
    configuration = client.Configuration()
    config.load_kube_config(config_file=str(plane.kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]  # of the SDK
    api = client.AppsV1Api(client.ApiClient(configuration))
    figures.timed(f"{size}: the SDK's list of deployments alone", api.list_deployment_for_all_namespaces)
    plain = Connection(Access(kubeconfig=str(plane.kubeconfig)))
    figures.timed(f"{size}: the same list as plain JSON", lambda: plain.call(Call(path="/apis/apps/v1/deployments")))
    figures.weighed(f"{size}: memory of the SDK's list of deployments alone", api.list_deployment_for_all_namespaces)


def big(nodes: int, town: Site, mode: str = "fast") -> Service:
    """Give a service of many functions."""
    functions: list[Node] = [function(f"f{number}", env={"MODE": mode}) for number in range(nodes)]
    return wants("big", *functions, on=town)


def fast(town: Site) -> Site:
    """Let the binding make as many calls as the machine bears."""
    binding: Binding = replace(town.bindings["kube"], budget=Budget(concurrency=8))
    return replace(town, bindings={"kube": binding})


def bench_for(town: Site, folder: Path, stir: Callable[[], None] | None = None) -> Bench:
    """Give a bench on the store in a folder."""
    folder.mkdir(exist_ok=True)
    return Bench(
        town,
        folder,
        limits=Limits(default=Switches(prune=True), breaker_count=10**6),
        patience=Patience(),
        stir=stir,
    )


if __name__ == "__main__":
    main()
