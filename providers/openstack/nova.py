"""Flavors, keypairs and server groups: what Nova keeps beside servers.

Flavors carry their mark as description. Keypairs and server groups offer nothing but a name, so the name is the mark;
they cannot be adopted, and nothing about them can change.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw

from providers.answers import parsed
from providers.base import Mark, PermanentError, Present
from providers.openstack.cloud import PAGE, Cloud, Json, Service
from providers.openstack.errors import Gone
from providers.openstack.hand import must_be_free, must_be_ours
from providers.openstack.marks import name as marked_name
from providers.openstack.marks import read_name, read_sentence, sentence
from providers.openstack.sight import Sight, shown
from specs.model import Resource
from specs.values import Properties, Value, digest

_COMPUTE = Service.COMPUTE


class FlavorHand:
    """Sizes of servers; they belong to the whole cloud, so their mark names the project too."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def rows(self, repository: str, *, everything: bool) -> list[Raw]:
        """List all flavors we can see."""
        return self._cloud.rows(_COMPUTE, "/flavors/detail", "flavors")

    def mark(self, row: Json) -> Mark | None:
        """Read the mark in the description."""
        return read_sentence(row.get("description"), self._cloud.project)

    def name(self, row: Json) -> tuple[str, str]:
        """Give id and name."""
        return str(row["id"]), str(row["name"])

    def present(self, row: Json, mark: Mark, sight: Sight | None = None) -> Present:
        """Show a flavor."""
        properties: dict[str, Value] = {
            "name": str(row["name"]).removesuffix(self._ending(mark)),
            "vcpus": row["vcpus"],
            "ram_mib": row["ram"],
            "disk_gib": row["disk"],
            "extra_specs": dict(row.get("extra_specs") or {}),
        }
        return shown(str(row["id"]), mark, properties, {"name": row["name"]})

    def _ending(self, mark: Mark) -> str:
        """Give what keeps names apart in a cloud that many projects and repositories share."""
        return f".{digest([self._cloud.project, mark.repository])[:6]}"

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Make a flavor, then write its extra specs."""
        text = sentence(mark, self._cloud.project)
        rows = self._cloud.pages(_COMPUTE, "/flavors/detail", "flavors")
        row = next((row for row in rows if row.get("description") == text), None)
        if row is None:
            row = self._make(resource, mark, text)
        specs = resource.properties.get("extra_specs")
        if isinstance(specs, Mapping) and specs and dict(row.get("extra_specs") or {}) != dict(specs):
            path = f"/flavors/{row['id']}/os-extra_specs"
            self._cloud.call(
                _COMPUTE, "POST", path, doing=f"set up {resource.address}", body={"extra_specs": dict(specs)}
            )
            row = {**row, "extra_specs": dict(specs)}
        return self.present(row, mark)

    def _make(self, resource: Resource, mark: Mark, text: str) -> Json:
        said = resource.properties
        body = {
            "name": f"{said['name']}{self._ending(mark)}",
            "vcpus": said["vcpus"],
            "ram": said["ram_mib"],
            "disk": said["disk_gib"],
            "description": text,
        }
        found = self._cloud.call(
            _COMPUTE, "POST", "/flavors", doing=f"create {resource.address}", body={"flavor": body}
        )
        return dict(found["flavor"])

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Write the mark; a size never changes in place."""
        row = self._ours(current)
        if row is None:
            raise Gone(f"cannot update {resource.address}: {current.provider_id} is gone")
        return self._describe(row, mark, f"update {resource.address}")

    def delete(self, current: Present) -> Present | None:
        """Remove a flavor; servers keep their own copy of it."""
        if self._ours(current) is not None:
            remove(self._cloud, f"/flavors/{current.provider_id}", f"delete {current.address}")
        return None

    def adopt(self, resource: Resource, number: str, mark: Mark) -> Present:
        """Write the mark into the description."""
        row = self._get(number)
        if row is None:
            raise PermanentError(f"cannot adopt {number} as {mark.address}: there is no such flavor")
        must_be_free(self.mark(row), mark, number)
        return self._describe(row, mark, f"adopt {mark.address}")

    def _describe(self, row: Json, mark: Mark, doing: str) -> Present:
        body = {"flavor": {"description": sentence(mark, self._cloud.project)}}
        found = self._cloud.call(_COMPUTE, "PUT", f"/flavors/{row['id']}", doing=doing, body=body)
        return self.present({**row, **found["flavor"]}, mark)

    def _ours(self, current: Present) -> Json | None:
        row = self._get(current.provider_id)
        if row is not None:
            must_be_ours(self.mark(row), current.mark, current.provider_id)
        return row

    def _get(self, number: str) -> Json | None:
        found = self._cloud.get(_COMPUTE, f"/flavors/{number}", doing=f"read flavor {number}")
        return None if found is None else dict(found["flavor"])


class KeypairHand:
    """Public keys; they belong to the user, so their name tells the project too."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def rows(self, repository: str, *, everything: bool) -> list[Raw]:
        """List the keys of the user; each is wrapped once more."""
        return self._cloud.rows(_COMPUTE, "/os-keypairs", "keypairs")

    def mark(self, row: Json) -> Mark | None:
        """Read the mark in the name."""
        return read_name(row["keypair"]["name"], self._cloud.project)

    def name(self, row: Json) -> tuple[str, str]:
        """Give the name, which is the id as well."""
        return str(row["keypair"]["name"]), str(row["keypair"]["name"])

    def present(self, row: Json, mark: Mark, sight: Sight | None = None) -> Present:
        """Show a key."""
        row = row["keypair"]
        attributes: dict[str, Value] = {"name": row["name"], "fingerprint": row["fingerprint"]}
        return shown(str(row["name"]), mark, {"public_key": row["public_key"].strip()}, attributes)

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Bring the public key; the private one never leaves its owner."""
        name = marked_name(mark, self._cloud.project)
        rows = self._cloud.pages(_COMPUTE, "/os-keypairs", "keypairs")
        row = next((row for row in rows if row["keypair"]["name"] == name), None)
        if row is None:
            body = {"keypair": {"name": name, "public_key": resource.properties["public_key"]}}
            row = self._cloud.call(_COMPUTE, "POST", "/os-keypairs", doing=f"create {resource.address}", body=body)
        return self.present(row, mark)

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Refuse: a key has nothing that could change."""
        raise unchangeable(resource)

    def delete(self, current: Present) -> Present | None:
        """Remove a key; servers keep what they were built with."""
        must_be_ours(read_name(current.provider_id, self._cloud.project), current.mark, current.provider_id)
        number = current.provider_id.replace(" ", "%20")
        remove(self._cloud, f"/os-keypairs/{number}", f"delete {current.address}")
        return None

    def adopt(self, resource: Resource, number: str, mark: Mark) -> Present:
        """Refuse: the name is the mark."""
        raise unadoptable(resource, number)


class GroupHand:
    """Server groups."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def rows(self, repository: str, *, everything: bool) -> list[Raw]:
        """List the groups of the project; the service knows offsets, no links."""
        found: list[Raw] = []
        while page := self._cloud.rows(_COMPUTE, "/os-server-groups", "server_groups", offset=str(len(found))):
            found += page
            if len(page) < PAGE:
                break
        return found

    def mark(self, row: Json) -> Mark | None:
        """Read the mark in the name."""
        return read_name(row["name"])

    def name(self, row: Json) -> tuple[str, str]:
        """Give id and name."""
        return str(row["id"]), str(row["name"])

    def present(self, row: Json, mark: Mark, sight: Sight | None = None) -> Present:
        """Show a group."""
        return shown(str(row["id"]), mark, {"policy": row["policy"]}, {})

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Make a group."""
        name = marked_name(mark)
        rows = map(parsed, self.rows("", everything=True))
        row = next((row for row in rows if row["name"] == name), None)
        if row is None:
            body = {"server_group": {"name": name, "policy": resource.properties["policy"]}}
            made = self._cloud.call(
                _COMPUTE, "POST", "/os-server-groups", doing=f"create {resource.address}", body=body
            )
            row = dict(made["server_group"])
        return self.present(row, mark)

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Refuse: a group has nothing that could change."""
        raise unchangeable(resource)

    def delete(self, current: Present) -> Present | None:
        """Remove a group; its servers stay where they are."""
        path = f"/os-server-groups/{current.provider_id}"
        row = self._cloud.get(_COMPUTE, path, doing=f"read server group {current.provider_id}")
        if row is not None:
            must_be_ours(self.mark(row["server_group"]), current.mark, current.provider_id)
            remove(self._cloud, path, f"delete {current.address}")
        return None

    def adopt(self, resource: Resource, number: str, mark: Mark) -> Present:
        """Refuse: the name is the mark."""
        raise unadoptable(resource, number)


def unchangeable(resource: Resource) -> PermanentError:
    """Say that a kind cannot change in place."""
    return PermanentError(f"{resource.address} cannot change in place: Nova keeps a {resource.kind} as it was made")


def unadoptable(resource: Resource, number: str) -> PermanentError:
    """Say that a kind cannot be adopted."""
    return PermanentError(
        f"{number} cannot be adopted as {resource.address}: a {resource.kind} has nothing to write a mark on but its"
        " name, which cannot change; let a new one be made and remove the old one"
    )


def remove(cloud: Cloud, path: str, doing: str) -> None:
    """Delete something of Nova that goes at once."""
    try:
        cloud.call(_COMPUTE, "DELETE", path, doing=doing)
    except Gone:
        return


# --- choosing a size -------------------------------------------------------------------------------


def all_flavors(cloud: Cloud) -> list[Json]:
    """List the sizes of the cloud, as they were a moment ago."""
    return cloud.recently("flavors", lambda: cloud.pages(_COMPUTE, "/flavors/detail", "flavors"))


def smallest(flavors: list[Json], asked: Properties, doing: str) -> Json:
    """Choose the smallest flavor that offers at least what is asked; `PermanentError` if none does."""
    wants = {"vcpus": asked.get("vcpus", 0), "ram": asked.get("ram_mib", 0), "disk": asked.get("disk_gib", 0)}
    specs = asked.get("extra_specs")
    fitting = [
        row
        for row in flavors
        if not row.get("OS-FLV-DISABLED:disabled")
        and all(row[name] >= least for name, least in wants.items())
        and (not isinstance(specs, Mapping) or specs.items() <= (row.get("extra_specs") or {}).items())
    ]
    if not fitting:
        raise PermanentError(
            f"cannot {doing}: no flavor has {wants['vcpus']} vCPU, {wants['ram']} MiB memory and {wants['disk']} GiB"
            f" disk{f' and {dict(specs)}' if isinstance(specs, Mapping) and specs else ''}; ask for less, or let the"
            " site make its own (flavors: create)"
        )
    return min(fitting, key=lambda row: (row["vcpus"], row["ram"], row["disk"], row["name"]))
