from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from specs.values import Value
from tests.support.kubernetes_services import site
from tests.support.kubernetes_turns import Bench, Workbench
from tests.testbed.kubernetes.control_plane import ControlPlane, running_control_plane

pytest.register_assert_rewrite("tests.contract.provider_suite")

_numbers = count(1)


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane for the whole session."""
    with running_control_plane(tmp_path_factory.mktemp("kubernetes")) as plane:
        yield plane


@pytest.fixture
def workbench(plane: ControlPlane, tmp_path: Path) -> Iterator[Workbench]:
    """Makes benches, each with a site of its own, by the settings of its binding."""
    made: list[Bench] = []

    def make(
        kubeconfig: Path = plane.kubeconfig,
        clusters: tuple[str, ...] = ("edge-1",),
        stir: Callable[[], None] | None = None,
        **settings: Value,
    ) -> Bench:
        number = next(_numbers)
        folder = tmp_path / str(number)
        folder.mkdir()
        made.append(Bench(site(f"site{number}", kubeconfig, clusters, **settings), folder, stir=stir))
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
