"""plan and apply, from the command line to the world of the sandpit."""

from __future__ import annotations

import io
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.city import FRONTEND, STORAGE, City


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sit down at a terminal."""
    return lambda text: monkeypatch.setattr("sys.stdin", Terminal(text))


# --- plan ------------------------------------------------------------------------------------------


def test_a_plan_ends_with_how_much_it_would_do(city: City) -> None:
    ended = city.run("plan")

    assert ended.code == 0
    assert ended.out.endswith("\nPlan: 19 to add, 0 to change, 0 to destroy.\n")
    assert f"  + {STORAGE}  # wanted and never made\n" in ended.out
    assert ended.err == ""


def test_a_plan_changes_nothing(city: City) -> None:
    city.run("plan")

    assert city.run("sandpit", "list").out == ""


def test_only_with_detailed_exit_codes_changes_are_told_by_the_code(city: City) -> None:
    assert city.run("plan", "--detailed-exitcode").code == 2
    city.run("apply", "--auto-approve")
    assert city.run("plan", "--detailed-exitcode").code == 0


def test_equal_plans_are_equal_to_the_byte_but_for_their_time(city: City) -> None:
    first, second = city.run("plan", "--json").document, city.run("--json", "plan").document
    assert first.pop("created_at") != second.pop("created_at")

    assert json.dumps(first) == json.dumps(second)
    assert first["summary"] == {"create": 19, "update": 0, "replace": 0, "delete": 0, "adopt": 0, "noop": 0}


def test_a_lost_state_store_is_no_change(city: City) -> None:
    city.run("apply", "--auto-approve")
    for file in (city.folder / ".reconciler").glob("state.db*"):
        file.unlink()
    ended = city.run("plan", "--detailed-exitcode")

    assert ended.code == 0
    assert " <= 19 objects recognised by their owner marks\n" in ended.out
    assert ended.out.endswith("No changes. The world is as the specs say.\n")


def test_a_target_brings_what_it_needs(city: City) -> None:
    changes = city.run("plan", "--json", "--target", STORAGE).document["resource_changes"]

    assert [change["type"] for change in changes] == [
        "sandpit.image", "sandpit.network", "sandpit.port", "sandpit.server",
    ]  # fmt: skip


def test_a_target_may_be_the_beginning_of_addresses(city: City) -> None:
    changes = city.run("plan", "--json", "--target", "sandpit-city/vr-tour/storage@edge-1").document["resource_changes"]

    assert [change["address"] for change in changes] == ["sandpit-city/vr-tour/storage@edge-1:sandpit.image"]


def test_what_is_excluded_is_held_back_with_what_needs_it(city: City) -> None:
    document = city.run("plan", "--json", "--exclude", STORAGE).document

    held = {change["address"]: change["why"] for change in document["held_changes"]}
    assert held[STORAGE] == "it is not targeted"
    assert STORAGE in held["sandpit-city/vr-tour/storage@dc-1.0:sandpit.path"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "sandpit-city/vr-tour/nobody"], "names nothing on sandpit-city"),
        (["--target", "nowhere/vr-tour"], "no site 'nowhere'"),
        (["--exclude", "sandpit-city/vr-tour/nobody"], "names nothing on sandpit-city"),
        (["--exclude", "nowhere/vr-tour"], "no site 'nowhere'; what is excluded begins with its site: sandpit-city"),
        (["--site", "nowhere"], "no site 'nowhere'; there are sandpit-city"),
        (["--service", "nothing"], "no service 'nothing'; there are vr-tour"),
        (["--revision", "nonsense"], "has no commit 'nonsense'; name a commit, a tag or a branch"),
        (["--state", "mysql://x"], "no state store can be found"),
    ],
)
def test_what_does_not_exist_is_said(city: City, arguments: list[str], words: str) -> None:
    ended = city.run("plan", *arguments)

    assert ended.code == 1
    assert ended.err.startswith("error: ")
    assert words in ended.err
    assert ended.out == ""


def test_a_service_is_planned_alone(city: City) -> None:
    other = (city.folder / "specs/vr-tour.yaml").read_text().replace("service: vr-tour", "service: other")
    city.commit({"specs/other.yaml": other})
    city.run("apply", "--auto-approve", "--service", "other")
    city.run("sandpit", "delete", "sandpit-city/other/storage@dc-1.0:sandpit.server")

    alone = city.run("plan", "--service", "vr-tour").out
    assert "other" not in alone
    assert "not asked for" in alone
    assert "other/storage@dc-1.0:sandpit.server  # it is gone" in city.run("plan").out


def test_refresh_only_shows_drift_and_nothing_else(city: City) -> None:
    city.run("apply", "--auto-approve")
    assert city.run("plan", "--refresh-only", "--detailed-exitcode").code == 0
    city.run("sandpit", "change", FRONTEND, "vcpus=8")
    city.edit("default_instances: 2", "default_instances: 3")
    ended = city.run("plan", "--refresh-only", "--detailed-exitcode")

    assert ended.code == 2
    assert "~ vcpus = 1 -> 8" in ended.out
    assert ended.out.endswith("No changes. The world is as the specs say.\n")


# --- apply -----------------------------------------------------------------------------------------


def test_apply_makes_the_world_and_then_nothing(city: City) -> None:
    first, second = city.run("apply", "--auto-approve"), city.run("apply", "--auto-approve")

    assert (first.code, second.code) == (0, 0)
    assert first.out.endswith("sandpit-city: applied. 19 added, 0 changed, 0 destroyed.\n")
    assert f"creating {STORAGE}: done in" in first.err
    assert second.out.endswith("No changes. The world is as the specs say.\n")


def test_apply_does_not_ask_where_nobody_can_answer(city: City) -> None:
    ended = city.run("apply")

    assert ended.code == 1
    assert "give --auto-approve" in ended.err


@pytest.mark.parametrize(("answer", "code", "made"), [("yes\n", 0, 19), ("y\n", 1, 0), ("", 1, 0)])
def test_apply_asks_and_only_yes_is_yes(
    city: City, type_in: Callable[[str], None], answer: str, code: int, made: int
) -> None:
    type_in(answer)
    ended = city.run("apply")

    assert ended.code == code
    assert "Plan: 19 to add" in ended.out
    assert "Only 'yes' is taken for yes" in ended.err
    assert len(city.run("sandpit", "list", "--json").document) == made


def test_apply_tells_what_it_did_as_json_alone(city: City) -> None:
    document = city.run("apply", "--auto-approve", "--json").document

    assert document["plan"]["summary"]["create"] == 19
    assert document["sites"][0]["exit_code"] == 0
    assert {operation["outcome"] for operation in document["sites"][0]["operations"]} == {"done"}


def test_a_failure_stops_only_what_needs_it(city: City) -> None:
    city.run("plan")
    city.run("sandpit", "fault", "create:server", "refuse", "--cluster", "dc-1")
    ended = city.run("apply", "--auto-approve")

    assert ended.code == 1
    assert f"creating {STORAGE}: failed: create:server: 400 bad request (scripted fault)" in ended.err
    assert f"  create {STORAGE}: create:server: 400 bad request" in ended.out
    assert "1 failed" in ended.out.splitlines()[-1]
    assert len(city.run("sandpit", "list", "--json").document) > 5


def test_what_is_down_is_left_alone(city: City) -> None:
    city.run("apply", "--auto-approve")
    city.run("sandpit", "down", "*", "--reason", "the power is off")
    ended = city.run("plan", "--detailed-exitcode")

    assert ended.code == 1
    assert f"  ? {STORAGE}  # the power is off" in ended.out
    assert ended.out.endswith("No changes. 19 resources unknown.\n")
    assert city.run("plan").code == 0
    assert city.run("plan", "--refresh-only", "--detailed-exitcode").code == 1


def test_an_apply_that_could_not_see_all_it_was_asked_for_fails(city: City) -> None:
    city.run("apply", "--auto-approve")
    city.run("sandpit", "down", "@edge-1")

    assert city.run("apply", "--auto-approve").code == 1
    assert city.run("apply", "--auto-approve", "--target", STORAGE).code == 0


def test_the_breaker_stops_a_mass_change_until_it_is_allowed(city: City) -> None:
    city.commit({"reconciler.yaml": "defaults: {sync: {prune: true}, breaker: {count: 3}}\n"})
    city.run("apply", "--auto-approve")
    city.commit({"specs/vr-tour.yaml": None})

    stopped = city.run("apply", "--auto-approve")
    assert stopped.code == 1
    assert "19 of 19 resources of sandpit-city would vanish (0) or be deleted (19)" in stopped.err
    assert city.run("apply", "--auto-approve", "--allow-mass-change").code == 0
    assert city.run("sandpit", "list").out == ""


# --- plan files ------------------------------------------------------------------------------------


@pytest.fixture
def plan_file(city: City, tmp_path: Path) -> Path:
    file = tmp_path / "the.plan"
    assert city.run("plan", "--out", str(file)).code == 0
    return file


def test_a_plan_file_is_for_its_owner_only(plan_file: Path) -> None:
    assert stat.S_IMODE(plan_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("place", ["", ".", "/", "none/plan"])
def test_a_plan_file_that_cannot_be_written_is_named(city: City, place: str) -> None:
    ended = city.run("plan", "--out", str(city.folder / place))

    assert ended.code == 1
    assert ended.err.startswith("error: the plan cannot be written to ")


def test_a_plan_file_is_applied_without_asking(city: City, plan_file: Path) -> None:
    ended = city.run("apply", str(plan_file))

    assert ended.code == 0
    assert ended.out == "sandpit-city: applied. 19 added, 0 changed, 0 destroyed.\n"


def test_a_plan_file_does_what_it_was_made_for(city: City, tmp_path: Path) -> None:
    file = str(tmp_path / "the.plan")
    city.run("plan", "--out", file, "--target", STORAGE)

    assert "4 added" in city.run("apply", file).out


def test_a_plan_is_stale_when_the_world_moved(city: City, plan_file: Path) -> None:
    city.run("apply", "--auto-approve", "--target", STORAGE)
    ended = city.run("apply", str(plan_file))

    assert ended.code == 4
    assert "sandpit-city has moved since the plan was made; plan again" in ended.err
    assert f"  {STORAGE} would not be touched any more" in ended.err
    assert len(city.run("sandpit", "list", "--json").document) == 4


def test_a_plan_is_stale_when_the_branch_moved(city: City, plan_file: Path) -> None:
    before = city.repository().resolve()
    after = city.commit({"notes.txt": "the same would be done"})
    ended = city.run("apply", str(plan_file))

    assert ended.code == 4
    assert f"the plan was made from {before[:12]}, and the branch is at {after[:12]}; plan again" in ended.err


def test_a_plan_is_stale_the_second_time(city: City, plan_file: Path) -> None:
    city.run("apply", str(plan_file))

    assert city.run("apply", str(plan_file)).code == 4


def test_an_approved_plan_is_held_to_while_the_person_thinks(
    city: City, type_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Thinking(Terminal):
        def readline(self, size: int = -1, /) -> str:  # type: ignore[override]  # of typeshed's two bases one reads bytes
            city.run("apply", "--auto-approve", "--target", STORAGE)
            return "yes\n"

    monkeypatch.setattr("sys.stdin", Thinking())
    ended = city.run("apply")

    assert ended.code == 4


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format_version": "9.9"}', '{"format_version": "1.0"}', "[" * 10**5]
)
def test_what_is_no_plan_is_refused(city: City, tmp_path: Path, content: str) -> None:
    file = tmp_path / "x.plan"
    file.write_text(content)
    ended = city.run("apply", str(file))

    assert ended.code == 1
    assert "is no plan" in ended.err


def test_a_plan_file_takes_no_other_choice(city: City, plan_file: Path) -> None:
    assert city.run("apply", str(plan_file), "--target", STORAGE).code == 1
    assert city.run("--site", "sandpit-city", "apply", str(plan_file)).code == 1


# --- working trees ---------------------------------------------------------------------------------


def test_local_reads_what_is_not_committed_yet(city: City) -> None:
    city.run("apply", "--auto-approve")
    spec = city.folder / "specs/vr-tour.yaml"
    spec.write_text(spec.read_text().replace("default_instances: 2", "default_instances: 3"))

    assert city.run("plan").out.endswith("No changes. The world is as the specs say.\n")
    assert city.run("--local", "plan").out.endswith("Plan: 4 to add, 0 to change, 0 to destroy.\n")


def test_local_goes_with_no_revision(city: City) -> None:
    assert city.run("--local", "--revision", "HEAD", "plan").code == 1


def test_where_signers_are_named_nothing_unsigned_is_applied(city: City) -> None:
    city.commit({"reconciler.yaml": "allowed_signers: signers\n"})
    (city.folder / "signers").write_text("")

    assert "is not signed" in city.run("apply", "--auto-approve").err
    assert "leave out --local, and commit" in city.run("apply", "--auto-approve", "--local").err
    assert city.run("sandpit", "list").out == ""


# --- several sites ---------------------------------------------------------------------------------


@pytest.fixture
def twins(city: City) -> City:
    """Two sites with the same service."""
    site = (city.folder / "sites/sandpit-city.yaml").read_text()
    spec = (city.folder / "specs/vr-tour.yaml").read_text()
    city.commit(
        {
            "sites/another.yaml": site.replace("site: sandpit-city", "site: another"),
            "specs/vr-tour.yaml": spec.replace("sites: [sandpit-city]", "sites: all"),
        }
    )
    return city


def test_several_sites_are_planned_as_one(twins: City) -> None:
    ended = twins.run("plan")

    assert ended.out.endswith("Plan: 38 to add, 0 to change, 0 to destroy.\n")
    assert twins.run("plan", "--json").document["summary"]["create"] == 38
    assert twins.run("plan", "--site", "another").out.endswith("Plan: 19 to add, 0 to change, 0 to destroy.\n")


def test_a_site_that_fails_does_not_stop_the_others(twins: City) -> None:
    twins.run("plan")
    twins.run("sandpit", "--site", "another", "fault", "create:image", "refuse")
    ended = twins.run("apply", "--auto-approve", "--json")

    assert ended.code == 1
    assert [(site["site"], site["exit_code"]) for site in ended.document["sites"]] == [
        ("another", 1),
        ("sandpit-city", 0),
    ]


def test_a_site_that_cannot_be_planned_does_not_hide_the_others(twins: City) -> None:
    site = (twins.folder / "sites/another.yaml").read_text()
    twins.commit({"sites/another.yaml": site.replace("num_cpus: 32", "num_cpus: 1")})
    ended = twins.run("plan", "--json")

    assert ended.code == 3
    assert ended.document["summary"]["create"] == 19
    assert "another: " in ended.document["errors"][0]["message"]


@pytest.mark.parametrize("command", ["plan", "drift", "apply --auto-approve"])
def test_an_error_says_which_site_it_is_about(twins: City, command: str) -> None:
    twins.edit("plugin: sandpit", "plugin: nosuch", "sites/another.yaml")
    ended = twins.run(*command.split())

    assert ended.code == 1
    assert "error: another: no provider 'nosuch'" in ended.err


def test_a_site_without_the_service_that_was_asked_for_is_left_alone(twins: City) -> None:
    spec = (twins.folder / "specs/vr-tour.yaml").read_text()
    twins.commit(
        {
            "specs/other.yaml": spec.replace("service: vr-tour", "service: other").replace(
                "sites: all", "sites: [another]"
            )
        }
    )
    changes = twins.run("plan", "--json", "--service", "other").document["resource_changes"]

    assert {change["site"] for change in changes} == {"another"}
    assert {change["name"].partition("/")[0] for change in changes} == {"other"}
