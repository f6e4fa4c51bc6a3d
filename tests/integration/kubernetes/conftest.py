from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

import providers.kubernetes
from specs.values import Value
from tests.support.kubernetes_services import BROUGHT, site
from tests.support.kubernetes_turns import Bench, Workbench
from tests.testbed.kubernetes.control_plane import ControlPlane, running_control_plane

pytest.register_assert_rewrite("tests.contract.provider_suite")

_numbers = count(1)
VERBS = ["get", "list", "watch", "create", "patch", "delete"]


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane for the whole session."""
    with running_control_plane(tmp_path_factory.mktemp("kubernetes")) as plane:
        _grant(plane)
        yield plane


def _grant(plane: ControlPlane) -> None:
    """Give the robot, as whom all tests work, the shipped role, and for manifests one like the guide says."""
    plane.kubectl("apply", "-f", str(Path(providers.kubernetes.__file__).with_name("rbac.yaml")))
    rules = [
        {"resources": [name.partition(".")[0]], "apiGroups": [name.partition(".")[2]], "verbs": VERBS}
        for name in BROUGHT
    ]
    path = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    plane.call("POST", path, {"metadata": {"name": "brought"}, "rules": rules})
    for role in ("tosca-reconciler", "brought"):
        plane.kubectl("create", "clusterrolebinding", f"robot-{role}", f"--clusterrole={role}", "--user=robot")


@pytest.fixture
def workbench(plane: ControlPlane, tmp_path: Path) -> Iterator[Workbench]:
    """Makes benches, each with a site of its own, by the settings of its binding; with the rights of the robot."""
    made: list[Bench] = []

    def make(
        kubeconfig: Path | str | None = None,
        clusters: tuple[str, ...] = ("edge-1",),
        stir: Callable[[], None] | None = None,
        **settings: Value,
    ) -> Bench:
        number = next(_numbers)
        folder = tmp_path / str(number)
        folder.mkdir()
        ours = plane.kubeconfig_of(folder / "kubeconfig") if kubeconfig is None else kubeconfig
        made.append(Bench(site(f"site{number}", ours, clusters, **settings), folder, stir=stir))
        return made[-1]

    yield make
    for bench in made:
        bench.close()
        for namespace in plane.call("GET", "/api/v1/namespaces")["items"]:
            if namespace["metadata"]["name"].startswith(f"{bench.site.name}-"):
                plane.kubectl("delete", "namespace", namespace["metadata"]["name"], "--wait=false")


@pytest.fixture
def bench(workbench: Workbench) -> Bench:
    """A bench with one cluster."""
    return workbench()
