"""Every way to sign in, and what is said when it does not work."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from providers.base import Context, Scope
from providers.openstack.provider import OpenStack
from tests.support.openstack_city import site
from tests.testbed.git.servers import make_certificate
from tests.testbed.openstack.cloud import Cloud
from tests.testbed.openstack.gate import Gate
from tests.testbed.openstack.operator import Operator

ALICE = {"username": "alice", "user_domain_name": "Default"}
PROJECT = {"project_name": "alice", "project_domain_name": "Default"}


def unseen(folder: Path, cloud: str = "own") -> Mapping[str, str]:
    """Look at a project, and give what could not be seen and why."""
    place = site(cloud)
    provider = OpenStack(Context(binding=place.bindings["city"], site=place, state_dir=folder))
    try:
        return provider.observe(Scope(repository="0123456789ab", site=place.name, wanted={})).unknown
    finally:
        provider.close()


def write(path: Path, **entry: Any) -> None:
    path.write_text(json.dumps({"clouds": {"own": entry}}))


@pytest.fixture
def own(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a `clouds.yaml` that is still to be written."""
    path = tmp_path / "clouds.yaml"
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
    return path


def test_a_password_may_stand_in_secure_yaml(
    cloud: Cloud, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_CLIENT_SECURE_FILE", str(tmp_path / "secure.yaml"))
    write(own, region_name="RegionOne", auth={"auth_url": f"{cloud.url('identity')}/v3", **ALICE, **PROJECT})
    write(tmp_path / "secure.yaml", auth={"password": "alice"})

    assert unseen(tmp_path) == {}


def test_variables_alone_are_enough(cloud: Cloud, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"auth_url": f"{cloud.url('identity')}/v3", "password": "alice", "region_name": "RegionOne"}
    for name, value in {**said, **ALICE, **PROJECT}.items():
        monkeypatch.setenv(f"OS_{name.upper()}", value)

    assert unseen(tmp_path, cloud="") == {}


def test_an_application_credential_needs_no_password(cloud: Cloud, own: Path, tmp_path: Path) -> None:
    alice = Operator(cloud, "alice")
    alice.openstack("application credential create --secret opensesame reconciler")
    said = {"application_credential_name": "reconciler", "application_credential_secret": "opensesame"}
    auth = {"auth_url": f"{cloud.url('identity')}/v3", **said, **ALICE}
    write(own, region_name="RegionOne", auth_type="v3applicationcredential", auth=auth)
    try:
        assert unseen(tmp_path) == {}
    finally:
        alice.openstack("application credential delete reconciler")


def test_what_is_not_accepted_is_told_without_it(cloud: Cloud, own: Path, tmp_path: Path) -> None:
    auth = {"auth_url": f"{cloud.url('identity')}/v3", "password": "opensesame", **ALICE, **PROJECT}
    write(own, region_name="RegionOne", auth=auth)
    told = unseen(tmp_path)

    assert "cloud 'own' does not accept the credentials; check clouds.yaml, secure.yaml or OS_*" in told["*"]
    assert "opensesame" not in str(told)


def test_a_private_authority_is_trusted_once_it_is_named(cloud: Cloud, own: Path, tmp_path: Path) -> None:
    authority, certificate = make_certificate(tmp_path / "tls")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    services = ("identity", "compute", "network", "image", "placement")
    with Gate({name: cloud.url(name) for name in services}, tls=tls).running() as gate:
        gate.write_clouds(own, "alice")
        stranger = unseen(tmp_path, "gate")
        known = json.loads(own.read_text())
        known["clouds"]["gate"]["cacert"] = str(authority)
        own.write_text(json.dumps(known))

        assert "the certificate of cloud 'gate' is not trusted; set cacert in clouds.yaml" in stranger["*"]
        assert unseen(tmp_path, "gate") == {}
