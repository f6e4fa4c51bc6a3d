"""The SDN fabric: names, ways and trees as rules of OpenFlow switches, through one of several controllers.

`topology` reads the fabric from a site, `routes` finds ways, `bits` gives every port its bit, `expand` says what the
services need; all pure. `core` and `edge` turn that into rules, and rules back into that. `controller` is what a
controller must do; `ryu`, `floodlight` and `opendaylight` do it. `sight` looks, `hand` writes, `provider` speaks the
protocol.
"""
