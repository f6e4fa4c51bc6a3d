"""The words of the FLAME dialect: types, states, constraints and what alerts may say."""

from __future__ import annotations

FUNCTION = "eu.ict-flame.nodes.ServiceFunction"
CLUSTER = "eu.ict-flame.nodes.Cluster"
SWITCH = "eu.ict-flame.nodes.Switch"
LINK = "eu.ict-flame.nodes.Link"
ACCESS_POINT = "eu.ict-flame.nodes.AccessPoint"
PROVIDER = "eu.ict-flame.nodes.Provider"

INITIAL_POLICY = "eu.ict-flame.policies.InitialPolicy"
STATE_CHANGE = "eu.ict-flame.policies.StateChange"
ALERT = "eu.ict-flame.policies.Alert"
SCALING = "eu.ict-flame.policies.Scaling"
TOSCA_SCALING = "tosca.policies.Scaling"
"""What SCALING derives from; services without FLAME types use it directly."""
PLACEMENT = "eu.ict-flame.policies.Placement"
QOS = "eu.ict-flame.policies.Qos"

STATE_PREFIX = "eu.ict-flame.sfe.state.lifecycle."
"""What the name of a lifecycle state begins with in documents."""
INITIALISE = "initialise"
"""The constraint of an InitialPolicy's trigger."""
CONSTRAINT_PREFIX = "clmc::"
"""What the constraint of a StateChange's trigger begins with; the trigger of the alerts document follows."""
SFEMC = "flame_sfemc"
"""The handler of an alert that moves endpoints; other handlers are URLs."""

EVENT_TYPES = ("threshold", "relative", "deadman")
OPERATORS = ("lt", "gt", "lte", "gte", "eq", "neq")
AGGREGATIONS = ("count", "mean", "median", "mode", "sum", "first", "last", "max", "min")
TAGS = ("flame_sfp", "flame_sf", "flame_sfe", "flame_server", "flame_location")
"""What the `resource_type` of an alert can be narrowed by."""
