"""Makes, changes and removes servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from threading import Lock

from msgspec import Raw

from providers.answers import parsed
from providers.base import Health, Mark, PermanentError, Present, QuotaExceeded, TransientError
from providers.openstack.cloud import Cloud, Json, Service
from providers.openstack.cloud_init import user_data
from providers.openstack.errors import Gone
from providers.openstack.hand import must_be_free, must_be_ours
from providers.openstack.images import image_named, image_of_system
from providers.openstack.machines import (
    attributes_of,
    found_no_room,
    health_of,
    is_no_host,
    read_server,
    record_of,
)
from providers.openstack.marks import is_ours, mapping, object_tag, owner_tag, read_mapping
from providers.openstack.nova import all_flavors, remove, smallest
from providers.openstack.patrol import Patrol
from providers.openstack.record import PREFIX, pack
from providers.openstack.settings import Settings
from providers.openstack.sight import Bulk, Live, Names, Sight, shown
from specs.model import Resource
from specs.values import Properties, Value

_COMPUTE = Service.COMPUTE
_RESIZE_SECONDS = 300.0
_HOST_SECONDS = 60.0
_STRICT = frozenset({"affinity", "anti-affinity"})
"""Policies of server groups that fail a build rather than bend."""


class ServerHand:
    """The servers of a project."""

    def __init__(self, cloud: Cloud, names: Names, settings: Settings) -> None:
        self._cloud = cloud
        self._names = names
        self._settings = settings
        self._patrols: dict[str, Patrol] = {}
        self._turns: dict[str, Lock] = {}
        """Server group → whose turn it is to find a host."""

    # --- looking ---

    def rows(self, repository: str, *, everything: bool) -> list[Raw]:
        """List servers by the tag of their owner: it is written with the server, so none is missed."""
        query = {} if everything else {"tags": owner_tag(repository)}
        return self._cloud.rows(_COMPUTE, "/servers/detail", "servers", **query)

    def mark(self, row: Json) -> Mark | None:
        """Read the mark in the metadata."""
        return read_mapping(row.get("metadata") or {}, PREFIX)

    def name(self, row: Json) -> tuple[str, str]:
        """Give id and name."""
        return str(row["id"]), str(row["name"])

    def present(self, row: Json, mark: Mark, sight: Sight) -> Present:
        """Show a server."""
        record, health = record_of(row), health_of(row)
        properties, attributes = read_server(row, record, sight), attributes_of(row, record, sight)
        if health[0] is Health.HEALTHY:
            attributes["state"] = "started"
        return shown(str(row["id"]), mark, properties, attributes, health, no_room=found_no_room(row))

    # --- making ---

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Ask for a server; it comes up by itself. One that no host took makes way for a new one."""
        with self._turn(resource.properties) as strict:
            present = self._made(resource, mark)
            if strict:
                self._await_host(present)
        return present

    def _made(self, resource: Resource, mark: Mark) -> Present:
        row = self._find(mark)
        if row is not None and not found_no_room(row):
            return self.present(row, mark, Live(self._cloud, self._names))
        if row is not None:
            self._clear_away(str(row["id"]), resource)
        body = self._body(resource, mark)
        made = self._cloud.call(_COMPUTE, "POST", "/servers", doing=f"create {resource.address}", body=body)
        return self.present(_begun(made["server"]["id"], body["server"]), mark, Bulk(self._names))

    def _turn(self, said: Properties) -> AbstractContextManager[bool]:
        """Let one server at a time look for a host in a strict group; gives whether it is in one.

        The scheduler of Nova does not see who is on the way to a host. Of several at once each may be sent where
        another already goes, and hosts then turn away all of them until none is left to try.
        """
        group = str(said.get("group") or "")
        return self._turns.setdefault(group, Lock()) if group and self._is_strict(group) else nullcontext(False)

    def _is_strict(self, group: str) -> bool:
        def policy() -> str:
            doing = f"read server group {group}"
            return str(
                self._cloud.call(_COMPUTE, "GET", f"/os-server-groups/{group}", doing=doing)["server_group"]["policy"]
            )

        return self._cloud.remember(f"policy of {group}", policy) in _STRICT

    def _await_host(self, present: Present) -> None:
        """Wait until a host has it, or it is clear that none takes it."""
        number = present.provider_id

        def look() -> list[Json]:
            row = self._get(number)
            return [] if row is None else [row]

        def settled(row: Json | None) -> bool:
            return row is None or bool(row.get("hostId")) or row["status"] != "BUILD"

        Patrol(look).wait(number, settled, _HOST_SECONDS, f"find a host for {present.address}")

    def _clear_away(self, number: str, resource: Resource) -> None:
        """Remove what is on no host, which is done at once."""
        remove(self._cloud, f"/servers/{number}", f"create {resource.address} anew")
        if self._get(number) is not None:
            raise TransientError(f"cannot create {resource.address}: {number}, which no host took, is still going")

    def _body(self, resource: Resource, mark: Mark) -> Json:
        said = resource.properties
        doing = f"create {resource.address}"
        flavor = self._flavor(said, doing)
        image = self._image(said, doing)
        ports = said.get("ports")
        server: Json = {
            "name": said["name"],
            "flavorRef": flavor["id"],
            "networks": [{"port": port} for port in ports] if isinstance(ports, list) and ports else "none",
            "metadata": self._metadata(said, mark, flavor, image),
            "tags": self._tags(said, mark),
        }
        for name, word in (("availability_zone", "availability_zone"), ("key", "key_name")):
            if said.get(name):
                server[word] = said[name]
        if script := self._script(resource):
            server |= {"user_data": script, "config_drive": True}
        devices = _devices(said, image)
        if devices:
            server["block_device_mapping_v2"] = devices
        if not said.get("boot_volume_gb"):
            server["imageRef"] = image
        hints = dict(_pairs(said.get("scheduler_hints")))
        if said.get("group"):
            hints["group"] = said["group"]
        return {"server": server, **({"os:scheduler_hints": hints} if hints else {})}

    def _metadata(self, said: Properties, mark: Mark, flavor: Json, image: str) -> dict[str, str]:
        chosen = {"flavor": str(flavor["name"]), "image": image}
        if zone := said.get("availability_zone"):
            chosen["zone"] = str(zone)
        own = {key: str(value) for key, value in _pairs(said.get("metadata"))}
        return {**own, **mapping(mark, PREFIX), **pack(said, chosen)}

    def _tags(self, said: Properties, mark: Mark) -> list[str]:
        return [owner_tag(mark.repository), object_tag(mark), *_texts(said.get("tags"))]

    def _script(self, resource: Resource) -> str:
        return user_data(resource.address, resource.properties.get("environment"), resource.properties.get("software"))

    def _flavor(self, said: Properties, doing: str) -> Json:
        if said.get("flavor"):
            for _ in range(2):
                for row in all_flavors(self._cloud):
                    if row["name"] == said["flavor"]:
                        return row
                self._cloud.forget("flavors")  # it may have been made since
            raise PermanentError(f"cannot {doing}: there is no flavor {said['flavor']!r}")
        return smallest(all_flavors(self._cloud), said, doing)

    def _image(self, said: Properties, doing: str) -> str:
        if said.get("image"):
            return str(said["image"])
        if said.get("image_name"):
            return image_named(self._cloud, str(said["image_name"]), doing)
        return image_of_system(self._cloud, dict(_pairs(said.get("os"))), doing)

    # --- changing ---

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Change what differs, in this order: size, devices, name and marks, image and scripts, power."""
        row = self._ours(current)
        if row is None:
            raise Gone(f"cannot update {resource.address}: {current.provider_id} is gone")
        number, said, doing = current.provider_id, resource.properties, f"update {resource.address}"
        row = self._revive(row, mark, doing)
        sight = Live(self._cloud, self._names)
        there = read_server(row, record_of(row), sight)
        flavor = self._flavor(said, doing)
        with self._turn(said):
            row = self._resize(row, flavor, mark, doing)
        self._attach(number, said, there, doing)
        if row["name"] != said["name"]:
            self._act("PUT", number, "", {"server": {"name": said["name"]}}, doing)
        tags = self._tags(said, mark)
        if sorted(tags) != sorted(row.get("tags") or ()):
            self._act("PUT", number, "/tags", {"tags": tags}, doing)
        other_image = _image_differs(said, there)
        image = self._image(said, doing) if other_image else _image_of(row)
        metadata = self._metadata(said, mark, flavor, image)
        if other_image or _key_differs(said, there) or _scripts_differ(said, there, row):
            self._rebuild(resource, number, image, metadata)
        else:
            self._act("PUT", number, "/metadata", {"metadata": metadata}, doing)
            self._power(row, doing)
        return self.present(self._read(number), mark, sight)

    def _rebuild(self, resource: Resource, number: str, image: str, metadata: Mapping[str, str]) -> None:
        doing = f"build {resource.address} anew"
        if self._settings.rebuild == "refuse":
            raise PermanentError(
                f"cannot {doing}: its image or scripts changed, and the site does not let servers be built anew in"
                " place (rebuild: refuse); delete it by hand, or allow it"
            )
        said = resource.properties
        script = self._script(resource) or None
        body: Json = {"imageRef": image, "name": said["name"], "metadata": dict(metadata), "user_data": script}
        if said.get("key"):
            body["key_name"] = said["key"]
        self._action(number, "rebuild", body, doing)

    def _resize(self, row: Json, flavor: Json, mark: Mark, doing: str) -> Json:
        """Change the size and confirm it; one that was begun before is confirmed or taken back."""
        number = str(row["id"])
        current = str((row.get("flavor") or {}).get("original_name"))
        if row["status"] == "VERIFY_RESIZE":
            wanted = current == flavor["name"]
            self._action(number, "confirmResize" if wanted else "revertResize", None, doing)
            row = self._settled(number, mark, doing, ("ACTIVE", "SHUTOFF", "ERROR"))
            current = str((row.get("flavor") or {}).get("original_name"))
        if current == flavor["name"]:
            return row
        self._action(number, "resize", {"flavorRef": flavor["id"]}, doing)
        row = self._settled(number, mark, doing, ("VERIFY_RESIZE", "ERROR"), moved=current)
        if row["status"] == "ERROR":
            raise PermanentError(f"cannot {doing}: the new size failed: {health_of(row)[1]}")
        if row["status"] == "VERIFY_RESIZE":
            self._action(number, "confirmResize", None, doing)
            row = self._settled(number, mark, doing, ("ACTIVE", "SHUTOFF", "ERROR"))
        return row

    def _settled(self, number: str, mark: Mark, doing: str, states: tuple[str, ...], moved: str = "") -> Json:
        """Wait for one of some states; back at the size it had (`moved`) and without a task means it was refused."""

        def ready(row: Json | None) -> bool:
            if row is None:
                return True
            back = bool(moved) and not row.get("OS-EXT-STS:task_state") and row["status"] in ("ACTIVE", "SHUTOFF")
            return (row["status"] in states and not row.get("OS-EXT-STS:task_state")) or back

        tag = mark.repository
        patrol = self._patrols.setdefault(tag, Patrol(lambda: [*map(parsed, self.rows(tag, everything=False))]))
        row = patrol.wait(number, ready, _RESIZE_SECONDS, doing)
        if row is None:
            raise Gone(f"cannot {doing}: {number} is gone")
        if moved and row["status"] not in states and (row.get("flavor") or {}).get("original_name") == moved:
            raise self._taken_back(number, doing)
        return row

    def _taken_back(self, number: str, doing: str) -> PermanentError:
        found = self._cloud.call(_COMPUTE, "GET", f"/servers/{number}/os-instance-actions", doing="read what Nova did")
        actions: list[Json] = found.get("instanceActions") or [{}]
        latest = actions[0]
        said = latest.get("message") or "no host may take it"
        kind = QuotaExceeded if is_no_host(said) else PermanentError
        return kind(f"cannot {doing}: Nova took back the {latest.get('action', 'change')}: {said}")

    def _attach(self, number: str, said: Properties, there: Properties, doing: str) -> None:
        """Attach and detach ports and volumes."""
        ports, attached = set(_texts(said.get("ports"))), set(_texts(there.get("ports")))
        for port in sorted(attached - ports):
            remove(self._cloud, f"/servers/{number}/os-interface/{port}", doing)
        for port in _texts(said.get("ports")):
            if port not in attached:
                self._act("POST", number, "/os-interface", {"interfaceAttachment": {"port_id": port}}, doing)
        volumes, present = _volumes(said), _volumes(there)
        for volume in sorted(present.keys() - volumes.keys()):
            remove(self._cloud, f"/servers/{number}/os-volume_attachments/{volume}", doing)
        for volume, device in volumes.items():
            if volume not in present:
                body = {"volumeId": volume, **({"device": device} if device else {})}
                self._act("POST", number, "/os-volume_attachments", {"volumeAttachment": body}, doing)

    def _power(self, row: Json, doing: str) -> None:
        """Start what stands still, in the way its state allows."""
        number, status = str(row["id"]), str(row["status"])
        if row.get("OS-EXT-STS:task_state"):
            return
        verb = {"SHUTOFF": "os-start", "PAUSED": "unpause", "SUSPENDED": "resume", "RESCUED": "unrescue"}.get(status)
        if status in ("SHELVED", "SHELVED_OFFLOADED"):
            verb = "unshelve"
        if verb is not None:
            self._action(number, verb, None, doing)

    def _revive(self, row: Json, mark: Mark, doing: str) -> Json:
        """Reboot a server that failed; nothing else may be done to it before."""
        number = str(row["id"])
        if row["status"] != "ERROR" or row.get("OS-EXT-STS:task_state"):
            return row
        self._action(number, "reboot", {"type": "HARD"}, doing)
        row = self._settled(number, mark, doing, ("ACTIVE", "ERROR"))
        if row["status"] == "ERROR":
            raise PermanentError(f"cannot {doing}: a reboot did not help: {health_of(row)[1]}")
        return row

    # --- removing and adopting ---

    def delete(self, current: Present) -> Present | None:
        """Ask for a server to be removed; gives what is left while Nova works on it."""
        row = self._ours(current)
        if row is None:
            return None
        remove(self._cloud, f"/servers/{current.provider_id}", f"delete {current.address}")
        left = self._get(current.provider_id)
        if left is None or left["status"] == "SOFT_DELETED":
            return None
        left["OS-EXT-STS:task_state"] = "deleting"
        return self.present(left, current.mark, Live(self._cloud, self._names))

    def adopt(self, resource: Resource, number: str, mark: Mark) -> Present:
        """Write mark and record beside what others wrote; the server itself stays as it is."""
        row = self._get(number)
        if row is None:
            raise PermanentError(f"cannot adopt {number} as {mark.address}: there is no such server")
        must_be_free(self.mark(row), mark, number)
        doing = f"adopt {mark.address}"
        image = row.get("image")
        flavor = {"name": (row.get("flavor") or {}).get("original_name", "")}
        metadata = self._metadata(resource.properties, mark, flavor, str(image["id"]) if image else "")
        ours = {key: value for key, value in metadata.items() if key.startswith(PREFIX)}
        self._act("POST", number, "/metadata", {"metadata": ours}, doing)
        tags = sorted(
            {*(tag for tag in row.get("tags") or () if not is_ours(tag)), owner_tag(mark.repository), object_tag(mark)}
        )
        self._act("PUT", number, "/tags", {"tags": tags}, doing)
        return self.present(self._read(number), mark, Live(self._cloud, self._names))

    # --- calls ---

    def _find(self, mark: Mark) -> Json | None:
        found = self._cloud.pages(
            _COMPUTE, "/servers/detail", "servers", tags=f"{owner_tag(mark.repository)},{object_tag(mark)}"
        )
        return next((row for row in found if self.mark(row) == mark), None)

    def _ours(self, current: Present) -> Json | None:
        row = self._get(current.provider_id)
        if row is not None:
            must_be_ours(self.mark(row), current.mark, current.provider_id)
        return row

    def _get(self, number: str) -> Json | None:
        found = self._cloud.get(_COMPUTE, f"/servers/{number}", doing=f"read server {number}")
        return None if found is None else dict(found["server"])

    def _read(self, number: str) -> Json:
        row = self._get(number)
        if row is None:
            raise Gone(f"server {number} is gone")
        return row

    def _act(self, method: str, number: str, path: str, body: Json, doing: str) -> None:
        self._cloud.call(_COMPUTE, method, f"/servers/{number}{path}", doing=doing, body=body)

    def _action(self, number: str, verb: str, body: object, doing: str) -> None:
        self._act("POST", number, "/action", {verb: body}, doing)


def _begun(number: str, server: Json) -> Json:
    """Give a server as it will be listed at first; nobody has to be asked."""
    image = server.get("imageRef")
    return {
        "id": number,
        "name": server["name"],
        "status": "BUILD",
        "OS-EXT-STS:task_state": "scheduling",
        "metadata": server["metadata"],
        "tags": server["tags"],
        "key_name": server.get("key_name"),
        "image": {"id": image} if image else "",
    }


def _devices(said: Properties, image: str) -> list[Json]:
    """Give the disks a server boots with, where it has more than the one of its image."""
    size, volumes = said.get("boot_volume_gb"), _volumes(said)
    if not size and not volumes:
        return []
    root: Json = {"boot_index": 0, "uuid": image, "source_type": "image", "delete_on_termination": True}
    root |= {"destination_type": "volume", "volume_size": size} if size else {"destination_type": "local"}
    more: list[Json] = []
    for volume, device in volumes.items():
        data = {"boot_index": -1, "uuid": volume, "source_type": "volume", "destination_type": "volume"}
        more.append({**data, **({"device_name": device} if device else {})})
    return [root, *more]


def _image_differs(said: Properties, there: Properties) -> bool:
    for name in ("image", "image_name", "os"):
        if name in said:
            return (
                name in there and said[name] != there[name] if name == "image" else _asked_otherwise(name, said, there)
            )
    return False


def _asked_otherwise(name: str, said: Properties, there: Properties) -> bool:
    """Tell whether another image was asked for; an image nobody remembers why it was chosen is left."""
    remembered = [other for other in ("image_name", "os") if other in there]
    return bool(remembered) and (name not in there or said[name] != there[name])


def _image_of(row: Json) -> str:
    image = row.get("image")
    return str(image["id"]) if isinstance(image, Mapping) else record_of(row)[1].get("image", "")


def _key_differs(said: Properties, there: Properties) -> bool:
    return said.get("key", "") != there.get("key", "")


def _scripts_differ(said: Properties, there: Properties, row: Json) -> bool:
    """Tell whether it was set up otherwise; one nobody remembers how it was set up is left."""
    _, chosen = record_of(row)
    return bool(chosen) and any(said.get(name) != there.get(name) for name in ("software", "environment"))


def _volumes(said: Properties) -> dict[str, str]:
    found = said.get("volumes")
    rows = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
    return {str(one["volume"]): str(one.get("device") or "") for one in rows}


def _texts(found: Value) -> list[str]:
    return [str(one) for one in found] if isinstance(found, list) else []


def _pairs(found: Value) -> Iterable[tuple[str, Value]]:
    return found.items() if isinstance(found, Mapping) else ()
