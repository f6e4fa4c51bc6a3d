"""Heat stacks: a template that was there before, run as one opaque thing."""

from __future__ import annotations

from msgspec import Raw

from providers.base import Health, Mark, PermanentError, Present
from providers.openstack.cloud import Cloud, Json, Service
from providers.openstack.errors import Gone, Missing
from providers.openstack.hand import must_be_free, must_be_ours
from providers.openstack.marks import is_ours, pieces, read_pieces
from providers.openstack.sight import Sight, shown
from specs.model import Resource
from specs.values import Secret, Value

_STACK = Service.STACK


class StackHand:
    """The stacks of a project; their tags carry the mark, in pieces, because tags are short."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def rows(self, repository: str, *, everything: bool) -> list[Raw]:
        """List the stacks of the project."""
        if not self._cloud.has(_STACK):
            return []
        return self._cloud.rows(_STACK, "/stacks", "stacks")

    def mark(self, row: Json) -> Mark | None:
        """Read the mark in the tags."""
        return read_pieces(_tags(row))

    def name(self, row: Json) -> tuple[str, str]:
        """Give id and name."""
        return str(row["id"]), str(row["stack_name"])

    def present(self, row: Json, mark: Mark, sight: Sight | None = None) -> Present:
        """Show a stack."""
        outputs = {str(one["output_key"]): one.get("output_value") for one in row.get("outputs") or ()}
        attributes: dict[str, Value] = {"outputs": outputs} if outputs else {}
        return shown(str(row["id"]), mark, {"name": row["stack_name"]}, attributes, _health(row))

    def create(self, resource: Resource, mark: Mark) -> Present:
        """Hand the template to Heat."""
        if not self._cloud.has(_STACK):
            raise Missing(f"cannot create {resource.address}: the cloud has no stacks (orchestration service)")
        rows = self._cloud.pages(_STACK, "/stacks", "stacks")
        row = next((row for row in rows if self.mark(row) == mark), None)
        if row is None:
            body = {"stack_name": resource.properties["name"], **_body(resource, mark, [])}
            made = self._cloud.call(_STACK, "POST", "/stacks", doing=f"create {resource.address}", body=body)
            row = self._get(str(made["stack"]["id"]))
        if row is None:
            raise Gone(f"cannot create {resource.address}: the stack vanished at once")
        return self.present(row, mark)

    def update(self, resource: Resource, current: Present, mark: Mark) -> Present:
        """Hand template and parameters to Heat again, which changes what they change."""
        row = self._ours(current)
        if row is None:
            raise Gone(f"cannot update {resource.address}: {current.provider_id} is gone")
        path = f"/stacks/{row['stack_name']}/{current.provider_id}"
        self._cloud.call(
            _STACK, "PUT", path, doing=f"update {resource.address}", body=_body(resource, mark, _tags(row))
        )
        return self.present(self._get(current.provider_id) or row, mark)

    def delete(self, current: Present) -> Present | None:
        """Ask for a stack to be removed with all it made."""
        row = self._ours(current)
        if row is None:
            return None
        path = f"/stacks/{row['stack_name']}/{current.provider_id}"
        try:
            self._cloud.call(_STACK, "DELETE", path, doing=f"delete {current.address}")
        except Gone:
            return None
        left = self._get(current.provider_id)
        return None if left is None else self.present(left, current.mark)

    def adopt(self, resource: Resource, number: str, mark: Mark) -> Present:
        """Write the mark into the tags; template and parameters stay."""
        row = self._get(number)
        if row is None:
            raise PermanentError(f"cannot adopt {number} as {mark.address}: there is no such stack")
        must_be_free(self.mark(row), mark, number)
        tags = ",".join([*pieces(mark), *_others(row)])
        path = f"/stacks/{row['stack_name']}/{number}"
        self._cloud.call(_STACK, "PATCH", path, doing=f"adopt {mark.address}", body={"existing": True, "tags": tags})
        return self.present(self._get(number) or row, mark)

    def _ours(self, current: Present) -> Json | None:
        row = self._get(current.provider_id)
        if row is not None:
            must_be_ours(self.mark(row), current.mark, current.provider_id)
        return row

    def _get(self, number: str) -> Json | None:
        found = self._cloud.get(_STACK, f"/stacks/{number}", doing=f"read stack {number}")
        row = None if found is None else dict(found["stack"])
        return None if row is None or row.get("stack_status") == "DELETE_COMPLETE" else row


def _body(resource: Resource, mark: Mark, tags: list[str]) -> Json:
    said = resource.properties["parameters"]
    values = said.items() if isinstance(said, dict) else ()
    parameters = {name: value.text if isinstance(value, Secret) else value for name, value in values}
    ours = pieces(mark)
    others = [tag for tag in tags if not is_ours(tag) and tag[2:3] != "-"]
    return {"template": resource.properties["template"], "parameters": parameters, "tags": ",".join([*ours, *others])}


def _tags(row: Json) -> list[str]:
    found = row.get("tags") or []
    return [str(tag) for tag in (found.split(",") if isinstance(found, str) else found)]


def _others(row: Json) -> list[str]:
    return [tag for tag in _tags(row) if not is_ours(tag)]


def _health(row: Json) -> tuple[Health, str]:
    status = str(row.get("stack_status"))
    if status.endswith("_FAILED"):
        return Health.DEGRADED, str(row.get("stack_status_reason") or status)
    if status.endswith("_IN_PROGRESS"):
        return Health.PROGRESSING, status.lower().replace("_", " ")
    return Health.HEALTHY, ""
