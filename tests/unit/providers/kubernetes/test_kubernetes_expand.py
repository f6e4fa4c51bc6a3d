"""What services become on Kubernetes, as values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from providers.base import Context, PermanentError
from providers.kubernetes.provider import Kubernetes
from specs.model import Deployment, LifecycleState, Node, Policy, Requirement, Resource, Site
from specs.values import Secret, Value
from tests.support.kubernetes_services import ROOT, artifact, deployed, everywhere, function, service, site

State = LifecycleState


def expanded(deployment: Deployment) -> dict[str, Resource]:
    """Give the resources by the end of their addresses."""
    binding = deployment.site.bindings["kube"]
    provider = Kubernetes(Context(binding=binding, site=deployment.site, state_dir=Path("/nowhere")))
    return {r.address.split("/", 2)[2].replace("kubernetes.", ""): r for r in provider.expand(deployment)}


def lab(*clusters: str, **settings: Value) -> Site:
    return site("lab", Path("/nowhere/kubeconfig"), clusters or ("edge-1",), **settings)


def made(*nodes: Node, on: Site | None = None, state: State = State.CONNECTED, count: int = 1) -> dict[str, Resource]:
    return expanded(everywhere(service("tour", *nodes), on or lab(), state, count))


def pod(resource: Resource) -> Any:
    return cast("Any", resource.properties["spec.template"])["spec"]


def plain(resource: Resource) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", resource.properties)


@pytest.mark.parametrize(
    ("state", "kinds"),
    [
        (State.PLACED, {"serviceaccount", "deployment"}),
        (State.BOOTED, {"serviceaccount", "deployment"}),
        (State.CONNECTED, {"serviceaccount", "deployment", "networkpolicy", "service"}),
    ],
)
def test_each_state_stands_on_the_one_before(state: State, kinds: set[str]) -> None:
    found = made(function("web"), state=state)

    assert {address.partition(":")[2] for address in found if "web" in address} == kinds
    assert found["web@edge-1.0:deployment"].properties["spec.replicas"] == (0 if state is State.PLACED else 1)
    assert "tour@edge-1:namespace" in found


def test_the_service_stands_for_a_connected_endpoint_and_the_workload_for_a_booted_one() -> None:
    connected = made(function("web"))
    booted = made(function("web"), state=State.BOOTED)

    assert [address for address, resource in connected.items() if resource.stands] == ["web@edge-1.0:service"]
    assert [address for address, resource in booted.items() if resource.stands] == ["web@edge-1.0:deployment"]


def test_endpoints_of_a_node_on_a_cluster_are_one_workload() -> None:
    found = made(function("web"), on=lab("edge-1", "edge-2"), count=3)

    assert {a: r.properties["spec.replicas"] for a, r in found.items() if "deployment" in a} == {
        "web@edge-1.0:deployment": 3,
        "web@edge-2.0:deployment": 3,
    }


def test_pods_pass_the_restricted_profile_and_carry_no_token() -> None:
    found = made(function("web"))
    spec = pod(found["web@edge-1.0:deployment"])

    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert spec["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    assert found["web@edge-1.0:serviceaccount"].properties["automountServiceAccountToken"] is False


def test_the_spec_may_say_otherwise() -> None:
    wishes: Value = {
        "pod": {"securityContext": None, "hostNetwork": True},
        "container": {"securityContext": {"privileged": True}},
        "service_account": {"token": True},
    }
    spec = pod(made(function("web", kubernetes=wishes))["web@edge-1.0:deployment"])

    assert "securityContext" not in spec
    assert spec["hostNetwork"] is True
    assert spec["containers"][0]["securityContext"]["privileged"] is True
    assert spec["automountServiceAccountToken"] is True


def test_what_a_host_offers_becomes_requests_and_limits() -> None:
    container = pod(made(function("web"))["web@edge-1.0:deployment"])["containers"][0]

    assert container["resources"] == {
        "requests": {"cpu": "500m", "memory": "256M"},
        "limits": {"cpu": "500m", "memory": "256M"},
    }


def test_secrets_stand_in_secrets_only() -> None:
    found = made(function("web", env={"A": "b", "N": 3, "PASSWORD": Secret("DB")}))
    variables = pod(found["web@edge-1.0:deployment"])["containers"][0]["env"]

    assert found["web@edge-1.0:configmap"].properties["data"] == {"A": "b", "N": "3"}
    assert found["web@edge-1.0:secret"].properties["data"] == {"PASSWORD": Secret("DB")}
    assert variables[2] == {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "web", "key": "PASSWORD"}}}
    assert set(plain(found["web@edge-1.0:deployment"])["rolls_with"]) == {"config", "secrets"}


def test_files_are_mounted_where_the_spec_says() -> None:
    node = function("web", kubernetes={"files": {"/etc/app.conf": "a = b\n"}})
    with_artifact = replace(node, artifacts={"more": artifact("more", "tosca.artifacts.File", "conf/more.conf", "c\n")})
    found = made(with_artifact)
    mounts = pod(found["web@edge-1.0:deployment"])["containers"][0]["volumeMounts"]

    assert found["web@edge-1.0:configmap"].properties["data"] == {
        "file.etc.app.conf": "a = b\n",
        "file.etc.web.more.conf": "c\n",
    }
    assert [mount["mountPath"] for mount in mounts] == ["/etc/app.conf", "/etc/web/more.conf"]


def test_an_endpoint_that_says_what_it_speaks_is_probed() -> None:
    node = replace(function("web", ports=None), capabilities={"endpoint": {"port": 80, "url_path": "/health"}})
    found = made(node)
    container = pod(found["web@edge-1.0:deployment"])["containers"][0]

    assert container["readinessProbe"] == {"httpGet": {"path": "/health", "port": 80, "scheme": "HTTP"}}
    assert plain(found["web@edge-1.0:service"])["spec.ports"] == [
        {"name": "tcp-80", "port": 80, "targetPort": 80, "protocol": "TCP"}
    ]


def test_names_clients_use_become_an_ingress() -> None:
    found = made(function("web", fqdn=["Web.example.org"]), on=lab(ingress_class="nginx"))
    ingress = plain(found["web@edge-1.0:ingress"])

    assert ingress["spec.ingressClassName"] == "nginx"
    assert [rule["host"] for rule in ingress["spec.rules"]] == ["web.example.org"]
    assert "web@edge-1.0:ingress" not in made(function("web", fqdn=["web.example.org"], kubernetes={"ingress": False}))


def test_only_the_service_itself_reaches_a_function_without_names() -> None:
    inside = plain(made(function("web"), function("api", "web"))["web@edge-1.0:networkpolicy"])
    outside = plain(made(function("web", fqdn=["web.example.org"]))["web@edge-1.0:networkpolicy"])

    assert inside["spec.ingress"][0]["from"] == [
        {"namespaceSelector": {}, "podSelector": {"matchLabels": {"tosca-reconciler/service": "tour"}}}
    ]
    assert "from" not in outside["spec.ingress"][0]


def test_callers_elsewhere_open_the_policy() -> None:
    on = lab()
    other = {"web": [("edge-1", 0, State.CONNECTED)], "api": [("far", 0, State.CONNECTED)]}
    deployment = deployed(service("tour", function("web"), function("api", "web")), other, on)
    strangers = tuple(replace(e, binding="city") if e.node == "api" else e for e in deployment.endpoints)
    found = expanded(replace(deployment, endpoints=strangers))

    assert "from" not in plain(found["web@edge-1.0:networkpolicy"])["spec.ingress"][0]


def test_placement_policies_choose_among_nodes() -> None:
    policy = Policy(
        name="near",
        types=("eu.ict-flame.policies.Placement",),
        targets=("web", "api"),
        properties={"tier": "edge", "location": "Bristol", "spread": True, "anti_affinity": True},
    )
    on = lab()
    deployment = everywhere(service("tour", function("web"), function("api"), policies=[policy]), on)
    spec = pod(expanded(deployment)["web@edge-1.0:deployment"])
    [preferred] = spec["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    [apart] = spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]

    assert [e["key"] for e in preferred["preference"]["matchExpressions"]] == [
        "tosca-reconciler/tier",
        "tosca-reconciler/location",
    ]
    assert apart["labelSelector"]["matchExpressions"][0]["values"] == ["api", "web"]
    assert spec["topologySpreadConstraints"][0]["topologyKey"] == "kubernetes.io/hostname"


def test_clusters_may_be_parts_of_one_kubernetes() -> None:
    on = lab(node_selector={"zone": "a"}, tolerations=[{"key": "edge", "operator": "Exists"}])
    spec = pod(made(function("web"), on=on)["web@edge-1.0:deployment"])

    assert spec["nodeSelector"] == {"zone": "a"}
    assert spec["tolerations"] == [{"key": "edge", "operator": "Exists"}]


@pytest.mark.parametrize(
    ("hypervisor", "disk", "kind"),
    [("docker", "4 GB", "deployment"), ("kvm", "4 GB", "statefulset"), ("lxd", None, "deployment")],
)
def test_machines_with_state_are_stateful_sets(hypervisor: str, disk: str | None, kind: str) -> None:
    node = replace(function("db", hypervisor=hypervisor), capabilities={"host": {"disk_size": disk}})

    assert f"db@edge-1.0:{kind}" in made(node)


def test_a_stateful_function_has_a_name_for_every_pod() -> None:
    node = replace(function("db", hypervisor="kvm"), capabilities={"host": {"disk_size": "4 GB"}})
    found = made(node, on=lab(storage_class="fast"))
    [claim] = plain(found["db@edge-1.0:statefulset"])["spec.volumeClaimTemplates"]

    assert plain(found["db@edge-1.0:service"])["spec.clusterIP"] == "None"
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"] == {"requests": {"storage": "4G"}}


def test_an_autoscaler_takes_over_the_number() -> None:
    wishes: Value = {"autoscale": {"min": 2, "max": 5, "cpu": 60}}
    booted = made(function("web", kubernetes=wishes), state=State.BOOTED)
    placed = made(function("web", kubernetes=wishes), state=State.PLACED)

    assert "spec.replicas" not in booted["web@edge-1.0:deployment"].properties
    assert plain(booted["web@edge-1.0:horizontalpodautoscaler"])["spec.maxReplicas"] == 5
    assert placed["web@edge-1.0:deployment"].properties["spec.replicas"] == 0
    assert "web@edge-1.0:horizontalpodautoscaler" not in placed


def test_an_autoscaler_moves_within_what_scalable_says() -> None:
    scalable: dict[str, Value] = {"min_instances": 2, "max_instances": 6, "default_instances": 3}
    node = replace(function("web", kubernetes={"autoscale": {"cpu": 60}}), capabilities={"scalable": scalable})
    found = made(node, count=3)["web@edge-1.0:horizontalpodautoscaler"].properties

    assert (found["spec.minReplicas"], found["spec.maxReplicas"]) == (2, 6)


def test_a_given_namespace_makes_longer_names() -> None:
    found = made(function("web"), on=lab(namespace="shared"))

    assert "tour@edge-1:namespace" not in found
    assert found["web@edge-1.0:deployment"].properties["name"] == "tour-web-edge-1"


def test_storage_is_claimed_by_its_name_everywhere() -> None:
    disk = Node(name="disk", types=("tosca.nodes.BlockStorage", ROOT), properties={"size": "1 GB"})
    user = replace(function("web"), requirements=(Requirement(name="storage", node="disk"),))
    for on in (lab(), lab(namespace="shared")):
        found = made(user, disk, on=on)
        [volume] = pod(found["web@edge-1.0:deployment"])["volumes"]

        assert (
            volume["persistentVolumeClaim"]["claimName"]
            == found["disk@edge-1.0:persistentvolumeclaim"].properties["name"]
        )
        assert pod(found["web@edge-1.0:deployment"])["containers"][0]["volumeMounts"][0]["mountPath"] == "/mnt/disk"


@pytest.mark.parametrize(
    ("properties", "artifacts", "image"),
    [
        ({"image_url": "docker://r.example.org/a:1"}, {}, "r.example.org/a:1"),
        ({"image_url": "oci://r.example.org/a:1"}, {}, "r.example.org/a:1"),
        (
            {"image_url": "https://x/a.tar.gz", "image": {"name": "r/a:2", "checksum": "sha256:1f"}},
            {},
            "r/a:2@sha256:1f",
        ),
        ({"image": "r/a:3"}, {}, "r/a:3"),
        ({}, {"i": artifact("i", "tosca.artifacts.Deployment.Image.Container.Docker", "r/a:4")}, "r/a:4"),
    ],
)
def test_images_come_from_registries(properties: Any, artifacts: Any, image: str) -> None:
    node = Node(name="a", types=("tosca.nodes.Container.Application", ROOT), properties=properties, artifacts=artifacts)

    assert pod(made(node)["a@edge-1.0:deployment"])["containers"][0]["image"] == image


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (function("web", image_url="https://repo.example.org/web.tar.gz"), "pulls images from registries"),
        (Node(name="x", types=("tosca.nodes.DBMS", ROOT)), "cannot make a tosca.nodes.DBMS"),
        (Node(name="n", types=("tosca.nodes.network.Network", ROOT), properties={"cidr": "10.0.0.0/8"}), "remove cidr"),
        (Node(name="d", types=("tosca.nodes.BlockStorage", ROOT)), "needs a size"),
        (function("web", kubernetes={"pods": {}}), "write a mapping of pod, container"),
        (function("web", kubernetes={"pod": 3}), "kubernetes.pod is 3"),
        (function("web", kubernetes={"force": "yes"}), "write true or false"),
        (function("web", kubernetes={"autoscale": {"memory": 80}}), "autoscale knows cpu, max, min, not memory"),
    ],
)
def test_what_cannot_be_made_is_said(node: Node, words: str) -> None:
    with pytest.raises(PermanentError, match=words):
        made(node)


def test_networks_are_there_by_themselves() -> None:
    assert made(Node(name="net", types=("tosca.nodes.network.Network", ROOT))) == {}


def test_force_is_a_property_of_every_object_of_the_node() -> None:
    one = made(function("web", kubernetes={"force": True}), function("api"))
    both = made(function("web"), function("api"), on=lab(force=True))

    assert one["web@edge-1.0:service"].properties["force"] is True
    assert "force" not in one["api@edge-1.0:service"].properties
    assert both["api@edge-1.0:service"].properties["force"] is True


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"colour": "blue"}, "unknown setting colour"),
        ({"manifests": "all"}, "write a list"),
        ({"in_cluster": "yes"}, "write true or false"),
        ({"progress_deadline": "soon"}, "progress_deadline"),
        ({"node_selector": 3}, "mapping of labels"),
        ({"tolerations": 3}, "write a list"),
        ({"context": 3}, "write text"),
    ],
)
def test_settings_that_cannot_be_used_are_named(settings: dict[str, Value], words: str) -> None:
    with pytest.raises(PermanentError, match=words):
        made(function("web"), on=lab(**settings))


def test_a_pattern_of_namespaces_that_makes_no_sense_is_named() -> None:
    with pytest.raises(PermanentError, match="is no pattern"):
        made(function("web"), on=lab(namespace="{service}-{colour}"))
