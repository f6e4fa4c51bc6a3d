"""What InitialPolicy and StateChange say about service functions: checked, and the first turned into states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from specs.model import LifecycleState, Policy
from specs.tosca.cursor import Cursor
from specs.tosca.flame import CONSTRAINT_PREFIX, FUNCTION, INITIAL_POLICY, INITIALISE, STATE_CHANGE, STATE_PREFIX
from specs.tosca.naming import is_name
from specs.tosca.topology import NodeTemplate, Topology
from specs.tosca.wording import suggest

_TRANSIENT = {
    "placing": "placed",
    "booting": "booted",
    "connecting": "connected",
    "disconnecting": "booted",
    "shutting_down": "placed",
    "unplacing": "unplaced",
}
_ACTION_KEYS = frozenset({"fqdn", "lifecycle_actions"})


class Lifecycle(Struct):
    """Reads the lifecycle policies of one service; `clusters` are those of every site it runs on."""

    clusters: Mapping[str, frozenset[str]]
    states: dict[str, dict[str, LifecycleState]] = field(default_factory=dict)
    """Node of the service → cluster → the state it begins with."""

    def read(self, topology: Topology, policies: Mapping[str, Policy]) -> None:
        """Read the policies of a topology and of those that stand in for its nodes."""
        written = topology.fields["policies"].named_items() if "policies" in topology.fields else ()
        for name, cursor in written:
            policy = policies.get(topology.naming.node(name))
            if policy is None:
                continue
            if policy.is_a(INITIAL_POLICY):
                self._initial(name, cursor, topology)
            elif policy.is_a(STATE_CHANGE):
                self._change(cursor, topology)
        self._mention_unplaced(topology)

    def _initial(self, name: str, cursor: Cursor, topology: Topology) -> None:
        triggers = _triggers(cursor)
        if not triggers:
            cursor.error("missing-key", f"the policy {name!r} needs a trigger with 'constraint: initialise'", key=True)
        used: set[str] = set()
        for trigger in triggers.values():
            given = _raw_fields(trigger)
            constraint = _constraint(given)
            if constraint is None or constraint.value != INITIALISE:
                (constraint or trigger).error(
                    "wrong-constraint", "a trigger of an InitialPolicy has the condition 'constraint: initialise'"
                )
            for node, cluster, state, place in self._actions(trigger, topology):
                used.add(cluster)
                self._set(node, cluster, state, place)
        self._check_sites(used, cursor)

    def _set(self, node: str, cluster: str, state: LifecycleState, place: Cursor) -> None:
        states = self.states.setdefault(node, {})
        if cluster in states:
            place.error("duplicate-state", f"{node!r} on {cluster!r} has a state already; keep one", key=True)
        states.setdefault(cluster, state)

    def _change(self, cursor: Cursor, topology: Topology) -> None:
        for trigger in _triggers(cursor).values():
            constraint = _constraint(_raw_fields(trigger))
            value = constraint.value if constraint is not None else None
            if not isinstance(value, str) or not value.startswith(CONSTRAINT_PREFIX) or not _has_name(value):
                (constraint or trigger).error(
                    "wrong-constraint",
                    "a trigger of a StateChange has a condition 'constraint: clmc::<trigger of the alerts document>'",
                )
            for _ in self._actions(trigger, topology):
                pass

    # --- actions ---

    def _actions(self, trigger: Cursor, topology: Topology) -> Iterable[tuple[str, str, LifecycleState, Cursor]]:
        given = _raw_fields(trigger)
        if "action" not in given:
            trigger.error("missing-key", f"{trigger.name} needs 'action'", key=True)
            return
        for name, cursor in given["action"].fields().items():
            node = _function(name, cursor, topology)
            action = cursor.fields(_ACTION_KEYS, ("lifecycle_actions",))
            if "fqdn" in action and node is not None:
                _check_fqdn(action["fqdn"], node)
            for cluster, place in action["lifecycle_actions"].fields().items() if "lifecycle_actions" in action else ():
                state = _state(place)
                if self._knows(cluster, place) and node is not None and state is not None:
                    yield topology.naming.node(name), cluster, state, place

    def _knows(self, cluster: str, place: Cursor) -> bool:
        """Tell whether any site the service runs on has the cluster; reports one that none has."""
        if not self.clusters:
            return is_name(cluster)
        lacking = sorted(site for site, names in self.clusters.items() if cluster not in names)
        if len(lacking) == len(self.clusters):
            known = frozenset[str]().union(*self.clusters.values())
            sites = ", ".join(sorted(self.clusters))
            place.error(
                "unknown-cluster", f"there is no cluster {cluster!r} on {sites}{suggest(cluster, known)}", key=True
            )
            return False
        if lacking:
            place.warning(
                "unknown-cluster", f"{', '.join(lacking)} has no cluster {cluster!r}: nothing goes there", key=True
            )
        return True

    def _check_sites(self, used: set[str], cursor: Cursor) -> None:
        """Report the sites where nothing would be placed, because all names are those of other sites."""
        for site, names in sorted(self.clusters.items()):
            if used and not used & names:
                cursor.error(
                    "unknown-cluster",
                    f"none of these clusters is on the site {site!r}{suggest('', names)}; "
                    "name one of them or take the site out of metadata.sites",
                    key=True,
                )

    def _mention_unplaced(self, topology: Topology) -> None:
        for name, node in topology.nodes.items():
            if node.inner is None and node.type.is_a(FUNCTION) and topology.naming.node(name) not in self.states:
                node.cursor.warning(
                    "not-placed", f"no InitialPolicy gives {name!r} a state on a cluster: it is not deployed", key=True
                )


def _triggers(cursor: Cursor) -> Mapping[str, Cursor]:
    given = _raw_fields(cursor)
    return given["triggers"].fields() if "triggers" in given else {}


def _raw_fields(cursor: Cursor) -> Mapping[str, Cursor]:
    return cursor.fields() if isinstance(cursor.value, dict) else {}


def _constraint(given: Mapping[str, Cursor]) -> Cursor | None:
    return _raw_fields(given["condition"]).get("constraint") if "condition" in given else None


def _has_name(constraint: str) -> bool:
    return len(constraint.strip()) > len(CONSTRAINT_PREFIX)


def _function(name: str, cursor: Cursor, topology: Topology) -> NodeTemplate | None:
    node = topology.nodes.get(name)
    functions = [known for known, one in topology.nodes.items() if one.type.is_a(FUNCTION)]
    if node is None:
        cursor.error("unknown-node", f"there is no service function {name!r}{suggest(name, functions)}", key=True)
    elif not node.type.broken and not node.type.is_a(FUNCTION):
        cursor.error(
            "wrong-target", f"{name!r} is a {node.type.name}; only service functions have lifecycle states", key=True
        )
        return None
    return node


def _check_fqdn(cursor: Cursor, node: NodeTemplate) -> None:
    known = node.property("fqdn") if "fqdn" in node.type.properties else None
    names = cursor.texts() if isinstance(cursor.value, list) else (cursor.text(),)
    for name in names:
        if isinstance(known, list) and name and name not in known:
            cursor.warning(
                "unknown-fqdn", f"{name!r} is not among the names of {node.name!r}{suggest(name, map(str, known))}"
            )


def _state(cursor: Cursor) -> LifecycleState | None:
    text = cursor.text()
    word = text.removeprefix(STATE_PREFIX)
    if text.startswith(STATE_PREFIX) and word in tuple(LifecycleState):
        return LifecycleState(word)
    if word in _TRANSIENT:
        cursor.error(
            "transient-state",
            f"{word!r} is passed through and cannot be wanted; write {STATE_PREFIX}{_TRANSIENT[word]}",
        )
    elif "fail" in word:
        cursor.error("transient-state", f"{word!r} is what went wrong and cannot be wanted; write the state to reach")
    elif cursor.is_text:
        known = ", ".join(LifecycleState)
        cursor.error("unknown-state", f"{text!r} is no lifecycle state; write {STATE_PREFIX}<one of {known}>")
    return None
