"""Disk images: uploads what the spec points to, and finds what is there already."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from msgspec import Raw

from providers.base import Health, Mark, PermanentError, Present, TransientError
from providers.openstack.cloud import Cloud, Json, Service
from providers.openstack.errors import Gone
from providers.openstack.hand import must_be_free, must_be_ours
from providers.openstack.marks import is_ours, mapping, object_tag, owner_tag, read_mapping
from providers.openstack.sight import Sight, shown
from specs.model import Resource
from specs.values import Properties, Value

_IMAGE = Service.IMAGE
_PREFIX = "tosca_"
FOLDER = "RECONCILER_IMAGES"
"""Environment variable: the folder `file:` URLs are read from; specs reach nothing outside."""
_PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
_BLOCK = 2**20
_SYSTEM = {"type": "os_type", "distribution": "os_distro", "version": "os_version", "architecture": "architecture"}
"""Property of the `os` capability → property of images."""
_TROUBLE = {
    "queued": (Health.DEGRADED, "its content was never uploaded; the next turn does it"),
    "saving": (Health.PROGRESSING, "its content is being stored"),
    "importing": (Health.PROGRESSING, "its content is being stored"),
    "killed": (Health.DEGRADED, "its upload failed"),
    "deactivated": (Health.DEGRADED, "an administrator deactivated it"),
}


class ImageHand:
    """The images of a project."""

    def __init__(self, cloud: Cloud, timeout_seconds: float) -> None:
        self._cloud = cloud
        self._timeout = timeout_seconds

    def rows(self, repository: str, *, everything: bool) -> list[Raw]:
        """List images by the tag of their owner: it is written with the image."""
        query = {} if everything else {"tag": owner_tag(repository)}
        return self._cloud.rows(_IMAGE, "/images", "images", owner=self._cloud.project, **query)

    def mark(self, row: Json) -> Mark | None:
        """Read the mark in the properties."""
        return read_mapping(row, _PREFIX)

    def name(self, row: Json) -> tuple[str, str]:
        """Give id and name."""
        return str(row["id"]), str(row.get("name") or "")

    def present(self, row: Json, mark: Mark, sight: Sight | None = None) -> Present:
        """Show an image."""
        status = str(row["status"])
        properties: dict[str, Value] = {
            "name": row["name"],
            "format": row["disk_format"],
            "uploaded": status not in ("queued", "killed"),
        }
        for name in ("url", "checksum"):
            if row.get(_PREFIX + name):
                properties[name] = row[_PREFIX + name]
        return shown(str(row["id"]), mark, properties, {}, _TROUBLE.get(status, (Health.HEALTHY, "")))

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Fetch the content, check it, then register and upload it; finishes an upload that was cut off."""
        row = self._find(mark)
        if row is not None and row["status"] != "queued":
            return self.present(row, mark)
        with _content(resource.properties, resource.address, self._timeout) as content:
            if row is None:
                row = self._register(resource, mark)
            self._upload(row, content, resource)
        return self.present(self._get(str(row["id"])) or row, mark)

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Write the name and the mark, and upload what was never uploaded."""
        row = self._ours(current)
        if row is None:
            raise Gone(f"cannot update {resource.address}: {current.provider_id} is gone")
        row = self._patch(
            row, {"name": resource.properties["name"], **mapping(mark, _PREFIX)}, mark, f"update {resource.address}"
        )
        if row["status"] == "queued":
            with _content(resource.properties, resource.address, self._timeout) as content:
                self._upload(row, content, resource)
            row = self._get(current.provider_id) or row
        return self.present(row, mark)

    def delete(self, current: Present) -> Present | None:
        """Remove an image; servers made of it go on."""
        if self._ours(current) is not None:
            try:
                self._cloud.call(_IMAGE, "DELETE", f"/images/{current.provider_id}", doing=f"delete {current.address}")
            except Gone:
                return None
        return None

    def adopt(self, resource: Resource, number: str, mark: Mark) -> Present:
        """Write the mark, and what the spec says the content is; nothing is uploaded."""
        row = self._get(number)
        if row is None:
            raise PermanentError(f"cannot adopt {number} as {mark.address}: there is no such image")
        must_be_free(self.mark(row), mark, number)
        about = {
            _PREFIX + name: str(resource.properties[name])
            for name in ("url", "checksum")
            if name in resource.properties
        }
        return self.present(self._patch(row, {**mapping(mark, _PREFIX), **about}, mark, f"adopt {mark.address}"), mark)

    # --- steps ---

    def _register(self, resource: Resource, mark: Mark) -> Json:
        said = resource.properties
        body: Json = {
            "name": said["name"],
            "disk_format": said["format"],
            "container_format": "bare",
            "visibility": "private",
            "tags": [owner_tag(mark.repository), object_tag(mark)],
            **mapping(mark, _PREFIX),
        }
        body |= {_PREFIX + name: str(said[name]) for name in ("url", "checksum") if name in said}
        return self._cloud.call(_IMAGE, "POST", "/images", doing=f"create {resource.address}", body=body)

    def _upload(self, row: Json, content: IO[bytes], resource: Resource) -> None:
        content.seek(0)
        self._cloud.call(
            _IMAGE,
            "PUT",
            f"/images/{row['id']}/file",
            doing=f"upload {resource.address}",
            headers={"Content-Type": "application/octet-stream"},
            data=content,
        )

    def _patch(self, row: Json, values: Mapping[str, Value], mark: Mark, doing: str) -> Json:
        tags = [
            owner_tag(mark.repository),
            object_tag(mark),
            *(tag for tag in row.get("tags") or () if not is_ours(tag)),
        ]
        changes: list[Json] = [{"op": "replace", "path": "/tags", "value": tags}]
        for name, value in values.items():
            changes.append({"op": "replace" if name in row else "add", "path": f"/{name}", "value": value})
        return self._cloud.call(_IMAGE, "PATCH", f"/images/{row['id']}", doing=doing, body=changes, headers=_PATCH)

    def _find(self, mark: Mark) -> Json | None:
        found = self._cloud.pages(_IMAGE, "/images", "images", owner=self._cloud.project, tag=object_tag(mark))
        return next((row for row in found if self.mark(row) == mark), None)

    def _ours(self, current: Present) -> Json | None:
        row = self._get(current.provider_id)
        if row is not None:
            must_be_ours(self.mark(row), current.mark, current.provider_id)
        return row

    def _get(self, number: str) -> Json | None:
        return self._cloud.get(_IMAGE, f"/images/{number}", doing=f"read image {number}")


# --- what is there already -------------------------------------------------------------------------


def image_named(cloud: Cloud, name: str, doing: str) -> str:
    """Give the id of the newest usable image of a name; `PermanentError` for none."""
    found = cloud.recently(
        f"image {name}", lambda: cloud.pages(_IMAGE, "/images", "images", name=name, status="active")
    )
    if not found:
        raise PermanentError(f"cannot {doing}: there is no image {name!r} in the cloud; see openstack image list")
    return str(max(found, key=lambda row: (str(row["created_at"]), str(row["id"])))["id"])


def image_of_system(cloud: Cloud, system: Properties, doing: str) -> str:
    """Give the id of the newest usable image that says it holds an operating system."""
    wanted = {_SYSTEM[name]: str(value).lower() for name, value in system.items() if name in _SYSTEM}
    rows = cloud.recently("images", lambda: cloud.pages(_IMAGE, "/images", "images", status="active"))
    found = [row for row in rows if all(_agrees(row.get(name), value) for name, value in wanted.items())]
    if not found:
        words = ", ".join(f"{name}={value}" for name, value in sorted(wanted.items()))
        raise PermanentError(
            f"cannot {doing}: no image of the cloud carries {words}; set these properties on one,"
            " or give the node an image"
        )
    return str(max(found, key=lambda row: (str(row["created_at"]), str(row["id"])))["id"])


def _agrees(found: object, wanted: str) -> bool:
    """Compare a property; `12` and `12.0` are one version."""
    text = str(found or "").lower()
    return text == wanted or text == wanted.removesuffix(".0") or text.removesuffix(".0") == wanted


# --- content ---------------------------------------------------------------------------------------


@contextmanager
def _content(said: Properties, owner: str, timeout: float) -> Iterator[IO[bytes]]:
    """Fetch the content into a file of its own and check it."""
    url, checksum = str(said["url"]), str(said.get("checksum") or "")
    check = _hash(owner, checksum)
    with TemporaryFile() as content:
        with _opened(url, owner, timeout) as source:
            while block := _block(source, url, owner):
                content.write(block)
                if check is not None:
                    check[0].update(block)
        if check is not None and check[0].hexdigest() != check[1]:
            raise PermanentError(
                f"cannot create {owner}: what {_shown(url)} holds has {check[0].name} {check[0].hexdigest()},"
                f" the spec says {check[1]}; one of the two is wrong"
            )
        yield content


def _hash(owner: str, checksum: str) -> tuple[Any, str] | None:
    if not checksum:
        return None
    name, colon, wanted = checksum.rpartition(":")
    name = name if colon else {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}.get(len(wanted), "")
    if name not in ("md5", "sha1", "sha256", "sha512"):
        raise PermanentError(f"cannot create {owner}: checksum {checksum!r} is not understood; write sha256:...")
    return hashlib.new(name, usedforsecurity=False), wanted.lower()


def _opened(url: str, owner: str, timeout: float) -> Any:
    if url.startswith("file:"):
        return _local(url, owner)
    try:
        # expand lets http and https through only, and redirects lead to no file
        return urlopen(Request(url, headers={"User-Agent": "tosca-reconciler"}), timeout=timeout)  # noqa: S310
    except HTTPError as error:
        kind = TransientError if error.code >= 500 or error.code == 429 else PermanentError
        raise kind(f"cannot create {owner}: {_shown(url)} answers {error.code} {error.reason}") from error
    except (URLError, OSError, ValueError) as error:
        raise TransientError(
            f"cannot create {owner}: {_shown(url)} does not answer: {getattr(error, 'reason', error)}"
        ) from error


def _local(url: str, owner: str) -> IO[bytes]:
    folder = os.environ.get(FOLDER, "")
    if not folder:
        raise PermanentError(f"cannot create {owner}: set {FOLDER} to the folder that files of images are read from")
    root = Path(folder).resolve()
    path = (root / urlsplit(url).path.lstrip("/")).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        raise PermanentError(f"cannot create {owner}: {path.name} is no file in the folder of {FOLDER}")
    return path.open("rb")


def _block(source: IO[bytes], url: str, owner: str) -> bytes:
    try:
        return source.read(_BLOCK)
    except OSError as error:
        raise TransientError(f"cannot create {owner}: {_shown(url)} broke off") from error


def _shown(url: str) -> str:
    """Give a URL without what may be secret in it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
