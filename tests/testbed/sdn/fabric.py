"""A real fabric on this machine: Open vSwitch bridges, hosts in network namespaces, and Ryu. Needs root.

Everything switches do happens in one namespace; OpenFlow runs over a Unix socket, REST and OVSDB on free loopback
ports. Nothing appears among the machine's own links. Every process is ended by its id, and by `timeout` if nobody is
left to end it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from providers.sdn.topology import Fabric, Port, read_fabric
from specs.model import Site
from tests.testbed.sdn.sites import mac

HERE = Path(__file__).parent
LIFE_SECONDS = 900
"""After that every process ends, even if nobody is left to end it."""
_PROGRAMS = ("ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl", "ovs-ofctl", "ip", "tc", "ethtool", "sysctl")
_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")


@dataclass
class RealFabric:
    """A running fabric."""

    folder: Path
    site: Site
    fabric: Fabric
    hosts: Mapping[str, int]
    """Place → the number of its host, from which its addresses are made."""
    rest_port: int
    ovsdb_port: int
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        """What the names of its namespaces begin with."""
        return f"f{self.folder.name[-6:]}"

    @property
    def url(self) -> str:
        """Where Ryu listens."""
        return f"http://127.0.0.1:{self.rest_port}"

    @property
    def switches(self) -> str:
        """The namespace of the switches."""
        return f"{self.prefix}-sw"

    def namespace(self, place: str) -> str:
        """Give the namespace of a host."""
        return f"{self.prefix}-{self.hosts[place]}"

    def address(self, place: str) -> str:
        """Give the address of a host."""
        return f"fd00::{self.hosts[place]:x}"

    def address_of(self, subject: str) -> str:
        """Give the address of an endpoint: that of the host it is on."""
        return self.address(subject.partition("@")[2].rpartition(".")[0])

    # --- what happens to it ---

    def cut(self, link: str, *, up: bool = False) -> None:
        """Take the carrier of a link away, or give it back."""
        one, _ = self.fabric.trunks[link].ends
        run("ip", "-n", self.switches, "link", "set", _interface(one), "up" if up else "down")

    def take(self, place: str, address: str) -> None:
        """Give a host one address more."""
        run("ip", "-n", self.namespace(place), "addr", "replace", f"{address}/128", "dev", "eth0", "nodad")

    def wear(self, place: str, mac: str) -> None:
        """Give a host another MAC address; Linux forgets its neighbours then."""
        run("ip", "-n", self.namespace(place), "link", "set", "eth0", "address", mac)
        run("ip", "-n", self.namespace(place), "-batch", "-", text=self._neighbours(place))

    def know(self, place: str, address: str) -> None:
        """Tell a host where to send frames for an address: to the fabric."""
        to = ["lladdr", "02:00:00:00:ff:01", "dev", "eth0", "nud", "permanent"]
        run("ip", "-n", self.namespace(place), "neigh", "replace", address, *to)

    def stop_switches(self) -> None:
        """End the switching process: every rule is lost."""
        self._end("ovs-vswitchd")

    def start_switches(self) -> None:
        """Start the switching process; switches come back empty."""
        self._start(
            "ovs-vswitchd", "ip", "netns", "exec", self.switches, "ovs-vswitchd", self._database, "-vconsole:off",
            f"--unixctl={self.folder}/vswitchd.ctl", f"--log-file={self.folder}/vswitchd.log",
        )  # fmt: skip

    def stop_controller(self) -> None:
        """End Ryu."""
        self._end("ryu")
        (self.folder / "of.sock").unlink(missing_ok=True)

    def start_controller(self) -> None:
        """Start Ryu."""
        apps = [f"ryu.app.{name}" for name in ("ofctl_rest", "rest_topology")]
        self._start(
            "ryu", str(_ryu_python()), str(HERE / "ryu_launcher.py"), "--ofp-listen-host", f"{self.folder}/of.sock",
            "--ofp-tcp-listen-port", "6653", "--wsapi-host", "127.0.0.1", "--wsapi-port", str(self.rest_port),
            "--observe-links", "--nouse-stderr", "--log-file", f"{self.folder}/ryu.log", "ryu_only13", *apps,
            environment={"PYTHONPATH": str(HERE)},
        )  # fmt: skip

    def pause(self, process: str, *, resume: bool = False) -> None:
        """Let `ryu` or `ovs-vswitchd` hang, or go on."""
        for pid in _family(self._processes[process].pid):
            os.kill(pid, signal.SIGCONT if resume else signal.SIGSTOP)

    def get(self, path: str) -> object:
        """Ask Ryu."""
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.loads(answer.read())

    def ofctl(self, switch: str, *command: str, text: str = "") -> str:
        """Speak to a switch past the controller."""
        verb, *more = command
        options = [word for word in more if word.startswith("--")]
        rest = [word for word in more if not word.startswith("--")]
        address = f"unix:{self.folder}/{switch}.mgmt"
        return run("ovs-ofctl", "-O", "OpenFlow13", *options, verb, address, *rest, text=text)

    def vsctl(self, *command: str) -> str:
        """Change the database of the switches past everybody."""
        return run("ovs-vsctl", f"--db={self._database}", "--timeout=20", *command)

    def tc(self, *command: str) -> str:
        """Ask the kernel how an interface of a switch sends, or change that."""
        return run("tc", "-n", self.switches, *command)

    @property
    def ovsdb(self) -> str:
        """Where the database of the switches is."""
        return f"tcp:127.0.0.1:{self.ovsdb_port}"

    def everything(self) -> list[str]:
        """Give every rule and group of every switch, without counters, as the switches themselves write them."""
        found = []
        for switch in self.fabric.bridges:
            lines = self.ofctl(switch, "dump-flows", "--no-stats") + self.ofctl(switch, "dump-groups")
            found += sorted(f"{switch} {line.strip()}" for line in lines.splitlines() if "xid=" not in line)
        return found

    def wipe(self) -> None:
        """Remove every rule, group, meter and queue, but no rule of cookie 0: Ryu needs its own to find links."""
        for switch in self.fabric.bridges:
            found = set(re.findall(r"cookie=(0x[0-9a-f]+)", self.ofctl(switch, "dump-flows"))) - {"0x0"}
            deletes = "".join(f"delete cookie={cookie}/-1\n" for cookie in sorted(found))
            self.ofctl(switch, "add-flows", "-", text=deletes)
            self.ofctl(switch, "del-groups")
            self.ofctl(switch, "del-meters")
        clears = [word for port in self.fabric.links for word in ("--", "clear", "port", _interface(port), "qos")]
        self.vsctl(*clears[1:], "--", "--all", "destroy", "qos", "--", "--all", "destroy", "queue")

    def wait_until_healthy(self, seconds: float = 30) -> None:
        """Wait until every switch is connected and every link is found."""
        dpids = sorted(bridge.dpid for bridge in self.fabric.bridges.values())
        wires = 2 * len(self.fabric.trunks)

        def healthy() -> bool:
            found = self.get("/v1.0/topology/links")
            switches = self.get("/stats/switches")
            return (
                isinstance(switches, list)
                and sorted(switches) == dpids
                and isinstance(found, list)
                and len(found) == wires
            )

        self.wait_until(healthy, seconds)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Wait for something; `TimeoutError` if it does not come."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended: {(self.folder / f'{name}.out').read_text()[-800:]}")
            try:
                if condition():
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise TimeoutError(f"the fabric in {self.folder} did not come to what was waited for")

    # --- up and down ---

    @property
    def _database(self) -> str:
        return f"unix:{self.folder}/db.sock"

    def start(self) -> None:
        """Start everything."""
        self.start_controller()
        run("ip", "netns", "add", self.switches)
        in_namespace(
            self.switches, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"
        )
        run("ip", "-n", self.switches, "link", "set", "lo", "up")
        run("ovsdb-tool", "create", str(self.folder / "conf.db"), str(_SCHEMA))
        self._start(
            "ovsdb-server", "ovsdb-server", str(self.folder / "conf.db"), f"--remote=punix:{self.folder}/db.sock",
            f"--remote=ptcp:{self.ovsdb_port}:127.0.0.1", f"--unixctl={self.folder}/ovsdb.ctl", "-vconsole:off",
        )  # fmt: skip
        self.wait_until((self.folder / "db.sock").exists)
        self.vsctl("--no-wait", "init")
        self.start_switches()
        self._plug()
        self.wait_until((self.folder / "of.sock").exists)
        controllers: list[str] = []
        for name in self.fabric.bridges:
            controllers += [
                "--",
                "set-controller",
                name,
                f"unix:{self.folder}/of.sock",
                "--",
                "set",
                "controller",
                name,
            ]
            controllers += ["connection_mode=out-of-band", "max_backoff=1000", "inactivity_probe=30000"]
        self.vsctl(*controllers[1:])
        self.wait_until_healthy()

    def stop(self) -> None:
        """End everything that was started and remove the namespaces."""
        for name in ("ovs-vswitchd", "ovsdb-server", "ryu"):
            if name in self._processes:
                self._end(name)
        for namespace in (self.switches, *(self.namespace(place) for place in self.hosts)):
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)

    def _plug(self) -> None:
        """Make bridges, hosts and cables, and plug everything together in one transaction."""
        wanted: list[str] = []
        for bridge in self.fabric.bridges.values():
            wanted += ["--", "add-br", bridge.name, "--", "set", "bridge", bridge.name, "datapath_type=netdev"]
            wanted += ["fail_mode=secure", "protocols=OpenFlow13,OpenFlow14"]
            wanted += [f"other-config:datapath-id={bridge.dpid:016x}", "other-config:disable-in-band=true"]
        for place, number in self.hosts.items():
            port = self.fabric.places[place].port
            run("ip", "netns", "add", self.namespace(place))
            batch = f"link add {_interface(port)} type veth peer name eth0 netns {self.namespace(place)}\n"
            run("ip", "-n", self.switches, "-batch", "-", text=batch + f"link set {_interface(port)} up\n")
            self._set_up_host(place, number)
            wanted += _add_port(port)
        for trunk in self.fabric.trunks.values():
            one, other = map(_interface, trunk.ends)
            batch = f"link add {one} type veth peer name {other}\nlink set {one} up\nlink set {other} up\n"
            run("ip", "-n", self.switches, "-batch", "-", text=batch)
            wanted += [*_add_port(trunk.ends[0]), *_add_port(trunk.ends[1])]
        self.vsctl(*wanted[1:])

    def _set_up_host(self, place: str, number: int) -> None:
        """Give a host its addresses, a way to the addresses of names, and no neighbours to ask for."""
        namespace = self.namespace(place)
        quiet = ["accept_dad=0", "accept_ra=0", "router_solicitations=0"]
        in_namespace(namespace, "sysctl", "-qw", *(f"net.ipv6.conf.eth0.{word}" for word in quiet))
        batch = (
            f"link set lo up\nlink set eth0 address {mac(number)}\nlink set eth0 up\n"
            f"addr add fd00::{number:x}/64 dev eth0 nodad\n{self._neighbours(place)}"
            "route add fd53:646e::/64 via fe80::1 dev eth0\nroute add table local multicast ff15::/16 dev eth0\n"
        )
        run("ip", "-n", namespace, "-batch", "-", text=batch)
        # The userspace datapath gets frames by AF_PACKET: nothing may be left for hardware to finish.
        in_namespace(namespace, "ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off", "gro", "off")

    def _neighbours(self, place: str) -> str:
        others = [(f"fd00::{n:x}", mac(n)) for other, n in self.hosts.items() if other != place]
        lines = (f"neigh replace {address} lladdr {known} dev eth0 nud permanent\n"
                 for address, known in (*others, ("fe80::1", "02:00:00:00:ff:01")))  # fmt: skip
        return "".join(lines)

    def _start(self, name: str, *command: str, environment: Mapping[str, str] | None = None) -> None:
        folders = {key: str(self.folder) for key in ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")}
        with (self.folder / f"{name}.out").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                ["timeout", "--kill-after=5", str(LIFE_SECONDS), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **folders, **(environment or {})},
                start_new_session=True,
            )

    def _end(self, name: str) -> None:
        process = self._processes.pop(name)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(8)
        except subprocess.TimeoutExpired:
            for pid in _family(process.pid):
                os.kill(pid, signal.SIGKILL)
            process.wait(8)


@contextmanager
def running_fabric(site: Site) -> Iterator[RealFabric]:
    """Start a fabric for a site, wait until it is healthy, and end it afterwards."""
    _need_programs()
    fabric = read_fabric(site)
    folder = Path(tempfile.mkdtemp(prefix="fabric-"))
    users_first = sorted(fabric.places.values(), key=lambda place: (not place.users, place.name))
    hosts = {place.name: number for number, place in enumerate(users_first, 1)}
    rest_port = _free_port()
    real = RealFabric(folder, _at(site, f"http://127.0.0.1:{rest_port}"), fabric, hosts, rest_port, _free_port())
    try:
        real.start()
        yield real
    finally:
        real.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _at(site: Site, url: str) -> Site:
    """Give the site with the controller where it really is."""
    binding = site.bindings["fabric"]
    moved = replace(binding, settings={**binding.settings, "url": url})
    return replace(site, bindings={**site.bindings, "fabric": moved})


def run(*command: str, text: str | None = None) -> str:
    """Run a command; its complaint becomes the error."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)[:200]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def in_namespace(namespace: str, *command: str) -> str:
    """Run a command in a network namespace."""
    return run("ip", "netns", "exec", namespace, *command)


def _need_programs() -> None:
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing or not _ryu_python().exists() or not _SCHEMA.exists():
        what = ", ".join(missing) or "Ryu"
        raise FileNotFoundError(f"{what} is not installed; run tests/testbed/sdn/install.sh as root")


def _ryu_python() -> Path:
    cache = os.environ.get("RECONCILER_TESTBED_CACHE") or Path.home() / ".cache/tosca-reconciler"
    return Path(cache) / "sdn/venv/bin/python"


def _interface(port: Port) -> str:
    return f"{port.switch}-{port.number}"


def _add_port(port: Port) -> list[str]:
    name = _interface(port)
    return ["--", "add-port", port.switch, name, "--", "set", "interface", name, f"ofport_request={port.number}"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _family(pid: int) -> list[int]:
    """Give a process of ours and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(child for number in map(int, children) for child in _family(number))]
