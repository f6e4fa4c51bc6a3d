"""Service functions and container applications as workloads of Kubernetes clusters, by server-side apply.

`expand`, `workload`, `exposure` and `manifests` say what a service needs, `shape` how it is written (pure).
`connection` speaks to an API server, over the official client in `client`; `sight` looks, `hands` changes, `health`
judges; `provider` speaks the protocol.
"""
