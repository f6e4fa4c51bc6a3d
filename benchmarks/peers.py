"""The programs that are compared: how each is installed, made ready and asked what would change.

All of them stand before an application that is deployed already and has not changed. Each peer lives in an environment
of its own, out of the way of ours, because their requirements exclude one another.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import inputs
from benchmarks.generate import commit_everything, new_repository
from benchmarks.process import Command, surroundings

ENVIRONMENTS = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tosca-reconciler" / "peers"
"""Where peers are installed once and for all."""
RECONCILER = Path(sys.executable).with_name("reconciler")


class NotInstalledError(Exception):
    """A peer cannot be installed here; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One program and what it is asked."""

    name: str
    asked: str
    """What is measured, as a reader would type it."""
    prepare: Callable[[Path, int], Command]
    """Makes an application of so many nodes ready in a folder, and gives what asks about it."""
    before: Callable[[Path], None] = lambda folder: None
    """Is called before every measurement."""
    version: Callable[[], str]
    largest: int = 10**9
    """The most nodes it is asked about."""
    needs: Sequence[Sequence[str]] = field(default_factory=tuple)
    """What is installed from PyPI, one call of pip after another."""
    constraint: str = ""
    """What holds for building these."""


def install(peer: Peer) -> None:
    """Install a peer unless it is there; `NotInstalledError` if that fails."""
    folder = ENVIRONMENTS / peer.name
    if not peer.needs or (folder / "ready").exists():
        return
    print(f"installing {peer.name} into {folder} (once)", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    constraint = folder / "constraint.txt"
    constraint.write_text(f"{peer.constraint}\n", encoding="utf-8")
    environment = {**os.environ, "PIP_CONSTRAINT": str(constraint), "PIP_BUILD_CONSTRAINT": str(constraint)}
    calls = [[sys.executable, "-m", "venv", str(folder)]]
    calls += [[str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *names] for names in peer.needs]
    for call in calls:
        done = subprocess.run(call, env=environment, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise NotInstalledError(f"{peer.name} cannot be installed: {done.stderr.strip()[-500:]}")
    (folder / "ready").touch()


def _tool(peer: str, name: str) -> str:
    return str(ENVIRONMENTS / peer / "bin" / name)


def _pinned(peer: str, distribution: str) -> Callable[[], str]:
    """Give a way to ask for the version of a distribution in a peer's environment."""
    code = f"from importlib.metadata import version; print(version('{distribution}'))"
    return lambda: _said([_tool(peer, "python"), "-c", code])


def _said(line: Sequence[str]) -> str:
    return subprocess.run(line, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()


def _run(command: Command) -> None:
    environment = {**surroundings(), **command.environment}
    done = subprocess.run(
        command.line, cwd=command.folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command.line)} ended with {done.returncode}\n{done.stderr[-2000:]}")


# --- this program ----------------------------------------------------------------------------------


def _reconciler(folder: Path, nodes: int) -> Command:
    new_repository(folder)
    (folder / "sites").mkdir()
    (folder / "specs").mkdir()
    (folder / "sites" / "city.yaml").write_text(inputs.site(nodes), encoding="utf-8")
    (folder / "specs" / "fleet.yaml").write_text(inputs.tosca(nodes), encoding="utf-8")
    commit_everything(folder, "Add everything")
    _run(Command(line=[str(RECONCILER), "-C", str(folder), "apply", "--auto-approve"]))
    return Command(line=[str(RECONCILER), "-C", str(folder), "plan"])


def forget(folder: Path) -> None:
    """Drop what was kept of the documents; the records of what is deployed stay."""
    with closing(sqlite3.connect(folder / ".reconciler" / "state.db")) as state, state:
        state.execute("DELETE FROM cache")


def _forget_answer(folder: Path) -> None:
    """Drop what the last plan said, so that the world is looked at again."""
    (folder / ".reconciler" / "answer.json").unlink(missing_ok=True)


def _our_version() -> str:
    return _said([str(RECONCILER), "--version"]).split()[-1]


# --- peers -----------------------------------------------------------------------------------------


def _opera(folder: Path, nodes: int) -> Command:
    folder.mkdir(parents=True)
    (folder / "fleet.yaml").write_text(inputs.tosca(nodes), encoding="utf-8")
    opera = _tool("opera", "opera")
    _run(Command(line=[opera, "deploy", "fleet.yaml"], folder=folder))
    return Command(line=[opera, "diff", "fleet.yaml"], folder=folder)


def _tosca_parser(folder: Path, nodes: int) -> Command:
    folder.mkdir(parents=True)
    document = folder / "fleet.yaml"
    document.write_text(inputs.tosca(nodes), encoding="utf-8")
    return Command(line=[_tool("tosca-parser", "python"), "-c", inputs.tosca_parser_script(str(document))])


def _salt(folder: Path, nodes: int) -> Command:
    for name in ("conf", "states"):
        (folder / name).mkdir(parents=True)
    settings = f"file_client: local\nroot_dir: {folder}\nfile_roots: {{base: [{folder / 'states'}]}}\n"
    (folder / "conf" / "minion").write_text(settings, encoding="utf-8")
    (folder / "states" / "fleet.sls").write_text(inputs.salt(nodes), encoding="utf-8")
    line = [_tool("salt", "salt-call"), "--local", f"--config-dir={folder / 'conf'}", "--log-file=/dev/null"]
    return Command(line=[*line, "state.apply", "fleet", "test=True"])


def _unfurl(folder: Path, nodes: int) -> Command:
    folder.mkdir(parents=True)
    (folder / "ensemble.yaml").write_text(inputs.ensemble(nodes), encoding="utf-8")
    return Command(line=[_tool("unfurl", "unfurl"), "--home", "", "plan", "ensemble.yaml"], folder=folder)


def _terraform(folder: Path, nodes: int) -> Command:
    folder.mkdir(parents=True)
    (folder / "main.tf").write_text(inputs.terraform(nodes), encoding="utf-8")
    settings = folder / "terraform.rc"
    settings.touch()
    environment = {"TF_CLI_CONFIG_FILE": str(settings), "CHECKPOINT_DISABLE": "1"}
    _run(Command(line=["terraform", "init"], folder=folder, environment=environment))
    _run(Command(line=["terraform", "apply", "-auto-approve"], folder=folder, environment=environment))
    return Command(line=["terraform", "plan"], folder=folder, environment=environment)


def _terraform_version() -> str:
    return _said(["terraform", "version"]).split()[1].removeprefix("v")


OURS = "reconciler"
OURS_LOOKING = "reconciler-looking"
OURS_COLD = "reconciler-cold"

PEERS = (
    Peer(name=OURS, asked="reconciler plan", prepare=_reconciler, version=_our_version),
    Peer(
        name=OURS_LOOKING,
        asked="reconciler plan, world looked at",
        prepare=_reconciler,
        before=_forget_answer,
        version=_our_version,
    ),
    Peer(name=OURS_COLD, asked="reconciler plan, cache lost", prepare=_reconciler, before=forget, version=_our_version),
    Peer(
        name="opera",
        asked="opera diff",
        prepare=_opera,
        version=_pinned("opera", "opera"),
        largest=1000,
        needs=(("PyYAML==5.4.1",), ("opera==0.7.0", "setuptools<81")),
        constraint="Cython<3",
    ),
    Peer(
        name="tosca-parser",
        asked="tosca-parser, load alone",
        prepare=_tosca_parser,
        version=_pinned("tosca-parser", "tosca-parser"),
        largest=1000,
        needs=(("tosca-parser==2.15.0",),),
    ),
    Peer(
        name="salt",
        asked="salt-call state.apply test=True",
        prepare=_salt,
        version=_pinned("salt", "salt"),
        largest=1000,
        needs=(("salt==3008.3",),),
    ),
    Peer(
        name="unfurl",
        asked="unfurl plan",
        prepare=_unfurl,
        version=_pinned("unfurl", "unfurl"),
        largest=100,
        needs=(("unfurl==1.2.0",),),
    ),
    Peer(
        name="terraform",
        asked="terraform plan",
        prepare=_terraform,
        version=_terraform_version,
        largest=1000,
    ),
)
"""Unfurl needs gigabytes above 100 nodes; to make 5,000 ready takes others minutes, Terraform a quarter of an hour."""


def available(*names: str) -> tuple[list[Peer], list[str]]:
    """Install what can be installed; give the peers that are there (all, or only some), and why others are not."""
    found: list[Peer] = []
    missing: list[str] = []
    for peer in PEERS:
        if names and peer.name not in (OURS, OURS_LOOKING, OURS_COLD, *names):
            continue
        if peer.name == "terraform" and shutil.which("terraform") is None:
            missing.append("terraform is not on the PATH")
            continue
        try:
            install(peer)
        except NotInstalledError as error:
            missing.append(str(error))
        else:
            found.append(peer)
    return found, missing
