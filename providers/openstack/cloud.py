"""Speaks to one project of one cloud: raw calls through the session of openstacksdk, errors translated.

The SDK finds `clouds.yaml`, `secure.yaml` and `OS_*`, signs in and reads the catalogue. Everything else goes past its
object layer: one of its server objects costs 2.7 ms, the JSON of one 0.02.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from functools import cache
from threading import Lock
from time import monotonic
from typing import Any, TypeVar, cast
from urllib.parse import quote, urlsplit

from msgspec import Raw, Struct, defstruct
from msgspec.json import Decoder

from providers.answers import parsed, read, understood
from providers.base import PermanentError, ProviderError, TransientError
from providers.openstack.errors import Gone, Missing, Refused, error_of
from providers.openstack.settings import Settings

Json = dict[str, Any]
"""What a service answers, as it came."""

MICROVERSION = "2.64"
"""Of compute: the first that knows server groups of one policy; released with Rocky, 2018."""
PAGE = 1000
"""Rows in one page of a list."""
_MOMENT_SECONDS = 10.0
_VERSIONED = re.compile(r"/v\d+(\.\d+)?(/|$)")

Found = TypeVar("Found")


class Service(StrEnum):
    """A service of OpenStack, by its official type."""

    COMPUTE = "compute"
    NETWORK = "network"
    IMAGE = "image"
    VOLUME = "block-storage"
    STACK = "orchestration"
    PLACEMENT = "placement"


_ROOTS = {
    Service.COMPUTE: "/v2.1",
    Service.NETWORK: "/v2.0",
    Service.IMAGE: "/v2",
    Service.VOLUME: "/v3/{project}",
    Service.STACK: "/v1/{project}",
    Service.PLACEMENT: "",
}
"""Where the API begins behind an endpoint that names no version."""

_HEADERS = {Service.COMPUTE: {"OpenStack-API-Version": f"compute {MICROVERSION}"}}


class _Session(Struct, frozen=True):
    """A signed-in session and what the catalogue told."""

    session: Any
    region: Any
    project: str


class Cloud:
    """One project of one cloud; connects with the first call."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = Lock()
        self._session: _Session | None = None
        self._bases: dict[Service, str] = {}
        self._known: dict[str, Any] = {}
        self._lately: dict[str, tuple[float, Any]] = {}
        """What was asked a moment ago, and when."""

    # --- calls ---

    def call(
        self,
        service: Service,
        method: str,
        path: str,
        *,
        doing: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        data: object = None,
    ) -> Json:
        """Make one call and give its JSON; `ProviderError` says what went wrong, never more than once tried."""
        text = self.fetch(service, method, path, doing=doing, body=body, headers=headers, data=data)
        try:
            found = parsed(text) if text else {}
        except ValueError as error:
            raise TransientError(f"cannot {doing}: the answer was cut off; {service} will be asked again") from error
        return found if isinstance(found, dict) else {}

    def fetch(
        self,
        service: Service,
        method: str,
        path: str,
        *,
        doing: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        data: object = None,
    ) -> bytes:
        """Make one call and give the JSON as it came; nothing for an answer that is none."""
        with _translated(doing, self._settings.cloud):
            url = self._base(service) + path
            response = self._connected().session.request(
                url,
                method,
                authenticated=True,
                json=body,
                data=data,
                headers={"Accept": "application/json", **_HEADERS.get(service, {}), **(headers or {})},
                raise_exc=False,
                connect_retries=0,
                timeout=self._settings.timeout_seconds,
            )
            if response.status_code >= 400:
                raise error_of(response.status_code, response.text, doing, response.headers.get("Retry-After", ""))
            return bytes(response.content) if "json" in response.headers.get("Content-Type", "") else b""

    def get(self, service: Service, path: str, *, doing: str) -> Json | None:
        """Make a GET; `None` if the object is not there."""
        try:
            return self.call(service, "GET", path, doing=doing)
        except Gone:
            return None

    def pages(self, service: Service, path: str, key: str, **query: str) -> list[Json]:
        """Read a list to its last page; raises rather than give a part of it."""
        rows = self.rows(service, path, key, **query)
        with understood(f"the list of {key} from {service}"):
            return [dict(parsed(row)) for row in rows]

    def rows(self, service: Service, path: str, key: str, **query: str) -> list[Raw]:
        """Fetch a list to its last page without reading its rows; raises rather than give a part of it."""
        found: list[Raw] = []
        asked = "&".join(
            f"{name.replace('_', '-') if name == 'is_public' else name}={quote(value, safe='')}"
            for name, value in query.items()
        )
        asked = f"{asked}&limit={PAGE}" if asked else f"limit={PAGE}"
        while True:
            text = self.fetch(service, "GET", f"{path}?{asked}", doing=f"list {key.replace('_', ' ')}")
            try:
                rows, following = _page_of(text, key)
            except ValueError as error:
                raise TransientError(f"cannot list {key}: {service} answered without them or was cut off") from error
            found += rows
            if not following or not rows:
                return found
            asked = urlsplit(following).query

    # --- what the cloud has ---

    @property
    def project(self) -> str:
        """Give the id of the project we are signed in to."""
        with _translated("sign in", self._settings.cloud):
            return self._connected().project

    def has(self, service: Service) -> bool:
        """Tell whether the catalogue has a service."""
        try:
            with _translated("read the catalogue", self._settings.cloud):
                return bool(self._base(service))
        except Missing:
            return False

    def extensions(self) -> frozenset[str]:
        """Give the extensions of the network service."""
        return self.remember("extensions", self._extensions)

    def remember(self, what: str, find: Callable[[], Found]) -> Found:
        """Ask once for what does not change while we are connected."""
        if what not in self._known:
            self._known[what] = find()
        found: Found = self._known[what]
        return found

    def recently(self, what: str, find: Callable[[], Found]) -> Found:
        """Ask for what seldom changes, unless that was asked a moment ago."""
        asked, found = self._lately.get(what, (-_MOMENT_SECONDS, None))
        if monotonic() - asked < _MOMENT_SECONDS:
            return cast("Found", found)
        fresh = find()
        self._lately[what] = (monotonic(), fresh)
        return fresh

    def forget(self, what: str) -> None:
        """Ask anew the next time."""
        self._lately.pop(what, None)

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            if self._session is not None:
                self._session.session.session.close()
            self._session = None

    def _extensions(self) -> frozenset[str]:
        found = self.call(Service.NETWORK, "GET", "/extensions", doing="list the extensions of the network service")
        return frozenset(str(row["alias"]) for row in found.get("extensions", ()))

    # --- connecting ---

    def _base(self, service: Service) -> str:
        if service not in self._bases:
            connected = self._connected()
            url = connected.region.get_endpoint(service.value) or connected.session.get_endpoint(
                service_type=service.value,
                interface=connected.region.get_interface(service.value),
                region_name=connected.region.get_region_name(service.value),
            )
            if not url:
                raise Missing(f"the cloud has no {service} service")
            plain = url.rstrip("/")
            versioned = plain if _VERSIONED.search(plain) else plain + _ROOTS[service]
            self._bases[service] = versioned.format(project=connected.project)
        return self._bases[service]

    def _connected(self) -> _Session:
        with self._lock:
            if self._session is None:
                self._session = self._connect()
            return self._session

    def _connect(self) -> _Session:
        from openstack.config import OpenStackConfig  # an optional extra, and slow to load

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)  # the SDK's, about options nobody set
            found = OpenStackConfig(app_name="tosca-reconciler").get_one(
                cloud=self._settings.cloud or None,
                region_name=self._settings.region or None,
                api_timeout=self._settings.timeout_seconds,
            )
        session = found.get_session()
        project = session.get_project_id()
        if not project:
            raise PermanentError(f"{found.name} signs in to no project; name one in clouds.yaml or OS_PROJECT_NAME")
        return _Session(session=session, region=found, project=project)


@contextmanager
def _translated(doing: str, cloud: str) -> Iterator[None]:
    """Turn what the SDK raises into our errors; nothing it was configured with gets into the message."""
    try:
        yield
    except ProviderError:
        raise
    except Exception as error:
        raise _error_of(error, doing, f"cloud {cloud!r}" if cloud else "the cloud of OS_CLOUD or OS_*") from error


def _error_of(error: Exception, doing: str, cloud: str) -> ProviderError:
    names = {parent.__name__ for parent in type(error).__mro__}
    if "Unauthorized" in names:
        return Refused(
            f"cannot {doing}: {cloud} does not accept the credentials; check clouds.yaml, secure.yaml or OS_*"
        )
    if names & {"SSLFailure", "SSLError"}:
        return PermanentError(f"cannot {doing}: the certificate of {cloud} is not trusted; set cacert in clouds.yaml")
    if names & {"EndpointNotFound", "EmptyCatalog", "CatalogException"}:
        return Missing(f"cannot {doing}: {cloud} offers no such service here; check region and interface")
    if names & {"ConfigException", "MissingRequiredOptions", "MissingAuthPlugin", "NoMatchingPlugin", "OptionError"}:
        return PermanentError(f"cannot {doing}: {cloud} is not configured: {error}; see clouds.yaml or OS_*")
    if names & {
        "ConnectionError",
        "ConnectFailure",
        "ConnectTimeout",
        "DiscoveryFailure",
        "RetriableConnectionFailure",
    }:
        return TransientError(f"cannot {doing}: {cloud} does not answer ({type(error).__name__})")
    status = getattr(error, "http_status", None)
    if isinstance(status, int) and status:
        return error_of(status, str(error), doing)
    if isinstance(error, ImportError):
        return PermanentError("openstacksdk is not installed; install tosca-reconciler[openstack]")
    return PermanentError(f"cannot {doing}: {type(error).__name__}")


def _page_of(text: bytes, key: str) -> tuple[list[Raw], str]:
    """Part a page of a list into rows that stay unread; give the address of the next page.

    `key` is what the rows are called. Compute and network write a link to the next page, image its address.
    """
    page = read(_pages(key), text)
    link = next((str(link.get("href") or "") for link in page.links or () if link.get("rel") == "next"), "")
    return page.rows, link or page.next or ""


@cache
def _pages(key: str) -> Decoder[Any]:
    links: tuple[str, Any, Any] = ("links", list[dict[str, Any]] | None, None)
    following: tuple[str, Any, Any] = ("next", str | None, None)
    names = {"rows": key, "links": f"{key}_links"}
    return Decoder(defstruct("Page", [("rows", list[Raw]), links, following], rename=names))
