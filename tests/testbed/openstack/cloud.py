"""A real OpenStack 2026.1 of its own for one test session, on loopback; only hypervisors and agents are played.

By hand: `python -m tests.testbed.openstack.cloud FOLDER [MINUTES]` prints how to reach it and serves until it is ended
or the minutes (60) are over. Needs `install.sh`, once, and 2 GB of memory; up in twenty seconds.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.error import HTTPError, URLError

from tests.testbed.openstack.configuration import DATABASES, HOSTS, Configuration, Ports

LIFE_SECONDS = 2400
"""After that the programs end, even if nobody is left to end them."""
USERS = ("alice", "bob")
"""Each with a project of the same name and password."""
_HERE = Path(__file__).parent
_INSIDE = _HERE / "inside"
_START_SECONDS = 180
_INSTALL = "run tests/testbed/openstack/install.sh first; it needs root and a minute"
_RABBIT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
_SERVICES = {
    "keystone": ("identity", "keystone.wsgi.api"),
    "placement": ("placement", "placement.wsgi.api"),
    "nova-api": ("compute", "nova.wsgi.osapi_compute"),
    "neutron": ("network", "neutron.wsgi.api"),
    "glance": ("image", "glance.wsgi.api"),
}
"""Program → its port, and the module that is served."""


@dataclass(slots=True)
class Cloud:
    """A running cloud."""

    configuration: Configuration
    cache: Path
    life_seconds: int = LIFE_SECONDS
    room: Mapping[str, int] = field(default_factory=dict)
    """What each host has, as `TESTBED_VCPUS` and the like; else plenty."""
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where its data are."""
        return self.configuration.folder

    @property
    def ports(self) -> Ports:
        """Where it listens."""
        return self.configuration.ports

    @property
    def clouds_yaml(self) -> Path:
        """What makes a user of whoever reads it: `admin`, `alice` or `bob`."""
        return self.folder / "clouds.yaml"

    def url(self, service: str) -> str:
        """Say where a service is, by the name of its port."""
        return f"http://127.0.0.1:{asdict(self.ports)[service]}"

    def spoil(self, **faults: object) -> None:
        """Let the hosts go wrong, as `inside/faults.py` says; nothing mends them."""
        part = self.folder / "faults.part"
        part.write_text(json.dumps(faults))
        part.replace(self.folder / "faults.json")

    def sql(self, statement: str) -> str:
        """Do something behind the back of all services."""
        command = ["mariadb", "--no-defaults", "-N", "-uroot", "-S", str(self.configuration.socket), "-e", statement]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"{statement}: {done.stderr}")
        return done.stdout

    # --- starting ---

    def start(self) -> None:
        """Start everything and wait until it works."""
        self.configuration.write()
        self._write_clouds()
        for name in (
            "lock",
            "log",
            "images/store",
            "images/staging",
            "images/tasks",
            *(f"nova/{host}" for host in HOSTS),
        ):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._start_rabbit()
        if not (self.folder / "db").exists():
            self._bring_data()
        self._start_database()
        self.start_service("keystone")
        self.start_service("placement")
        self._python("content.py", "identity", json.dumps(asdict(self.ports)), json.dumps(HOSTS))
        self._wait("rabbitmq", self._rabbit_is_up)
        self.sql("update nova.services set last_seen_up = '2000-01-01'")  # not those of a former life
        self._start_nova()
        for name in ("nova-api", "neutron", "glance"):
            self.start_service(name, wait=False)
        for name in ("nova-api", "neutron", "glance"):
            self._wait(name, lambda name=name: self._answers(_SERVICES[name][0]))  # type: ignore[misc] # a default binds it
        self._python("content.py", "rest", json.dumps(asdict(self.ports)), json.dumps(HOSTS))

    def start_service(self, name: str, *, wait: bool = True) -> None:
        """Start one of the services that answer over HTTP."""
        port, module = _SERVICES[name]
        command = [str(self._python_path), str(_INSIDE / "serve.py"), module, str(asdict(self.ports)[port])]
        self._start(name, *command, *(["16"] if name == "nova-api" else []))
        if wait:
            self._wait(name, lambda: self._answers(port))

    def stop(self, name: str) -> None:
        """End one program, with all it started."""
        process = self._running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20 if name in ("mariadbd", "rabbitmq") else 3)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)

    def stop_all(self) -> None:
        """End everything, what was started last first."""
        for name in reversed(list(self._running)):
            self.stop(name)

    def _start(self, name: str, *command: str | Path) -> None:
        with (self.folder / "log" / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                ["timeout", "--kill-after=5", str(self.life_seconds), *map(str, command)],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        etc = self.configuration.etc
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "PYTHON"))}
        return plain | {
            "LC_ALL": "C.UTF-8",
            "no_proxy": "127.0.0.1,localhost",
            "NO_PROXY": "127.0.0.1,localhost",
            "PYTHONPATH": f"{_INSIDE}:{etc / 'plugins'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "TESTBED_FAULTS": str(self.folder / "faults.json"),
            **{f"TESTBED_{name.upper()}": str(value) for name, value in self.room.items()},
            "OS_CLIENT_CONFIG_FILE": str(self.clouds_yaml),
            "OS_KEYSTONE_CONFIG_FILES": str(etc / "keystone/keystone.conf"),
            "OS_PLACEMENT_CONFIG_DIR": str(etc / "placement"),
            "OS_NOVA_CONFIG_DIR": str(etc / "nova"),
            "OS_NOVA_CONFIG_FILES": "api-paste.ini;nova.conf;nova-db.conf",
            "OS_NEUTRON_CONFIG_DIR": str(etc / "neutron"),
            "OS_NEUTRON_CONFIG_FILES": "neutron.conf;ml2_conf.ini",
            "OS_GLANCE_CONFIG_DIR": str(etc / "glance"),
            "OS_GLANCE_CONFIG_FILES": "glance-api.conf",
        }

    def _start_nova(self) -> None:
        etc = self.configuration.etc / "nova"
        files = ("--config-file", etc / "nova.conf", "--config-file", etc / "nova-db.conf")
        for name in ("nova-conductor", "nova-scheduler"):
            self._start(name, self.configuration.programs / "bin" / name, *files)
        self._start("computes", self._python_path, _INSIDE / "computes.py", etc, self.folder / "log", *HOSTS)

    def _start_rabbit(self) -> None:
        home = self.folder / "mq"
        home.mkdir(exist_ok=True)
        ports, etc = self.ports, self.configuration.etc
        listens = {"ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(ports.epmd)}
        epmd = shutil.which("epmd") or "epmd"
        self._start(
            "epmd",
            "env",
            *(f"{k}={v}" for k, v in listens.items()),
            epmd,
            "-address",
            "127.0.0.1",
            "-port",
            str(ports.epmd),
        )
        settings = {
            **listens,
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": str(home),
            "RUNNING_UNDER_SYSTEMD": "1",
            "RABBITMQ_NODENAME": f"testbed{ports.rabbit}@localhost",
            "RABBITMQ_CONFIG_FILE": str(etc / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(etc / "enabled_plugins"),
            "RABBITMQ_DIST_PORT": str(ports.rabbit_peers),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(ports.rabbit),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}"
            " +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }
        self._start("rabbitmq", "env", "-i", *(f"{name}={value}" for name, value in settings.items()), _RABBIT)

    def _rabbit_is_up(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.ports.rabbit), timeout=1):
            return True
        return False

    # --- data ---

    def _start_database(self) -> None:
        self._start("mariadbd", "/usr/sbin/mariadbd", f"--defaults-file={self.configuration.etc / 'my.cnf'}")
        self._wait("mariadbd", self._database_answers)

    def _database_answers(self) -> bool:
        try:
            return bool(self.sql("select 1"))
        except RuntimeError:
            return False

    def _bring_data(self) -> None:
        """Copy the pristine databases, which are made once, and tell them where this cloud is."""
        golden = self.cache / f"golden-{self._fingerprint()}"
        if not golden.exists():
            self._make_data(golden)
        else:
            for name in ("db", "keys"):
                shutil.copytree(golden / name, self.folder / name)
        self._start_database()
        self.sql(
            f"update nova_api.cell_mappings set transport_url = '{self.configuration.rabbit}',"
            f" database_connection = '{self.configuration.database('nova')}' where name = 'cell1';"
            f" update nova_api.cell_mappings set database_connection = '{self.configuration.database('nova_cell0')}'"
            " where name = 'cell0';"
            f" update keystone.endpoint set url = '{self.url('identity')}/v3'"
        )
        self.stop("mariadbd")

    def _fingerprint(self) -> str:
        """Name what the pristine data are made by."""
        parts = [(_HERE / "requirements.txt").read_bytes(), (_INSIDE / "nova_schema.py").read_bytes()]
        return hashlib.sha256(b"".join(parts)).hexdigest()[:12]

    def _make_data(self, golden: Path) -> None:
        for name in ("keys/fernet", "keys/credential"):
            (self.folder / name).mkdir(parents=True, mode=0o700)
        user = pwd.getpwuid(os.getuid()).pw_name
        self._run(
            "mariadb-install-db", "--no-defaults", f"--user={user}", f"--datadir={self.folder / 'db'}",
            "--auth-root-authentication-method=normal", "--skip-test-db",
        )  # fmt: skip
        self._start_database()
        self.sql("; ".join(f"create database {name} character set utf8mb3" for name in DATABASES))
        programs, etc = self.configuration.programs / "bin", self.configuration.etc
        keystone = (programs / "keystone-manage", "--config-file", etc / "keystone/keystone.conf")
        own = ("--keystone-user", user, "--keystone-group", user)
        place = f"{self.url('identity')}/v3"
        self._run(*keystone, "db_sync")
        self._run(*keystone, "fernet_setup", *own)
        self._run(*keystone, "credential_setup", *own)
        self._run(
            *keystone, "bootstrap", "--bootstrap-password", "admin", "--bootstrap-region-id", "RegionOne",
            "--bootstrap-public-url", place, "--bootstrap-internal-url", place,
        )  # fmt: skip
        self._python("nova_schema.py", str(etc / "nova"))
        neutron = ("--config-file", etc / "neutron/neutron.conf", "--config-file", etc / "neutron/ml2_conf.ini")
        self._run(programs / "neutron-db-manage", *neutron, "upgrade", "heads")
        self._run(programs / "glance-manage", "--config-file", etc / "glance/glance-api.conf", "db_sync")
        self._run(programs / "placement-manage", "--config-file", etc / "placement/placement.conf", "db", "sync")
        self.stop("mariadbd")
        part = golden.with_suffix(f".{os.getpid()}")
        for name in ("db", "keys"):
            shutil.copytree(self.folder / name, part / name)
        with suppress(OSError):  # somebody else was faster
            part.rename(golden)
        shutil.rmtree(part, ignore_errors=True)

    # --- running and waiting ---

    @property
    def _python_path(self) -> Path:
        return self.configuration.programs / "bin/python"

    def _python(self, script: str, *arguments: str) -> None:
        self._run(self._python_path, _INSIDE / script, *arguments)

    def _run(self, *command: str | Path) -> None:
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, timeout=300, check=False,
            env=self._environment(), cwd=self.folder,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{Path(command[0]).name} {command[1:3]}: {done.stdout[-1000:]}{done.stderr[-2000:]}")

    def _answers(self, service: str) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url(service)}/", timeout=20) as answer:
                return bool(answer.status in (200, 300))
        except HTTPError as error:
            return error.code == 300
        except (URLError, OSError):
            return False

    def _wait(self, name: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            if time.monotonic() > deadline or self._running[name].poll() is not None:
                log = (self.folder / "log" / f"{name}.log").read_text(errors="replace")
                raise RuntimeError(f"{name} did not start:\n{log[-3000:]}")
            time.sleep(0.1)

    def _write_clouds(self) -> None:
        def entry(user: str, project: str) -> dict[str, object]:
            auth = {
                "auth_url": f"{self.url('identity')}/v3",
                "username": user,
                "password": user,
                "project_name": project,
            }
            return {
                "region_name": "RegionOne",
                "auth": {**auth, "user_domain_name": "Default", "project_domain_name": "Default"},
            }

        clouds = {user: entry(user, user) for user in ("admin", *USERS)}
        self.clouds_yaml.write_text(json.dumps({"clouds": clouds}, indent=1))
        self.clouds_yaml.chmod(0o600)


def _free_ports() -> Ports:
    with ExitStack() as stack:
        found = []
        for _ in range(8):
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            found.append(int(listener.getsockname()[1]))
    return Ports(
        identity=found[0],
        image=found[1],
        placement=found[2],
        compute=found[3],
        network=found[4],
        rabbit=found[5],
        rabbit_peers=found[6],
        epmd=found[7],
    )


def attached_cloud(folder: Path) -> Cloud:
    """Give a cloud that somebody else serves by hand; its programs are not ours to stop."""
    ports = Ports(**json.loads((folder / "ports.json").read_text()))
    return Cloud(Configuration(folder, ports, _cache() / "venv"), _cache())


def _cache() -> Path:
    root = os.environ.get("RECONCILER_TESTBED_CACHE", str(Path.home() / ".cache" / "tosca-reconciler"))
    return Path(root) / "openstack"


@contextmanager
def running_cloud(
    folder: Path, life_seconds: int = LIFE_SECONDS, room: Mapping[str, int] | None = None
) -> Iterator[Cloud]:
    """Start a cloud, wait until it works, end it with the block and remove its data."""
    cache = _cache()
    programs = cache / "venv"
    stamps = [cache / name / "stamp" for name in ("venv", "client")]
    if not all(map(Path.exists, stamps)) or not _RABBIT.exists() or shutil.which("mariadb-install-db") is None:
        raise RuntimeError(f"the services of OpenStack are not installed; {_INSTALL}")
    folder.mkdir(parents=True, exist_ok=True)
    cloud = Cloud(Configuration(folder, _free_ports(), programs), cache, life_seconds, room or {})
    (folder / "log").mkdir(exist_ok=True)
    (folder / "ports.json").write_text(json.dumps(asdict(cloud.ports)))
    try:
        cloud.start()
        yield cloud
    finally:
        cloud.stop_all()
        for name in ("db", "mq", "images", "nova"):
            shutil.rmtree(folder / name, ignore_errors=True)


def main() -> None:
    """Serve a cloud by hand."""
    folder = Path(sys.argv[1]).resolve()
    minutes = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with running_cloud(folder, life_seconds=60 * minutes) as cloud:
        print(f"export OS_CLIENT_CONFIG_FILE={cloud.clouds_yaml} OS_CLOUD=admin", flush=True)  # noqa: T201 -- by hand
        with suppress(KeyboardInterrupt):
            time.sleep(60 * minutes)


if __name__ == "__main__":
    main()
