"""The official client: credentials, TLS and connections come from it, its models are left alone."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client, config

from providers.base import PermanentError, ProviderError, TransientError
from providers.kubernetes.connection import Call
from providers.kubernetes.errors import Answer
from providers.kubernetes.naming import MANAGER
from providers.kubernetes.settings import Access

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 60.0
_POOL = 32
"""Connections kept open."""


class HttpStream:
    """An answer that comes line by line."""

    def __init__(self, access: Access, response: urllib3.BaseHTTPResponse) -> None:
        self._access = access
        self._response = response
        self._socket: socket.socket | None = getattr(response.connection, "sock", None)

    @property
    def status(self) -> int:
        """The status it began with."""
        return self._response.status

    def lines(self) -> Iterator[bytes]:
        """Give the lines as they come."""
        rest = b""
        try:
            for chunk in self._response.stream(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _unreachable(self._access, error) from error
        if rest:
            yield rest

    def cancel(self) -> None:
        """Break it off; who reads it gets an error or its end."""
        if self._socket is not None:
            with suppress(OSError):  # it is closed already
                self._socket.shutdown(socket.SHUT_RDWR)
        self._response.close()


class Client:
    """One API server, reached with the credentials of a kubeconfig or of the pod we run in."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._api = _open(access)

    def send(self, call: Call) -> Answer:
        """Make a request and wait for all of the answer."""
        try:
            response = self._request(call, read=_READ_SECONDS, preload=True)
        except urllib3.exceptions.HTTPError as error:
            raise _unreachable(self._access, error) from error
        return Answer(response.status, response.data, response.headers.get("Retry-After", ""))

    def stream(self, call: Call, seconds: float) -> HttpStream:
        """Make a request whose answer goes on; `seconds` is the longest silence."""
        try:
            return HttpStream(self._access, self._request(call, read=seconds, preload=False))
        except urllib3.exceptions.HTTPError as error:
            raise _unreachable(self._access, error) from error

    def close(self) -> None:
        """Let go of all connections."""
        self._api.rest_client.close()

    def _request(self, call: Call, *, read: float, preload: bool) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": call.accept, "User-Agent": MANAGER}
        for setting in self._api.configuration.auth_settings().values():
            headers[setting["key"]] = setting["value"]
        body = None
        if call.body is not None:
            headers["Content-Type"] = call.content_type
            body = json.dumps(call.body).encode()
        pool: urllib3.PoolManager = self._api.rest_client.pool_manager
        return pool.request(
            call.method,
            self._api.configuration.host + call.url,
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=read),
            retries=False,
            preload_content=preload,
        )


def _open(access: Access) -> client.ApiClient:
    configuration = client.Configuration()
    configuration.connection_pool_maxsize = _POOL
    try:
        if access.in_cluster:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # of the SDK
        else:
            config.load_kube_config(  # type: ignore[no-untyped-call]  # of the SDK
                config_file=str(Path(access.kubeconfig).expanduser()) if access.kubeconfig else None,
                context=access.context or None,
                client_configuration=configuration,
                persist_config=False,
            )
    except (config.ConfigException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PermanentError(f"{access} cannot be used: {error}; see `kubectl config get-contexts`") from error
    return client.ApiClient(configuration)


def _unreachable(access: Access, error: Exception) -> ProviderError:
    reason: Any = error
    while isinstance(getattr(reason, "reason", None), Exception):
        reason = reason.reason
    if isinstance(reason, urllib3.exceptions.SSLError) and "certificate" in str(reason).lower():
        return PermanentError(f"{access}: the server's certificate is not trusted: {reason}; check the kubeconfig")
    return TransientError(f"{access} does not answer: {reason}")
