"""What a policy wants changed in a service spec, and the change itself: a commit's worth of bytes.

Policies return a `SpecPatch`; they see no files. `patched` finds where the values stand and changes exactly these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from specs.errors import ReconcilerError, Severity
from specs.model import LifecycleState
from specs.splice import Pointer, SpliceError, replaced
from specs.tosca.flame import INITIALISE, STATE_PREFIX
from specs.values import Value
from specs.yaml.document import load


class PatchError(ReconcilerError):
    """A patch cannot be made to a file as it is written; the message says what a person can do."""


class OvertakenError(PatchError):
    """The value was changed since the patch was decided: whoever did that weighs more than an alert."""


class BrokenFileError(PatchError):
    """The file cannot be read; whoever broke it will mend it."""


class Mode(StrEnum):
    """What becomes of a patch."""

    COMMIT = "commit"
    """It is committed to the branch that is followed."""
    PROPOSE = "propose"
    """It is committed to a branch of its own, for review."""
    REPORT = "report"
    """It is only reported."""


def way(subject: str, *, up: bool) -> str:
    """Write what is changed, and which way: `+storage@edge-1` or `-storage@edge-1`."""
    return f"{'+' if up else '-'}{subject}"


class StateSet(Struct, frozen=True):
    """The wanted lifecycle state of a function on a cluster."""

    node: str
    cluster: str
    before: LifecycleState
    after: LifecycleState

    @property
    def subject(self) -> str:
        """What is changed, whatever to."""
        return f"{self.node}@{self.cluster}"

    @property
    def way(self) -> str:
        """What is changed, and which way."""
        return way(self.subject, up=self.after.reaches(self.before))

    def __str__(self) -> str:
        return f"{self.node} on {self.cluster} from {self.before} to {self.after}"


class CountSet(Struct, frozen=True):
    """How many instances of a node there are on each of its clusters."""

    node: str
    before: int
    after: int

    @property
    def subject(self) -> str:
        """What is changed, whatever to."""
        return self.node

    @property
    def way(self) -> str:
        """What is changed, and which way."""
        return way(self.subject, up=self.after > self.before)

    def __str__(self) -> str:
        return f"{self.node} from {self.before} to {self.after} {'instance' if self.after == 1 else 'instances'}"


Change = StateSet | CountSet


class Reason(Struct, frozen=True, kw_only=True):
    """Why: the alert and what it saw."""

    id: str
    """The id of the firing, which goes with it through log, commit, run and configuration event."""
    site: str
    policy: str
    trigger: str
    at: datetime
    """The end of the window."""
    value: str = ""
    """What was measured, as text; empty if nobody said."""
    rule: str = ""
    """What it was compared with, in words."""
    window: str = ""
    query: str = ""
    """The query that gave the value, or where to look it up."""


class SpecPatch(Struct, frozen=True, kw_only=True):
    """A bounded change of one service spec, and its reason."""

    service: str
    file: str
    changes: tuple[Change, ...]
    mode: Mode
    reason: Reason

    @property
    def subject(self) -> str:
        """The first line of the commit."""
        whole = f"{self.service}: {'; '.join(map(str, self.changes))}"
        return whole if len(whole) <= 100 else f"{self.service}: {len(self.changes)} changes by {self.reason.policy}"

    @property
    def branch(self) -> str:
        """Where it is proposed."""
        return f"reconciler/{self.service}/{self.reason.policy}/{self.reason.trigger}"

    def message(self) -> str:
        """Write the commit's message: what, why, and the trailers machines read."""
        reason = self.reason
        what = "\n".join(f"- {change}" for change in self.changes)
        trailers = {
            "Alert": reason.id,
            "Policy": f"{self.service}/{reason.policy}",
            "Trigger": reason.trigger,
            "Site": reason.site,
            "Value": reason.value,
            "Rule": reason.rule,
            "Window": reason.window,
            "Query": reason.query,
        }
        lines = "\n".join(f"{name}: {_one_line(text)}" for name, text in trailers.items() if text)
        why = f"The alert {reason.trigger} of the policy {reason.policy} fired at {reason.at:%Y-%m-%d %H:%M:%S} UTC."
        return f"{_one_line(self.subject)}\n\n{why}\n\n{what}\n\n{lines}\n"


ALERT_TRAILER = "Alert"
"""The trailer by which a commit is known to be an alert's."""


def trailer(message: str, name: str) -> str:
    """Give the value of a trailer in the last paragraph of a commit's message; empty if there is none."""
    paragraph = message.strip().rpartition("\n\n")[2]
    for line in paragraph.splitlines():
        key, colon, value = line.partition(": ")
        if colon and key == name:
            return value.strip()
    return ""


def patched(path: str, content: bytes, changes: Iterable[Change]) -> bytes:
    """Give the file with the values changed and every other byte as it was.

    `OvertakenError` if a value is not what the patch found, `PatchError` if it is written where it cannot be changed
    alone, `BrokenFileError` if the file is no document now. A value that is as wanted already is left as it is.
    """
    for change in changes:
        content = _patched(path, content, change)
    return content


def _patched(path: str, content: bytes, change: Change) -> bytes:
    document, faults = load(path, content)
    broken = next((fault for fault in faults if fault.severity is Severity.ERROR), None)
    if document is None or broken is not None:
        raise BrokenFileError(f"{broken or f'{path} cannot be read'}")
    match change:
        case StateSet():
            pointer = _state_pointer(path, document.data, change)
            old: Value = f"{STATE_PREFIX}{change.before}" if change.before is not LifecycleState.UNPLACED else None
            new: Value = f"{STATE_PREFIX}{change.after}"
        case CountSet():
            pointer = ("topology_template", "node_templates", change.node, "capabilities", "scalable", "properties",
                       "default_instances")  # fmt: skip
            old, new = change.before, change.after
    found = _at(document.data, pointer)
    if found == new:
        return content
    if found != old and not (found is None and _may_be_absent(change)) and not _says_unplaced(found, change):
        raise OvertakenError(f"{path}: {_said(pointer)} is {_shown(found)} now and not {_shown(old)}; it is left alone")
    while len(pointer) > 1 and _at(document.data, pointer[:-1]) is None:
        pointer, new = pointer[:-1], {str(pointer[-1]): new}
    try:
        return replaced(path, content, pointer, new)
    except SpliceError as error:
        raise PatchError(f"{path}: {_said(pointer)} cannot be changed: {error}") from error


def _state_pointer(path: str, data: Value, change: StateSet) -> Pointer:
    """Find the map of clusters and states of a function in an InitialPolicy; one that names the cluster comes first."""
    found = [
        (*place, change.node, "lifecycle_actions", change.cluster)
        for place, action in _initial_actions(data)
        if isinstance(action.get(change.node), Mapping)
    ]
    if not found:
        raise PatchError(f"{path} has no InitialPolicy that speaks of {change.node}; it stands in another file")
    return next((pointer for pointer in found if _at(data, pointer) is not None), found[0])


def _initial_actions(data: Value) -> Iterable[tuple[Pointer, Mapping[str, Value]]]:
    policies = _at(data, ("topology_template", "policies"))
    for number, item in enumerate(policies if isinstance(policies, list) else []):
        for name, policy in item.items() if isinstance(item, Mapping) else ():
            triggers = policy.get("triggers") if isinstance(policy, Mapping) else None
            for trigger, body in triggers.items() if isinstance(triggers, Mapping) else ():
                action = body.get("action") if isinstance(body, Mapping) else None
                if isinstance(action, Mapping) and _at(body, ("condition", "constraint")) == INITIALISE:
                    place = ("topology_template", "policies", number, name, "triggers", trigger, "action")
                    yield place, action


def _may_be_absent(change: Change) -> bool:
    return isinstance(change, CountSet) or change.before is LifecycleState.UNPLACED


def _says_unplaced(found: Value, change: Change) -> bool:
    is_unplaced = isinstance(change, StateSet) and change.before is LifecycleState.UNPLACED
    return is_unplaced and found == f"{STATE_PREFIX}{LifecycleState.UNPLACED}"


def _at(data: Value, pointer: Pointer) -> Value:
    for step in pointer:
        if isinstance(data, Mapping) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return None
    return data


def _said(pointer: Pointer) -> str:
    """Name a place as a person would: by its last steps."""
    return ".".join(str(step) for step in pointer[-3:])


def _shown(value: Value) -> str:
    return "not set" if value is None else repr(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
