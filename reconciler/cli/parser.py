"""What the command line understands: one parser of plain calls, from which help, completion and reference are made."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Container, Sequence
from typing import NoReturn

from reconciler.version import VERSION

MODULES = {
    "init": "init",
    "validate": "validate",
    "plan": "plan",
    "apply": "apply",
    "status": "status",
    "drift": "drift",
    "run": "run",
    "history": "history",
    "rollback": "rollback",
    "suspend": "suspension",
    "resume": "suspension",
    "unlock": "unlock",
    "adopt": "adopt",
    "graph": "graph",
    "alerts": "alerts",
    "demo": "demo",
    "sandpit": "sandpit",
    "completion": "completion",
}
"""Command → its module in `reconciler.cli.commands`."""

_EPILOG = "exit codes: 0 done, 1 error, 2 differences, 3 invalid specs, 4 stale plan, 5 locked, 130 interrupted"


class Options(argparse.Namespace):
    """Everything the command line can say; a command reads what belongs to it."""

    command: str
    directory: str
    repo: str
    revision: str
    local: bool
    state: str
    sites: list[str]
    services: list[str]
    json: bool
    verbose: bool

    target: list[str]
    exclude: list[str]
    out: str
    refresh_only: bool
    detailed_exitcode: bool
    plan_file: str
    auto_approve: bool
    allow_mass_change: bool
    parallelism: int
    once: bool
    listen: str
    names: list[str]
    value: str
    since: str
    until: str
    lines: list[str]
    limit: int
    rev: str
    reason: str
    address: str
    id: str
    dot: bool
    svg: bool
    fabric: bool
    folder: str
    shell: str

    action: str
    what: str
    values: list[str]
    kind: str
    name: str
    cluster: str
    binding: str
    part: str
    call: str
    trouble: str
    times: int
    seconds: float


class Parser(argparse.ArgumentParser):
    """Ends with 1 on a wrong command line: 2 means that something differs."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is."""
        self.exit(1, f"error: {message}\n{self.format_usage()}try: {self.prog} --help\n")


def parse(arguments: Sequence[str]) -> Options:
    """Read a command line; ends the process for `--help`, `--version` and what makes no sense."""
    parser = build(arguments)
    options = parser.parse_args(arguments, Options())
    options.sites += vars(options).pop("more_sites", [])
    options.services += vars(options).pop("more_services", [])
    if options.local and (options.repo or options.revision):
        parser.error("--local reads the files as they are; it cannot go with --repo or --revision")
    return options


def build(mentioned: Container[str] = MODULES) -> Parser:
    """Make the parser; a command that is not `mentioned` gets little more than its line in the list of commands.

    To make all of it takes longer than to tell a kept answer.
    """
    parser = Parser(
        prog="reconciler",
        description="Keep the world as a git repository of TOSCA specs says.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    _add_global(parser)
    parser.add_argument(
        "--version", action="version", version=f"reconciler {VERSION}", help="show the version and exit"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")

    def command(name: str, about: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=_small(about), description=f"{about}.", allow_abbrev=False)
        if name in mentioned:
            _add_global_again(made)
        return made

    _add_reading(command)
    _add_doing(command)
    _add_steering(command)
    alerts = command("alerts", "Show alert rules: how they do, what was measured, what fired last, what comes next")
    sandpit = command("sandpit", "Break and mend the emulated site, as other people would")
    for name, add, made in (("alerts", _add_alerts, alerts), ("sandpit", _add_sandpit, sandpit)):
        if name in mentioned:
            add(made)
    completion = command("completion", "Print a completion script for a shell")
    completion.add_argument(
        "shell", choices=("bash", "zsh"), help="the shell, e.g. source <(reconciler completion bash)"
    )
    return parser


def _small(about: str) -> str:
    return about[0].lower() + about[1:]


# --- options that stand before or after the command ------------------------------------------------


def _add_global(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-C", dest="directory", metavar="DIR", default=".",
        help="folder of the spec repository, and where .reconciler/ is kept; default: the current one",
    )  # fmt: skip
    parser.add_argument(
        "--repo", metavar="URL", default="",
        help="spec repository elsewhere (https, ssh, file or a path); it is mirrored into .reconciler/",
    )  # fmt: skip
    parser.add_argument(
        "--revision", metavar="REV", default="", help="commit, tag or branch to read; default: the branch"
    )
    parser.add_argument("--local", action="store_true", help="read the files as they are, committed or not")
    parser.add_argument(
        "--state", metavar="URL", default="",
        help="state store: sqlite:///PATH or postgresql://…; default: .reconciler/state.db",
    )  # fmt: skip
    parser.add_argument(
        "--site", dest="sites", metavar="S", action="append", default=[], help="only this site; may be given again"
    )
    parser.add_argument(
        "--service", dest="services", metavar="S", action="append", default=[],
        help="only this service and what it needs; may be given again",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout and nothing else there")
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="say more; show attributes in plans, and where internal errors come from",
    )


def _add_global_again(parser: argparse.ArgumentParser) -> None:
    """Let the global options stand after the command as well, without showing them twice in help."""
    hidden = argparse.SUPPRESS
    parser.add_argument("-C", dest="directory", default=hidden, help=hidden)
    for name in ("--repo", "--revision", "--state"):
        parser.add_argument(name, default=hidden, help=hidden)
    for name in ("--local", "--json"):
        parser.add_argument(name, action="store_true", default=hidden, help=hidden)
    parser.add_argument("-v", "--verbose", action="store_true", default=hidden, help=hidden)
    parser.add_argument("--site", dest="more_sites", action="append", default=hidden, help=hidden)
    parser.add_argument("--service", dest="more_services", action="append", default=hidden, help=hidden)


# --- commands --------------------------------------------------------------------------------------

Command = Callable[[str, str], argparse.ArgumentParser]


def _add_reading(command: Command) -> None:
    command("validate", "Check every document and show every fault with file, line and column")
    plan = command("plan", "Show what apply would do, and why")
    _add_targets(plan)
    plan.add_argument("--out", metavar="FILE", default="", help="also write the plan to a file, for apply")
    plan.add_argument("--refresh-only", action="store_true", help="only show how the world has moved")
    plan.add_argument(
        "--detailed-exitcode",
        action="store_true",
        help="end with 0 for no changes, 2 for changes, 1 for an error or where not everything could be seen",
    )
    command("status", "Show sites and services: whether they are in sync, how they do, what ran last")
    command("drift", "Show what the world changed; writes nothing anywhere")
    history = command("history", "Show commits and the runs that applied them")
    history.add_argument("--limit", type=_count, metavar="N", default=20, help="how many commits; default: 20")
    graph = command("graph", "Show switches, links and what goes over them, then resources and what they require")
    graph.add_argument("--fabric", action="store_true", help="only switches, links and what goes over them")
    drawn = graph.add_mutually_exclusive_group()
    drawn.add_argument(
        "--dot", action="store_true", help="resources, or with --fabric the fabric, as a graph in the DOT language"
    )
    drawn.add_argument("--svg", action="store_true", help="the fabric of one site as a picture")


def _add_doing(command: Command) -> None:
    init = command("init", "Make a spec repository with one sandpit site and one service")
    init.add_argument(
        "folder", metavar="DIR", nargs="?", default="", help="a new or empty folder; default: the current one"
    )
    apply = command("apply", "Make the world as the specs say, after asking")
    apply.add_argument("plan_file", metavar="PLANFILE", nargs="?", default="", help="a plan written by plan --out")
    apply.add_argument("--auto-approve", action="store_true", help="do not ask")
    apply.add_argument("--parallelism", type=_count, metavar="N", default=0, help="provider calls at once")
    apply.add_argument(
        "--allow-mass-change", action="store_true", help="go on where the mass-change breaker would stop"
    )
    _add_targets(apply)
    run = command("run", "Watch git and the world, and keep them together")
    run.add_argument("--once", action="store_true", help="one turn for every site, then end")
    run.add_argument(
        "--listen", metavar="ADDR", default="",
        help="hear alerts and metrics over HTTP at HOST:PORT; those who post prove themselves by the secret intake",
    )  # fmt: skip
    demo = command("demo", "Tell the whole story on the sandpit in a new folder")
    demo.add_argument("folder", metavar="DIR", nargs="?", default="demo-specs", help="default: demo-specs")


def _add_steering(command: Command) -> None:
    rollback = command("rollback", "Revert a commit by a new one")
    rollback.add_argument("rev", metavar="REV", help="the commit to revert")
    suspend = command("suspend", "Make the loop leave sites, or services of them, alone")
    suspend.add_argument("--reason", default="", help="why, for those who look at the status")
    command("resume", "End a suspension")
    command("unlock", "Break the lock of a site whose holder is gone")
    adopt = command("adopt", "Make an object that is there already ours")
    adopt.add_argument("address", metavar="ADDR", help="the resource in the spec")
    adopt.add_argument(
        "id", metavar="ID", nargs="?", default="", help="the object's id; default: the one with its name"
    )


def _add_targets(parser: argparse.ArgumentParser) -> None:
    where = "an address, or the beginning of some up to a / @ . or :"
    parser.add_argument(
        "--target", metavar="ADDR", action="append", default=[], help=f"only this and what it needs: {where}"
    )
    parser.add_argument("--exclude", metavar="ADDR", action="append", default=[], help=f"not this: {where}")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def _add_alerts(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")

    def action(name: str, about: str) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=_small(about), description=f"{about}.", allow_abbrev=False)
        _add_global_again(made)
        return made

    def names(made: argparse.ArgumentParser, how_many: str | int) -> None:
        made.add_argument(
            "names", metavar="ALERT", nargs=how_many, help="a trigger, policy/trigger or service/policy/trigger"
        )

    names(action("list", "Show the rules; the same as no action"), "*")
    names(action("test", "Evaluate rules now, show queries and numbers, and change nothing"), "*")
    fire = action("fire", "Let an alert go off, as if its rule had fired")
    names(fire, 1)
    fire.add_argument("--value", metavar="V", default="", help="what to say was measured")
    replay = action("replay", "Run the policies over recorded metrics and show the commits they would have made")
    names(replay, "*")
    replay.add_argument(
        "--from", dest="since", metavar="TIME", default="24h",
        help="2026-03-04T12:00:00Z, or how long ago; default: 24h",
    )  # fmt: skip
    replay.add_argument("--to", dest="until", metavar="TIME", default="now", help="likewise; default: now")
    feed = action("feed", "Write metrics to the embedded store, in line protocol")
    feed.add_argument("lines", metavar="LINE", nargs="+", help="e.g. 'storage,flame_location=edge-1 requests=120'")


def _add_sandpit(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")

    def action(name: str, about: str) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=_small(about), description=f"{about}.", allow_abbrev=False)
        _add_global_again(made)
        return made

    listing = action("list", "Show every object there is, ours or not")
    listing.add_argument("--kind", metavar="K", default="", help="only this kind, e.g. server")
    listing.add_argument("--cluster", metavar="C", default="", help="only there")
    _add_what(action("show", "Show everything about one object"))
    _add_what(action("delete", "Delete an object behind our back"))
    change = action("change", "Change properties of an object behind our back")
    _add_what(change)
    _add_values(change, "+", "a property; the value is JSON or text, and null takes it away")
    add = action("add", "Make an object that is nobody's")
    add.add_argument("kind", metavar="KIND", help="what it is, e.g. server")
    add.add_argument("name", metavar="NAME", help="what it is called")
    _add_values(add, "*", "a property; the value is JSON or text")
    add.add_argument("--cluster", metavar="C", default="", help="where it is")
    add.add_argument("--binding", metavar="B", default="", help="the provider of the site spec, if there are several")
    _add_what(action("unmark", "Take our owner mark off an object"))
    action("usage", "Show what is used, by cluster and kind")
    _add_failures(action)


def _add_failures(action: Command) -> None:
    down = action("down", "Take a cluster or an API down")
    down.add_argument("part", metavar="PART", help="@CLUSTER, KIND, KIND@CLUSTER, or * for everything")
    down.add_argument("--reason", metavar="TEXT", default="", help="what the API says about it")
    up = action("up", "Bring up what is down")
    up.add_argument("part", metavar="PART", nargs="?", default="", help="as in down; default: everything")
    fault = action("fault", "Let calls go wrong")
    fault.add_argument("call", metavar="CALL", help="VERB:KIND, e.g. create:server; * for any verb or kind")
    fault.add_argument(
        "trouble", metavar="TROUBLE", help="timeout, fail, refuse, unauthorized, lose (the answer), slow or partial"
    )
    fault.add_argument("--cluster", metavar="C", default="", help="only there")
    fault.add_argument("--times", type=_count, metavar="N", default=0, help="how many calls; default: every one")
    fault.add_argument(
        "--seconds", type=float, metavar="S", default=0.0, help="how long slow takes, or when fail asks to come back"
    )
    clear = action("clear", "Let calls go right again")
    clear.add_argument("call", metavar="CALL", nargs="?", default="", help="as in fault; default: every one")
    action("troubles", "Show what is down and which calls go wrong")


def _add_what(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="WHAT", help="an address, or an id or a name as list shows them")


def _add_values(parser: argparse.ArgumentParser, how_many: str, about: str) -> None:
    parser.add_argument("values", metavar="NAME=VALUE", nargs=how_many, help=about)
