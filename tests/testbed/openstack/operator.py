"""Looks at a project and changes it the way a person would: past the provider."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.testbed.openstack.cloud import Cloud

_CLIENT = Path(__file__).parent / "inside" / "client.py"
SHIPPED = frozenset({"tiny", "public", "default", "m1.nano", "m1.tiny", "m1.small", "m1.medium", "m1.large"})
"""Names of what belongs to the cloud itself."""
_ROOTS = {"compute": "/v2.1", "network": "/v2.0", "image": "/v2", "placement": "", "identity": "/v3"}
_PATCH = "application/openstack-images-v2.1-json-patch"
_NETWORK = {
    "port_chain": "/sfc/port_chains", "port_pair_group": "/sfc/port_pair_groups", "port_pair": "/sfc/port_pairs",
    "flow_classifier": "/sfc/flow_classifiers", "floating_ip": "/floatingips", "router": "/routers", "port": "/ports",
    "subnet": "/subnets", "network": "/networks", "security_group": "/security-groups", "qos_policy": "/qos/policies",
}  # fmt: skip
"""Kind → its list; in the order in which they can be removed."""


@dataclass(slots=True)
class Operator:
    """Somebody who is signed in to a project."""

    cloud: Cloud
    user: str = "admin"
    renamed: dict[str, str] = field(default_factory=dict)
    """Old name → new name of keypairs that were renamed, which no API can do."""
    _kinds: dict[str, str] = field(default_factory=dict)
    _token: str = ""
    _project: str = ""

    def get(self, service: str, path: str) -> Any:
        """Read something; `None` if it is not there."""
        return self.call("GET", service, path)

    def call(self, method: str, service: str, path: str, body: object = None, content_type: str = "") -> Any:
        """Make a call; `AssertionError` shows what is refused, `None` says that something is not there."""
        headers = {"X-Auth-Token": self._signed_in(), "Content-Type": content_type or "application/json"}
        if service == "compute":
            headers["OpenStack-API-Version"] = "compute 2.64"
        data = None if body is None else json.dumps(body).encode()
        url = self.cloud.url(service) + _ROOTS[service] + path.replace(" ", "%20")
        try:
            with urlopen(Request(url, data, headers, method=method), timeout=120) as answer:
                text = answer.read()
                return json.loads(text) if text and "json" in answer.headers.get("Content-Type", "") else {}
        except HTTPError as error:
            if error.code == 404:
                return None
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()[:300]}") from error

    def _signed_in(self) -> str:
        if not self._token:
            domain = {"name": "Default"}
            user = {"name": self.user, "password": self.user, "domain": domain}
            body = {
                "auth": {
                    "identity": {"methods": ["password"], "password": {"user": user}},
                    "scope": {"project": {"name": self.user, "domain": domain}},
                }
            }
            url, headers = f"{self.cloud.url('identity')}/v3/auth/tokens", {"Content-Type": "application/json"}
            with urlopen(Request(url, json.dumps(body).encode(), headers), timeout=60) as answer:
                self._token = answer.headers["X-Subject-Token"]
                self._project = json.loads(answer.read())["token"]["project"]["id"]
        return self._token

    # --- looking ---

    def ids(self, kind: str) -> list[str]:
        """Give the ids of what the project has of a kind, except what the cloud brought."""
        return [number for number, name in self._listed(kind) if name not in SHIPPED]

    def exists(self, provider_id: str) -> bool:
        """Tell whether something of that id is there, of whatever kind."""
        number = self.renamed.get(provider_id, provider_id)
        return any(number == found for kind in self._likely(provider_id) for found, _ in self._listed(kind))

    def kind_of(self, provider_id: str) -> str:
        """Give the kind of an object."""
        for kind in self._likely(provider_id):
            if any(found == provider_id for found, _ in self._listed(kind)):
                self._kinds[provider_id] = kind
                return kind
        raise AssertionError(f"there is no {provider_id}")

    def _likely(self, provider_id: str) -> Iterable[str]:
        """Give the kind an object had before, or every kind."""
        return (self._kinds[provider_id],) if provider_id in self._kinds else (*_NETWORK, *_OTHERS)

    def _listed(self, kind: str) -> Iterable[tuple[str, str]]:
        if kind in _NETWORK:
            path = f"{_NETWORK[kind]}?project_id={self.project}"
            (rows,) = (value for key, value in self.get("network", path).items() if not key.endswith("_links"))
            return [(str(row["id"]), str(row.get("name", ""))) for row in rows if not _of_a_router(row)]
        service, path, key = _OTHERS[kind]
        rows = self.get(service, path.format(project=self.project))[key]
        if kind == "keypair":
            return [(str(row["keypair"]["name"]), str(row["keypair"]["name"])) for row in rows]
        return [(str(row["id"]), str(row["name"])) for row in rows]

    @property
    def project(self) -> str:
        """Give the id of the project."""
        self._signed_in()
        return self._project

    # --- changing ---

    def write_network(self, kind: str, number: str, **values: object) -> None:
        """Change something of the network service."""
        item = {"floating_ip": "floatingip", "qos_policy": "policy"}.get(kind, kind)
        self.call("PUT", "network", f"{_NETWORK[kind]}/{number}", {item: values})

    def openstack(self, *commands: str) -> None:
        """Run commands of the `openstack` command line one after another, as this user."""
        user = {"OS_CLIENT_CONFIG_FILE": str(self.cloud.clouds_yaml), "OS_CLOUD": self.user}
        done = subprocess.run(
            [str(self.cloud.cache / "client" / "bin" / "python"), str(_CLIENT)],
            input="\n".join(commands),
            env={**os.environ, **user, "OS_COMPUTE_API_VERSION": "2.64"},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def unmark(self, provider_id: str) -> None:
        """Take the mark off an object."""
        kind = self.kind_of(provider_id)
        match kind:
            case "server":
                self.call("PUT", "compute", f"/servers/{provider_id}/metadata", {"metadata": {}})
                self.call("DELETE", "compute", f"/servers/{provider_id}/tags")
            case "image":
                row = self.get("image", f"/images/{provider_id}")
                marks = [{"op": "remove", "path": f"/{key}"} for key in row if key.startswith("tosca_")]
                patch = [{"op": "replace", "path": "/tags", "value": []}, *marks]
                self.call("PATCH", "image", f"/images/{provider_id}", patch, _PATCH)
            case "flavor":
                self.call("PUT", "compute", f"/flavors/{provider_id}", {"flavor": {"description": "nobody's"}})
            case "keypair":
                self._rename("nova_api.key_pairs", "name", provider_id)
                self.renamed[provider_id] = "renamed"
            case "server_group":
                self._rename("nova_api.instance_groups", "uuid", provider_id)
            case _:
                self.write_network(kind, provider_id, description="")

    def _rename(self, table: str, column: str, value: str) -> None:
        self.cloud.sql(f"update {table} set name = 'renamed' where {column} = '{value}'")

    def rename(self, kind: str, provider_id: str) -> str:
        """Give something that carries its mark as a name another one, past all APIs; give its id then."""
        self.unmark(provider_id)
        return self.renamed.get(provider_id, provider_id)

    # --- sweeping ---

    def sweep(self) -> None:
        """Remove everything from the project; what hangs on something that is still going is tried again."""
        deadline = monotonic() + 180
        while True:
            try:
                self._sweep()
                return
            except AssertionError:
                if monotonic() > deadline:
                    raise
                sleep(1)

    def _sweep(self) -> None:
        found = self._everything()
        self._remove("compute", "/servers", found["server"])
        if found["server"]:
            self.wait(lambda: not self.ids("server"), "the servers are gone")
        for kind, path in _NETWORK.items():
            if kind == "router":
                self._each(self._clear_router, found[kind])
            self._remove("network", path, found[kind])
        self._remove("compute", "/os-keypairs", found["keypair"])
        self._remove("compute", "/os-server-groups", found["server_group"])
        self._remove("compute", "/flavors", found.get("flavor", []))
        self._remove("image", "/images", found["image"])
        self.renamed.clear()
        self._kinds.clear()

    def _everything(self) -> dict[str, list[str]]:
        kinds = [kind for kind in (*_NETWORK, *_OTHERS) if kind != "flavor" or self.user == "admin"]
        with ThreadPoolExecutor(4) as pool:
            return dict(zip(kinds, pool.map(self.ids, kinds), strict=True))

    def _remove(self, service: str, path: str, numbers: Iterable[str]) -> None:
        self._each(lambda number: self.call("DELETE", service, f"{path}/{number}"), numbers)

    def left(self) -> list[str]:
        """Name what is left in the project."""
        return [f"{kind} {number}" for kind, numbers in self._everything().items() for number in numbers]

    def _clear_router(self, router: str) -> None:
        for port in self.get("network", f"/ports?device_id={router}")["ports"]:
            if "gateway" not in port["device_owner"]:
                body = {"port_id": port["id"]}
                self.call("PUT", "network", f"/routers/{router}/remove_router_interface", body)

    @staticmethod
    def _each(do: Callable[[str], object], numbers: Iterable[str]) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(do, numbers))

    @staticmethod
    def wait(ready: Callable[[], object], what: str, seconds: float = 90) -> None:
        """Wait until something is so."""
        deadline = monotonic() + seconds
        while not ready():
            assert monotonic() < deadline, f"waited {seconds:g} s in vain until {what}"
            sleep(0.2)


_OTHERS = {
    "server": ("compute", "/servers/detail", "servers"),
    "flavor": ("compute", "/flavors/detail", "flavors"),
    "keypair": ("compute", "/os-keypairs", "keypairs"),
    "server_group": ("compute", "/os-server-groups", "server_groups"),
    "image": ("image", "/images?owner={project}", "images"),
}
"""Kind → service, list and key of the list."""


def _of_a_router(row: Any) -> bool:
    return str(row.get("device_owner", "")).startswith("network:")
