"""One project of one OpenStack cloud: machines, their images, networks and addresses.

`expand` says what a service needs (pure). `cloud` is the one place that speaks HTTP: raw calls through the session of
openstacksdk. `neutron`, `nova`, `servers`, `images`, `volumes` and `heat` make, read and change the objects of their
service; `sight` lists everything in one call a kind; `provider` speaks the protocol.
"""
