"""An admission webhook: a policy of somebody else, asked by the API server before workloads are written."""

from __future__ import annotations

import base64
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.testbed.kubernetes.control_plane import ControlPlane

EVIL = "registry.example.org/evil:1"
REASON = "images of this registry are not allowed"
_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1beta1/validatingwebhookconfigurations"


class _Policy(http.server.BaseHTTPRequestHandler):
    """Allows every workload that does not run the evil image."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        answer: dict[str, Any] = {"uid": request["uid"], "allowed": EVIL not in json.dumps(request["object"])}
        if not answer["allowed"]:
            answer["status"] = {"code": 403, "message": REASON}
        review = {"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "response": answer}
        body = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def admission(plane: ControlPlane, site: str, *, dry_runs: bool = True) -> Iterator[None]:
    """Ask the policy about every deployment of a site; without `dry_runs` the API server refuses to try."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Policy)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(plane.folder / "server.crt", plane.folder / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    authority = base64.b64encode((plane.folder / "ca.crt").read_bytes()).decode()
    url = f"https://127.0.0.1:{server.server_address[1]}/"
    webhook = {
        "name": "policy.example.org",
        "clientConfig": {"url": url, "caBundle": authority},
        "rules": [
            {
                "apiGroups": ["apps"],
                "apiVersions": ["*"],
                "resources": ["deployments"],
                "operations": ["CREATE", "UPDATE"],
            }
        ],
        "namespaceSelector": {"matchLabels": {"tosca-reconciler/site": site}},
        "failurePolicy": "Fail",
        "sideEffects": "None" if dry_runs else "Some",
    }
    plane.call("POST", _CONFIGURATIONS, {"metadata": {"name": f"policy-{site}"}, "webhooks": [webhook]})
    try:
        yield
    finally:
        plane.call("DELETE", f"{_CONFIGURATIONS}/policy-{site}")
        server.shutdown()
        server.server_close()
