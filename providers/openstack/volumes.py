"""Volumes of Cinder."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw

from providers.base import Health, Mark, PermanentError, Present
from providers.openstack.cloud import Cloud, Json, Service
from providers.openstack.errors import Gone, Missing
from providers.openstack.hand import must_be_free, must_be_ours
from providers.openstack.marks import mapping, read_mapping
from providers.openstack.sight import Sight, shown
from specs.model import Resource
from specs.values import Value

_VOLUME = Service.VOLUME
_PREFIX = "tosca."
_READY = frozenset({"available", "in-use", "reserved", "attaching", "detaching"})


class VolumeHand:
    """The volumes of a project."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def rows(self, repository: str, *, everything: bool) -> list[Raw]:
        """List the volumes of the project."""
        if not self._cloud.has(_VOLUME):
            return []
        return self._cloud.rows(_VOLUME, "/volumes/detail", "volumes")

    def mark(self, row: Json) -> Mark | None:
        """Read the mark in the metadata."""
        return read_mapping(row.get("metadata") or {}, _PREFIX)

    def name(self, row: Json) -> tuple[str, str]:
        """Give id and name."""
        return str(row["id"]), str(row.get("name") or "")

    def present(self, row: Json, mark: Mark, sight: Sight | None = None) -> Present:
        """Show a volume."""
        properties: dict[str, Value] = {"name": row.get("name") or "", "size_gib": row["size"]}
        for name, word in (
            ("type", "volume_type"),
            ("snapshot_id", "snapshot_id"),
            ("availability_zone", "availability_zone"),
        ):
            if row.get(word):
                properties[name] = row[word]
        return shown(str(row["id"]), mark, properties, {"volume_id": row["id"]}, _health(str(row["status"])))

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Ask for a volume."""
        if not self._cloud.has(_VOLUME):
            raise Missing(f"cannot create {resource.address}: the cloud has no volumes (block-storage service)")
        rows = self._cloud.pages(_VOLUME, "/volumes/detail", "volumes")
        row = next((row for row in rows if self.mark(row) == mark), None)
        if row is None:
            said = resource.properties
            body: Json = {"name": said["name"], "size": said["size_gib"], "metadata": mapping(mark, _PREFIX)}
            for name, word in (
                ("type", "volume_type"),
                ("snapshot_id", "snapshot_id"),
                ("availability_zone", "availability_zone"),
            ):
                if name in said:
                    body[word] = said[name]
            made = self._cloud.call(
                _VOLUME, "POST", "/volumes", doing=f"create {resource.address}", body={"volume": body}
            )
            row = dict(made["volume"])
        return self.present(row, mark)

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Write name and mark, and make it larger; Cinder makes none smaller."""
        row = self._ours(current)
        if row is None:
            raise Gone(f"cannot update {resource.address}: {current.provider_id} is gone")
        said, doing, path = resource.properties, f"update {resource.address}", f"/volumes/{current.provider_id}"
        size = said["size_gib"]
        if isinstance(size, int) and size < row["size"]:
            raise PermanentError(f"cannot {doing}: it has {row['size']} GiB and cannot shrink to {size}")
        if size != row["size"]:
            self._cloud.call(_VOLUME, "POST", f"{path}/action", doing=doing, body={"os-extend": {"new_size": size}})
        metadata = {**_metadata(row), **mapping(mark, _PREFIX)}
        body = {"volume": {"name": said["name"], "metadata": metadata}}
        found = self._cloud.call(_VOLUME, "PUT", path, doing=doing, body=body)
        return self.present({**row, **found["volume"]}, mark)

    def delete(self, current: Present) -> Present | None:
        """Ask for a volume to be removed."""
        row = self._ours(current)
        if row is None:
            return None
        try:
            self._cloud.call(_VOLUME, "DELETE", f"/volumes/{current.provider_id}", doing=f"delete {current.address}")
        except Gone:
            return None
        left = self._get(current.provider_id)
        return None if left is None else self.present(left, current.mark)

    def adopt(self, resource: Resource, number: str, mark: Mark) -> Present:
        """Write the mark into the metadata."""
        row = self._get(number)
        if row is None:
            raise PermanentError(f"cannot adopt {number} as {mark.address}: there is no such volume")
        must_be_free(self.mark(row), mark, number)
        body = {"metadata": mapping(mark, _PREFIX)}
        found = self._cloud.call(
            _VOLUME, "POST", f"/volumes/{number}/metadata", doing=f"adopt {mark.address}", body=body
        )
        return self.present({**row, "metadata": found["metadata"]}, mark)

    def _ours(self, current: Present) -> Json | None:
        row = self._get(current.provider_id)
        if row is not None:
            must_be_ours(self.mark(row), current.mark, current.provider_id)
        return row

    def _get(self, number: str) -> Json | None:
        found = self._cloud.get(_VOLUME, f"/volumes/{number}", doing=f"read volume {number}")
        return None if found is None else dict(found["volume"])


def _metadata(row: Json) -> Mapping[str, str]:
    return dict(row.get("metadata") or {})


def _health(status: str) -> tuple[Health, str]:
    if status in _READY:
        return Health.HEALTHY, ""
    if status.startswith("error"):
        return Health.DEGRADED, f"Cinder says {status.replace('_', ' ')}"
    return Health.PROGRESSING, status
