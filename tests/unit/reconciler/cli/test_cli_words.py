"""Arguments, errors and the screen: what every command has in common."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from reconciler.cli.exits import Exit, worst
from reconciler.cli.parser import MODULES, build, parse
from reconciler.cli.terminal import Screen, clean
from reconciler.lines import Span, Style, line, table
from reconciler.version import VERSION
from tests.support.city import City

ROOT = Path(__file__).parents[4]
ATTACK = "\x1b]0;title\x07\x1b[2J\r\u202egnp.exe\u200b\x9b31m\x00\n"


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


# --- arguments -------------------------------------------------------------------------------------


def test_global_options_stand_before_or_after_the_command() -> None:
    before = parse(["-C", "d", "--site", "a", "--json", "-v", "plan"])
    after = parse(["plan", "-C", "d", "--site", "a", "--json", "-v"])

    assert vars(before) == vars(after)
    assert parse(["--site", "a", "plan", "--site", "b"]).sites == ["a", "b"]
    assert parse(["--service", "a", "sandpit", "list", "--service", "b"]).services == ["a", "b"]


def test_a_wrong_command_line_ends_with_1_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["plan", "--nonsense"], ["fly"], [], ["apply", "--parallelism", "0"], ["plan", "--det"]):
        with pytest.raises(SystemExit) as ended:
            parse(arguments)
        assert ended.value.code == 1

    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("number", ["0", "-3", "x", "1.5", "²"])
def test_a_number_that_is_none_is_named(capsys: pytest.CaptureFixture[str], number: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["apply", f"--parallelism={number}"])

    assert ended.value.code == 1
    assert f"argument --parallelism: {number!r} is no whole number of at least 1" in capsys.readouterr().err


def test_every_command_has_a_module_and_a_description() -> None:
    commands = next(action.choices for action in build()._actions if action.dest == "command")

    assert isinstance(commands, dict)
    assert commands.keys() == MODULES.keys()
    assert all(command.description for command in commands.values())
    for module in MODULES.values():
        assert (ROOT / "reconciler" / "cli" / "commands" / f"{module}.py").is_file()


def test_the_version_is_that_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == VERSION


def test_help_and_version_import_nothing_heavy() -> None:
    code = "import sys; from reconciler.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(*sys.modules, file=sys.stderr)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stderr

    heavy = {"rich", "pygit2", "yaml", "ruamel", "apscheduler", "sqlite3", "dataclasses", "json", "logging", "specs"}
    assert not heavy & set(loaded.split())


def test_a_plan_of_what_has_not_changed_needs_no_reader_and_no_terminal(city: City) -> None:
    city.run("apply", "--auto-approve")
    code = "import sys; from reconciler.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, "-C", str(city.folder), "plan"]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stderr

    heavy = {"rich", "apscheduler", "deepdiff", "toscaparser", "yaml", "shtab", "psycopg", "importlib.metadata"}
    assert not heavy & set(loaded.split())


# --- the screen ------------------------------------------------------------------------------------


def test_nothing_from_outside_controls_the_terminal() -> None:
    assert clean(ATTACK) == "\ufffd]0;title\ufffd\ufffd[2J\ufffd\ufffdgnp.exe\ufffd\ufffd31m\ufffd\ufffd"
    assert clean("Größe ✓ 大") == "Größe ✓ 大"


def test_every_way_out_is_clean() -> None:
    out, err = Tty(), Tty()
    screen = Screen(out, err, {})
    screen.show([ATTACK, line(Span(ATTACK, Style.BAD))])
    screen.note(ATTACK)
    screen.error(f"{ATTACK}second line\x1b[1m")
    screen.document({"name": ATTACK})

    for text in (out.getvalue(), err.getvalue()):
        rest = text
        for colour in ("\x1b[1;31m", "\x1b[0m", "\n"):
            rest = rest.replace(colour, "")
        assert rest == clean(rest)
    assert json.loads(out.getvalue().partition("{")[1] + out.getvalue().partition("{")[2])["name"] == ATTACK


def test_colour_is_for_terminals_that_want_it() -> None:
    said = line(Span("well", Style.GOOD), " done")

    for stream, environment in ((io.StringIO(), {}), (Tty(), {"NO_COLOR": ""}), (Tty(), {"TERM": "dumb"})):
        screen = Screen(stream, stream, environment)
        assert screen.painted(said, stream) == "well done"
    terminal = Tty()
    assert Screen(terminal, terminal, {}).painted(said, terminal) == "\x1b[32mwell\x1b[0m done"


def test_a_table_puts_cells_under_each_other() -> None:
    lines = table([("a", "long", "x"), ("much", "b", "the rest is free")])

    assert list(map(str, lines)) == ["a     long  x", "much  b     the rest is free"]


def test_an_attack_in_a_spec_reaches_no_terminal(city: City) -> None:
    city.commit({"specs/evil.yaml": 'tosca_definitions_version: "x\\e[31m\\u202e"\ntopology_template: {}\n'})
    ended = city.run("validate")

    assert ended.code == 3
    assert not set(ended.out) & {"\x1b", "\u202e"}


# --- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["plan", "validate", "status", "drift", "run", "history", "apply --auto-approve"])
def test_where_no_repository_is_nothing_is_left_behind(city: City, tmp_path: Path, command: str) -> None:
    for folder, words in ((tmp_path / "empty", "cannot be used as a git repository"), (tmp_path / "none", "no folder")):
        (tmp_path / "empty").mkdir(exist_ok=True)
        ended = city.run("-C", str(folder), *command.split())
        assert ended.code == 1
        assert ended.err.startswith("error: ")
        assert words in ended.err

    assert list((tmp_path / "empty").iterdir()) == []
    assert not (tmp_path / "none").exists()


def test_a_defect_is_one_line_and_its_traceback_comes_on_request(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("by \x1b[31mzero")

    monkeypatch.setattr("reconciler.project.read_tree", broken)
    brief, long = city.run("plan"), city.run("-v", "plan")

    assert (brief.code, long.code) == (1, 1)
    assert brief.err == "error: internal error: ZeroDivisionError: by \ufffd[31mzero; run again with -v for details\n"
    assert "Traceback (most recent call last):" in long.err
    assert "\x1b" not in long.err


def test_ctrl_c_is_said_and_no_traceback(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("reconciler.project.read_tree", interrupted)
    ended = city.run("plan")

    assert ended.code == 130
    assert ended.err == "error: interrupted; nothing was changed\n"


def test_a_reader_that_goes_away_is_no_error(city: City) -> None:
    code = "import sys; from reconciler.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "-C", str(city.folder), "plan"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()

    assert said == ""
    assert process.returncode == 141


@pytest.mark.parametrize(("streams", "said"), [(">/dev/full", True), (">/dev/full 2>/dev/full", False)])
def test_a_full_disk_is_said_where_that_is_possible(city: City, streams: str, said: bool) -> None:
    code = "import sys; from reconciler.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = f'"{sys.executable}" -c "{code}" -C "{city.folder}" plan {streams}'
    ended = subprocess.run(["sh", "-c", command], cwd=ROOT, check=False, stderr=subprocess.PIPE, text=True)

    assert ended.returncode == 1
    message = "error: the standard output cannot be written: No space left on device; send it elsewhere, or make room\n"
    assert ended.stderr == (message if said else "")


def test_closed_streams_are_no_error(city: City) -> None:
    code = "import sys; from reconciler.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = f'"{sys.executable}" -c "{code}" -C "{city.folder}" plan --detailed-exitcode >&- 2>&-'

    assert subprocess.run(["sh", "-c", command], cwd=ROOT, check=False).returncode == 2


def test_the_worst_of_several_sites_counts() -> None:
    assert worst([]) is Exit.DONE
    assert worst([Exit.DONE, Exit.LOCKED, Exit.DIFFERENT]) is Exit.LOCKED
    assert worst([Exit.STALE, Exit.FAILED, Exit.LOCKED]) is Exit.FAILED
    assert worst([Exit.FAILED, Exit.INTERRUPTED]) is Exit.INTERRUPTED
