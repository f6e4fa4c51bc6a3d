"""What a site spec may say about its OpenStack: in the settings of the binding and the properties of its clusters."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network

from msgspec import Struct, field

from providers.base import PermanentError
from specs.model import Binding, Cluster, Site
from specs.values import Properties, Value

_TEXTS = ("cloud", "region", "external_network", "cidr", "ssh_key", "flavors", "rebuild")
_NUMBERS = ("boot_volume_gb", "timeout_seconds")
_BINDING = (*_TEXTS, *_NUMBERS, "dns_servers", "qos_classes")
_CIDR = "10.240.0.0/16"
_CHOICES = {"flavors": ("choose", "create"), "rebuild": ("allow", "refuse")}

QOS_CLASSES: Mapping[str, float] = {"GOLD": 100.0, "SILVER": 50.0, "BRONZE": 25.0}
"""Traffic class → most 10^6 bit/s, each way, where the site does not say otherwise."""


class Zone(Struct, frozen=True, kw_only=True):
    """One cluster of the site: where it is in the cloud."""

    availability_zone: str = ""
    scheduler_hints: Properties = field(default_factory=dict)
    """Handed to the scheduler of nova with every server."""
    flavor_extra_specs: Mapping[str, str] = field(default_factory=dict)
    """What flavors made for the cluster carry, and chosen ones must carry: ties it to a host aggregate."""


class Settings(Struct, frozen=True, kw_only=True):
    """How one binding works."""

    cloud: str = ""
    """Name in `clouds.yaml`; empty: `OS_CLOUD`, or the `OS_*` variables."""
    region: str = ""
    external_network: str = ""
    """Name of the network floating IPs come from; empty: services get neither router nor public address."""
    cidr: str = _CIDR
    """Address range of the network a service gets where its spec names none."""
    dns_servers: tuple[str, ...] = ()
    ssh_key: str = ""
    """A public key every server of the binding lets in."""
    flavors: str = "choose"
    """`choose` the smallest that fits, or `create` one for every size that is asked for."""
    rebuild: str = "allow"
    """Whether a server may be built anew in place when its image or its scripts change."""
    boot_volume_gb: int = 0
    """Boot from a volume of this size; 0: from the image."""
    timeout_seconds: float = 60.0
    """How long one call may take."""
    qos_classes: Mapping[str, float] = field(default_factory=lambda: QOS_CLASSES)
    zones: Mapping[str, Zone] = field(default_factory=dict)
    """By cluster, for the clusters the binding serves."""


def read_settings(site: Site, binding: Binding) -> Settings:
    """Read the settings of a binding and its clusters; `PermanentError` for what cannot be used."""
    where = f"binding {binding.name} of {site.name}"
    if unknown := sorted(binding.settings.keys() - set(_BINDING)):
        raise PermanentError(f"{where}: unknown setting {', '.join(unknown)}; OpenStack knows {', '.join(_BINDING)}")
    texts = {name: _text(where, name, binding.settings[name]) for name in _TEXTS if name in binding.settings}
    for name, choices in _CHOICES.items():
        if texts.get(name, choices[0]) not in choices:
            raise PermanentError(f"{where}: {name} is {texts[name]!r}; write {' or '.join(choices)}")
    numbers = {name: _number(where, name, binding.settings.get(name, 0)) for name in _NUMBERS}
    return Settings(
        cloud=texts.get("cloud", ""),
        region=texts.get("region", ""),
        external_network=texts.get("external_network", ""),
        cidr=_range(where, texts.get("cidr", _CIDR)),
        dns_servers=tuple(_list(where, "dns_servers", binding.settings.get("dns_servers", []))),
        ssh_key=texts.get("ssh_key", ""),
        flavors=texts.get("flavors", "choose"),
        rebuild=texts.get("rebuild", "allow"),
        boot_volume_gb=int(numbers["boot_volume_gb"]),
        timeout_seconds=numbers["timeout_seconds"] or 60.0,
        qos_classes=_classes(where, binding.settings.get("qos_classes")),
        zones={
            cluster.name: _zone(f"cluster {cluster.name} of {site.name}", cluster)
            for cluster in site.clusters.values()
            if cluster.binding == binding.name
        },
    )


def _zone(where: str, cluster: Cluster) -> Zone:
    said = cluster.properties
    hints, specs = said.get("scheduler_hints", {}), said.get("flavor_extra_specs", {})
    for name, value in (("scheduler_hints", hints), ("flavor_extra_specs", specs)):
        if not isinstance(value, Mapping):
            raise PermanentError(f"{where}: {name} is {value!r}; write a mapping")
    return Zone(
        availability_zone=_text(where, "availability_zone", said.get("availability_zone", "")),
        scheduler_hints=hints if isinstance(hints, Mapping) else {},
        flavor_extra_specs={key: str(value) for key, value in specs.items()} if isinstance(specs, Mapping) else {},
    )


def _text(where: str, name: str, value: Value) -> str:
    if not isinstance(value, str):
        raise PermanentError(f"{where}: {name} is {value!r}; write text")
    return value


def _number(where: str, name: str, value: Value) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise PermanentError(f"{where}: {name} is {value!r}; write a number")
    return float(value)


def _range(where: str, text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError as error:
        raise PermanentError(f"{where}: cidr: {error}; write a range such as 10.240.0.0/16") from error


def _list(where: str, name: str, value: Value) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise PermanentError(f"{where}: {name} is {value!r}; write a list of texts")
    return [str(item) for item in value]


def _classes(where: str, value: Value) -> Mapping[str, float]:
    if value is None:
        return QOS_CLASSES
    if not isinstance(value, Mapping):
        raise PermanentError(f"{where}: qos_classes is {value!r}; write a mapping such as {{GOLD: 100}}, in Mbit/s")
    return {name: _number(where, f"qos_classes.{name}", limit) for name, limit in value.items()}
