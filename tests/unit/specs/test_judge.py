"""The second judge sits in a process of its own; whatever a template does to it, there is an answer."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from specs.errors import Severity
from specs.judge.judge import Judge
from specs.judge.verdict import Verdict
from specs.tosca import library
from specs.yaml.document import load

ROOT = Path(__file__).parents[3]


def simple(nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "tosca_definitions_version": "tosca_simple_yaml_1_3",
        **more,
        "topology_template": {"node_templates": nodes},
    }


GOOD = simple({"a": {"type": "tosca.nodes.Compute", "capabilities": {"host": {"properties": {"num_cpus": 2}}}}})
BAD = simple({"a": {"type": "tosca.nodes.Compute", "properties": {"colour": "red"}}})
CRASHING = simple({"a": 5})
NFV = {
    "tosca_definitions_version": "tosca_simple_profile_for_nfv_1_0_0",
    "topology_template": {"node_templates": {"vdu": {"type": "tosca.nodes.nfv.VDU"}}},
}
REDEFINING = simple(
    {"a": {"type": "tosca.nodes.Compute", "properties": {"colour": "red"}}},
    node_types={
        "tosca.nodes.Root": {"properties": {"colour": {"type": "string", "required": False}}},
        "tosca.nodes.Compute": {"derived_from": "tosca.nodes.Root"},
    },
)

STRANGE_READER = """
import os, socket, sys, time
import specs.judge.worker as worker
from specs.judge.parser import Complaint, Outcome
class Reader:
    def read(self, template):
        print('noise'); print('noise', file=sys.stderr)
        match template.get('do'):
            case 'hang':
                while True: pass
            case 'sleep': time.sleep(60)
            case 'die': os.kill(os.getpid(), 9)
            case 'exit': os._exit(3)
            case 'eat': return Outcome((), str(len(bytearray(1 << 30))))
            case 'connect': return Outcome((), outcome(lambda: socket.create_connection(('127.0.0.1', 9))))
            case 'open': return Outcome((), outcome(lambda: open('/etc/passwd')))
            case 'fork': return Outcome((), str(os.getpid()))
        return Outcome((), '')
def outcome(call):
    try:
        call()
    except OSError as error:
        return error.strerror
    return 'it works'
worker.Parser = Reader
worker.main()
"""


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as shared:
        yield shared


@pytest.fixture
def strange() -> Iterator[Judge]:
    """A judge whose reader does what templates tell it."""
    with Judge(seconds=1, command=(sys.executable, "-c", STRANGE_READER)) as shared:
        yield shared


def answer(judge: Judge, template: dict[str, Any]) -> tuple[Verdict, ...]:
    return judge.judge_many([template])[0]


def reason(judge: Judge, template: dict[str, Any]) -> str:
    (verdict,) = answer(judge, template)
    assert verdict.severity is Severity.WARNING
    return verdict.message.removeprefix("tosca-parser gave no answer: ").split(";")[0]


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def processor_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


# --- what it judges --------------------------------------------------------------------------------


def test_good_templates_pass(judge: Judge) -> None:
    assert answer(judge, GOOD) == ()
    assert answer(judge, NFV) == ()


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ({"a": {"type": "tosca.nodes.Compute", "properties": {"colour": 1}}}, "cannot have 'colour'"),
        ({"a": {"type": "tosca.nodes.BlockStorage"}}, "needs '['size']'"),
        ({"a": {"type": "tosca.nodes.BlockStorage", "properties": {"size": "much"}}}, "a number with a unit"),
        ({"a": {"type": "tosca.nodes.Nothing"}}, "there is no type 'tosca.nodes.Nothing'"),
        ({"a": {"type": "tosca.nodes.Compute", "requirements": [{"local_storage": "b"}]}}, "node template 'b'"),
        ({"a": {"type": "tosca.nodes.Compute", "requirements": [{"nothing": "a"}]}}, "cannot have 'nothing'"),
        ({"a": {"type": "tosca.nodes.Compute", "capabilities": {"x": {}}}}, "cannot have 'x'"),
        ({"a": {"type": "tosca.nodes.Compute", "capabilities": {"host": {"properties": {"num_cpus": 0}}}}}, "'0'"),
        ({"a": {"type": "tosca.nodes.network.Network", "properties": {"cidr": {"get_input": "x"}}}}, "no input 'x'"),
        ({"a": {"type": "tosca.nodes.network.Network", "properties": {"cidr": {"get_attribute": ["a", "x"]}}}}, "'x'"),
        ({"a": {"type": "tosca.nodes.network.Network", "properties": {"ip_version": 5}}}, "'ip_version'"),
    ],
)  # fmt: skip
def test_faults_are_found(judge: Judge, nodes: dict[str, Any], words: str) -> None:
    found = answer(judge, simple(nodes))

    assert any(words in verdict.message for verdict in found), found
    assert all(verdict.severity is Severity.ERROR for verdict in found)
    assert all("\n" not in verdict.message and "File" not in verdict.message for verdict in found)


@pytest.mark.parametrize(
    ("section", "value", "words"),
    [
        ("outputs", {"o": {"description": "nothing"}}, "needs 'value'"),
        ("groups", {"g": {"type": "tosca.groups.Root", "members": ["b"]}}, "no node template 'b'"),
        ("policies", [{"p": {"type": "tosca.policies.Scaling", "targets": ["b"]}}], "no node template 'b'"),
        ("policies", [{"p": {"type": "tosca.policies.Scaling", "properties": {"x": 1}}}], "cannot have 'x'"),
        ("policies", [{"p": {"type": "tosca.policies.Scaling", "triggers": {"t": {"x": 1}}}}], "cannot have 'x'"),
        ("policies", [{"p": {"type": "tosca.policies.Scaling", "triggers": {"t": {"condition": {"threshold": "5"}}}}}],
         "'5' must be a number"),
        ("inputs", {"i": {"type": "integer", "default": "x"}}, "'x' must be a whole number"),
        ("nothing", {}, "cannot have 'nothing'"),
    ],
)  # fmt: skip
def test_faults_around_the_nodes_are_found(judge: Judge, section: str, value: object, words: str) -> None:
    template = {"tosca_definitions_version": "tosca_simple_yaml_1_3", "topology_template": {section: value}}

    if section == "nothing":
        assert answer(judge, template) == ()
    else:
        assert any(words in verdict.message for verdict in answer(judge, template))


def test_thousands_of_faults_end_at_some_point(judge: Judge) -> None:
    nodes = {f"n{number}": {"type": "tosca.nodes.Compute", "properties": {"x": 1}} for number in range(2000)}

    assert 1 < len(answer(judge, simple(nodes))) <= 100


# --- one template does not change the answer to another --------------------------------------------


def test_answers_do_not_depend_on_what_was_judged_before(judge: Judge) -> None:
    templates = [GOOD, REDEFINING, BAD, NFV, BAD, CRASHING, GOOD, REDEFINING, NFV, BAD]
    alone = []
    for template in templates:
        with Judge() as fresh:
            alone.append(answer(fresh, template))

    assert judge.judge_many(templates) == tuple(alone)
    assert judge.judge_many(reversed(templates)) == tuple(reversed(alone))


def test_types_of_the_nfv_profile_are_unknown_to_other_documents(judge: Judge) -> None:
    other = {**NFV, "tosca_definitions_version": "tosca_simple_yaml_1_3"}

    (_, (verdict, *_)) = judge.judge_many([NFV, other])

    assert "there is no type 'tosca.nodes.nfv.VDU'" in verdict.message


def test_threads_share_a_judge(judge: Judge) -> None:
    found: list[tuple[tuple[Verdict, ...], ...]] = []
    threads = [threading.Thread(target=lambda: found.append(judge.judge_many([GOOD, BAD] * 5))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 4
    assert {tuple(map(len, answers)) for answers in found} == {(0, 1) * 5}


# --- no answer is a warning ------------------------------------------------------------------------


def test_a_crash_is_a_warning(judge: Judge) -> None:
    good, crashing = judge.judge_many([GOOD, CRASHING])

    assert good == ()
    assert [verdict.code for verdict in crashing] == ["second-judge-silent"]


def test_types_that_derive_from_each_other_do_not_hang_it() -> None:
    template = simple({"a": {"type": "b"}}, node_types={"b": {"derived_from": "c"}, "c": {"derived_from": "b"}})
    with Judge(seconds=1) as judge:
        assert reason(judge, template) in ("it took longer than 1 s", "it ended with RecursionError")
        assert answer(judge, GOOD) == ()


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        ("hang", "it took longer than 1 s"),
        ("sleep", "it took longer than 1 s"),
        ("die", "it was stopped (signal 9)"),
        ("exit", "it was stopped (exit code 3)"),
        ("eat", "it was stopped (exit code 1)"),
        ("connect", "it ended with Too many open files"),
        ("open", "it ended with Too many open files"),
    ],
)
def test_a_reader_that_runs_wild_is_stopped(strange: Judge, deed: str, words: str) -> None:
    assert reason(strange, {"do": deed}) == words
    assert answer(strange, {"do": "nothing"}) == ()


def test_a_process_that_cannot_start_is_told_once_and_not_tried_for_ever() -> None:
    command = (sys.executable, "-c", "raise SystemExit('no tosca-parser here')")
    with Judge(command=command) as judge:
        answers = judge.judge_many([GOOD] * 50)

    assert {verdict.severity for (verdict,) in answers} == {Severity.WARNING}
    assert "no tosca-parser here" in answers[-1][0].message


def test_a_missing_program_is_told() -> None:
    with Judge(command=("/nowhere/python",)) as judge:
        assert "/nowhere/python" in judge.judge_many([GOOD] * 4)[3][0].message


def test_the_next_template_starts_a_killed_process_again(judge: Judge) -> None:
    answer(judge, GOOD)
    killed = judge.pid
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: not is_running(killed))

    first, second = judge.judge_many([GOOD, GOOD])

    assert [verdict.code for verdict in first] == ["second-judge-silent"]
    assert second == ()


# --- nothing is left behind ------------------------------------------------------------------------


def test_closing_ends_the_process_and_its_child(strange: Judge) -> None:
    child = int(reason(strange, {"do": "fork"}).removeprefix("it ended with "))
    worker = strange.pid
    strange.close()

    assert not is_running(worker)
    wait_until(lambda: not is_running(child))


def test_everything_ends_with_a_parent_that_is_killed() -> None:
    program = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from specs.judge.judge import Judge
judge = Judge(seconds=50, command=({sys.executable!r}, "-c", {STRANGE_READER!r}))
print(judge.judge_many([{{"do": "fork"}}])[0][0].message.split()[7].rstrip(";"), judge.pid, flush=True)
judge.judge_many([{{"do": "sleep"}}])
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    with parent:
        assert parent.stdout is not None
        child, worker = map(int, parent.stdout.readline().split())
        assert is_running(child)
        parent.kill()

    wait_until(lambda: not is_running(worker) and not is_running(child))


def test_a_child_at_work_ends_with_the_process_that_made_it() -> None:
    with Judge(seconds=50, command=(sys.executable, "-c", STRANGE_READER)) as judge:
        child = int(reason(judge, {"do": "fork"}).removeprefix("it ended with "))
        before = processor_ticks(child)
        asking = threading.Thread(target=lambda: judge.judge_many([{"do": "hang"}]))
        asking.start()
        wait_until(lambda: processor_ticks(child) > before + 5)
        os.kill(judge.pid, signal.SIGKILL)

        wait_until(lambda: not is_running(child))
        asking.join()


def test_its_process_has_no_library_for_the_network() -> None:
    program = "import sys, specs.judge.worker as _, requests; print(hasattr(requests, 'get'), *sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    answer, *modules = done.stdout.split()

    assert answer == "False"
    assert "toscaparser.tosca_template" in modules
    assert "urllib3" not in modules


# --- its process -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [library.NORMATIVE, library.NFV])
def test_shipped_types_are_the_same_to_both_readers(path: str) -> None:
    document, _ = load(path, library.read(path))
    assert document is not None
    assert document.data == yaml.load(library.read(path), Loader=yaml.SafeLoader)


def test_it_knows_the_profiles_that_tosca_parser_finds_for_itself() -> None:
    found = [
        subprocess.run([sys.executable, "-c", before + PROFILES], cwd=ROOT, check=True, capture_output=True, text=True)
        for before in ("", "import specs.judge.forgone\n")
    ]

    assert "tosca_simple_profile_for_nfv_1_0_0" in found[0].stdout
    assert found[0].stdout == found[1].stdout


PROFILES = """
from toscaparser.extensions.exttools import ExtTools
print(sorted(ExtTools().EXTENSION_INFO.items()))
"""
