"""Turns a function on a cluster into its workload: configuration, secrets, storage and pods. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from providers.base import PermanentError
from providers.kubernetes.naming import dns_label
from providers.kubernetes.place import Place, standing
from providers.kubernetes.ports import ports_of, probe
from providers.kubernetes.quantities import processors, size
from providers.kubernetes.spread import affinity, spread
from providers.kubernetes.wishes import merged
from specs.model import LifecycleState, Node, Resource
from specs.values import Call, Properties, Reference, Secret, Value, digest, expressions

VOLUMES = ("tosca.nodes.BlockStorage", "tosca.nodes.Storage.BlockStorage")
FUNCTION = "eu.ict-flame.nodes.ServiceFunction"
_CONFIG = "config"
_SECRET = "secret"  # noqa: S105 — the name of a volume
_STATE = "state"


class _Setting(Struct, frozen=True):
    """One piece of configuration: an environment variable, or a file if it has a path."""

    key: str
    value: Value
    path: str = ""

    @property
    def is_secret(self) -> bool:
        return any(isinstance(item, Secret) for item in expressions(self.value))


def workload(place: Place) -> Iterator[Resource]:
    """Make everything up to the pods; the workload itself comes last."""
    settings = list(_settings(place))
    plain = {s.key: s.value for s in settings if not s.is_secret}
    secret = {s.key: s.value for s in settings if s.is_secret}
    requires = place.needs()
    if "name" not in place.wishes.service_account:
        account = place.make("serviceaccount", {"automountServiceAccountToken": _token(place)})
        requires.add(account.address)
        yield account
    if plain:
        config = place.make("configmap", {"data": plain})
        requires.add(config.address)
        yield config
    if secret:
        sealed = place.make("secret", {"type": "Opaque", "data": secret})
        requires.add(sealed.address)
        yield sealed
    template = _template(place, settings)
    rolls_with = _rolls_with(plain, secret)
    yield from _pods(place, template, rolls_with, requires)


def is_stateful(place: Place) -> bool:
    """Tell whether pods need a name and storage of their own: machines with a disk, unless the spec says otherwise."""
    if place.wishes.stateful is not None:
        return place.wishes.stateful
    machine = place.node.is_a("tosca.nodes.Compute") or (
        place.node.is_a(FUNCTION) and place.node.properties.get("hypervisor", "lxd") != "docker"
    )
    return machine and (bool(size(_host(place.node).get("disk_size"))) or bool(list(_attached(place))))


def controller(place: Place) -> str:
    """Give the kind that keeps the pods."""
    return "statefulset" if is_stateful(place) else "deployment"


def claim(place: Place) -> Iterator[Resource]:
    """Turn a block storage node into a claim."""
    wanted = size(place.node.properties.get("size"))
    if not wanted:
        raise PermanentError(f"{place.first.subject}: block storage needs a size on Kubernetes; add `size: 10 GB`")
    yield standing(place.make("persistentvolumeclaim", _claim_parts(place, wanted)))


def _claim_parts(place: Place, wanted: str) -> dict[str, Value]:
    parts: dict[str, Value] = {
        "spec.accessModes": ["ReadWriteOnce"],
        "spec.resources": {"requests": {"storage": wanted}},
    }
    if place.spot.storage_class:
        parts["spec.storageClassName"] = place.spot.storage_class
    return parts


def _pods(place: Place, template: Properties, rolls_with: Properties, requires: set[str]) -> Iterator[Resource]:
    parts: dict[str, Value] = {"spec.selector": {"matchLabels": place.labels}, "spec.template": template}
    if rolls_with:
        parts["rolls_with"] = rolls_with
    if not place.wishes.autoscale or not place.replicas:
        parts["spec.replicas"] = place.replicas
    stateful = is_stateful(place)
    if stateful:
        parts["spec.serviceName"] = place.name
        if (wanted := _own_disk(place)) is not None:
            parts["spec.volumeClaimTemplates"] = [wanted]
    else:
        if place.settings.progress_deadline:
            parts["spec.progressDeadlineSeconds"] = place.settings.progress_deadline
        if list(_attached(place)):
            parts["spec.strategy"] = {"type": "Recreate"}
    made = place.make(controller(place), parts, requires)
    connected = place.reaches(LifecycleState.CONNECTED) and ports_of(place.node)
    yield made if connected else standing(made)


def _template(place: Place, settings: list[_Setting]) -> dict[str, Value]:
    pod: dict[str, Value] = {
        "automountServiceAccountToken": _token(place),
        "serviceAccountName": place.wishes.service_account.get("name", place.name),
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        **_where(place),
    }
    if volumes := _volumes(place, settings):
        pod["volumes"] = volumes
    pod = merged(pod, place.wishes.pod)
    pod["containers"] = [merged(_container(place, settings), place.wishes.container), *_more_containers(place)]
    labels: dict[str, Value] = {**place.wishes.labels, **place.labels}
    return {"metadata": {"labels": labels}, "spec": pod}


def _more_containers(place: Place) -> list[Value]:
    more = place.wishes.pod.get("containers", [])
    return list(more) if isinstance(more, list) else []


def _where(place: Place) -> dict[str, Value]:
    found: dict[str, Value] = {}
    if place.spot.node_selector:
        found["nodeSelector"] = place.spot.node_selector
    if place.spot.tolerations:
        found["tolerations"] = list(place.spot.tolerations)
    if wanted := affinity(place):
        found["affinity"] = wanted
    if wanted_spread := spread(place):
        found["topologySpreadConstraints"] = wanted_spread
    return found


def _container(place: Place, settings: list[_Setting]) -> dict[str, Value]:
    container: dict[str, Value] = {
        "name": place.name,
        "image": image(place.node, place.first.subject),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    if ports := ports_of(place.node):
        container["ports"] = [
            {"name": port.name, "containerPort": port.target, "protocol": port.protocol} for port in ports
        ]
    if ready := probe(place.node):
        container["readinessProbe"] = ready
    if amounts := _amounts(place):
        container["resources"] = {"requests": amounts, "limits": amounts}
    if variables := [_variable(place, setting) for setting in settings if not setting.path]:
        container["env"] = variables
    if mounts := _mounts(place, settings):
        container["volumeMounts"] = mounts
    return container


def _variable(place: Place, setting: _Setting) -> Value:
    source = "secretKeyRef" if setting.is_secret else "configMapKeyRef"
    return {"name": setting.key, "valueFrom": {source: {"name": place.name, "key": setting.key}}}


def _amounts(place: Place) -> dict[str, Value]:
    host = _host(place.node)
    amounts = {"cpu": processors(host.get("num_cpus")), "memory": size(host.get("mem_size"))}
    if not is_stateful(place):
        amounts["ephemeral-storage"] = size(host.get("disk_size"))
    return {name: text for name, text in amounts.items() if text}


def image(node: Node, where: str) -> Value:
    """Give the image to pull; `PermanentError` for a file that no registry serves."""
    described = node.properties.get("image")
    found: Value = described.get("name") if isinstance(described, Mapping) else described
    if isinstance(described, Mapping) and isinstance(found, str) and _is_digest(described.get("checksum")):
        found = f"{found}@{described['checksum']}"
    if found is None:
        files = [a.file for _, a in sorted(node.artifacts.items()) if ".Image" in a.type]
        found = files[0] if files else node.properties.get("image_url")
    if isinstance(found, str):
        for scheme in ("docker://", "oci://"):
            found = found.removeprefix(scheme)
        if found and "://" not in found:
            return found
    if found is not None and not isinstance(found, str):
        return found
    raise PermanentError(
        f"{where}: {found or 'no image'} cannot run on Kubernetes, which pulls images from registries;"
        " name one: `image: {name: registry.example.org/web:1}` or an image_url docker://registry.example.org/web:1"
    )


def _is_digest(value: Value) -> bool:
    return isinstance(value, str) and value.startswith("sha256:")


def _host(node: Node) -> Properties:
    return node.capabilities.get("host", {})


def _token(place: Place) -> bool:
    return place.wishes.service_account.get("token") is True


# --- configuration ---------------------------------------------------------------------------------


def _settings(place: Place) -> Iterator[_Setting]:
    env = place.node.properties.get("env")
    if isinstance(env, Mapping):
        for name in sorted(env):
            yield _Setting(name, _text(env[name]))
    files: dict[str, Value] = dict(place.wishes.files)
    for artifact in place.node.artifacts.values():
        if artifact.type == "tosca.artifacts.File" and artifact.content:
            path = artifact.properties.get("deploy_path") or f"/etc/{place.name}/{posixpath.basename(artifact.file)}"
            files[str(path)] = artifact.content
    taken: set[str] = set()
    for path in sorted(files):
        key = "file." + re.sub(r"[^A-Za-z0-9_.-]", "-", path.strip("/").replace("/", "."))[:200]
        key = f"{key}-{digest(path)[:6]}" if key in taken else key
        taken.add(key)
        yield _Setting(key, _text(files[path]), path)


def _text(value: Value) -> Value:
    """Give text as Kubernetes wants it; what is known only later becomes text then."""
    match value:
        case Reference():
            return Call("concat", [value])
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case None:
            return ""
    return value


def _rolls_with(plain: Properties, secret: Properties) -> dict[str, Value]:
    """Say what the pods must be made anew for: they do not notice a change of their configuration by themselves."""
    found: dict[str, Value] = {}
    if fixed := {key: value for key, value in plain.items() if isinstance(value, str)}:
        found["config"] = digest(fixed)
    if known_later := {key: value for key, value in plain.items() if not isinstance(value, str)}:
        found["known_later"] = known_later
    if secret:
        found["secrets"] = secret
    return found


# --- storage ---------------------------------------------------------------------------------------


def _attached(place: Place) -> Iterator[tuple[str, str]]:
    """Give name and mount path of every volume node the function requires."""
    for requirement, node in place.targets():
        if any(node.is_a(name) for name in VOLUMES):
            where = requirement.properties.get("location")
            yield node.name, where if isinstance(where, str) else f"/mnt/{dns_label(node.name)}"


def _own_disk(place: Place) -> Value:
    wanted = size(_host(place.node).get("disk_size"))
    if not wanted or list(_attached(place)):
        return None
    spec: dict[str, Value] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": wanted}},
    }
    if place.spot.storage_class:
        spec["storageClassName"] = place.spot.storage_class
    return {"metadata": {"name": _STATE, "labels": place.labels}, "spec": spec}


def _volumes(place: Place, settings: list[_Setting]) -> list[Value]:
    found: list[Value] = []
    if any(s.path and not s.is_secret for s in settings):
        found.append({"name": _CONFIG, "configMap": {"name": place.name}})
    if any(s.path and s.is_secret for s in settings):
        found.append({"name": _SECRET, "secret": {"secretName": place.name}})
    for name, _ in _attached(place):
        found.append({"name": _volume(name), "persistentVolumeClaim": {"claimName": _claim_name(place, name)}})
    return found


def _mounts(place: Place, settings: list[_Setting]) -> list[Value]:
    found: list[Value] = [
        {"name": _SECRET if s.is_secret else _CONFIG, "mountPath": s.path, "subPath": s.key} for s in settings if s.path
    ]
    for name, where in _attached(place):
        found.append({"name": _volume(name), "mountPath": where})
    if is_stateful(place) and _own_disk(place) is not None:
        found.append({"name": _STATE, "mountPath": place.wishes.state_path or f"/var/lib/{place.name}"})
    return found


def _volume(node: str) -> str:
    return dns_label(f"volume-{node}")


def _claim_name(place: Place, node: str) -> str:
    """Name the claim of a volume node as its own place does."""
    if place.spot.given:
        return dns_label(f"{place.first.service}-{node}-{place.cluster}", limit=52)
    return dns_label(node, limit=52)
