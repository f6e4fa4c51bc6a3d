"""validate, status, drift, history and graph: commands that only look."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

from tests.support.city import FRONTEND, STORAGE, City

BROKEN = "tosca_definitions_version: tosca_simple_yaml_1_3\ntopology_template: {node_templates: {a: {typ: x}}}\n"


def contents(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file() and not file.name.endswith(("-wal", "-shm")))
    return {str(file): sha256(file.read_bytes()).hexdigest() for file in files}


# --- validate --------------------------------------------------------------------------------------


def test_valid_specs_are_valid(city: City) -> None:
    ended = city.run("validate")

    assert ended.code == 0
    assert re.fullmatch(r"Valid: 1 site, 1 service at [0-9a-f]{12}\.\n", ended.out)


def test_faults_have_a_place_and_make_invalid(city: City) -> None:
    city.commit({"specs/broken.yaml": BROKEN, "reconciler.yaml": "tming: {}\n"})
    ended = city.run("validate")

    assert ended.code == 3
    assert "reconciler.yaml:1:1: error: the document cannot have 'tming'" in ended.out
    assert "specs/broken.yaml:2:" in ended.out
    assert "Invalid: " in ended.out.splitlines()[-1]


def test_faults_of_all_documents_together_are_shown_as_well(city: City) -> None:
    city.edit("get_attribute: [storage, private_address]", "get_attribute: [storage, nonsense]")
    city.edit("dc-1: eu.ict-flame.sfe.state.lifecycle.connected", "dc-1: eu.ict-flame.sfe.state.lifecycle.unplaced")
    ended = city.run("validate")

    assert ended.code == 3


def test_validate_as_json(city: City) -> None:
    city.commit({"specs/broken.yaml": BROKEN})
    document = city.run("validate", "--json").document

    assert document["valid"] is False
    assert document["error_count"] >= 1
    fault = document["diagnostics"][0]
    assert (fault["file"], fault["line"], fault["severity"]) == ("specs/broken.yaml", 2, "error")


def test_invalid_specs_are_not_planned(city: City) -> None:
    city.commit({"specs/broken.yaml": BROKEN})
    ended = city.run("plan")

    assert ended.code == 3
    assert "specs/broken.yaml:2:" in ended.err
    assert "error: the specs are invalid: " in ended.err


def test_a_service_without_room_is_invalid(city: City) -> None:
    city.edit("num_cpus: 2, mem_size: 4 GB", "num_cpus: 64, mem_size: 4 GB")
    ended = city.run("validate")

    assert ended.code == 3
    assert "error: sandpit-city: " in ended.out
    assert city.run("plan").code == 3


# --- status ----------------------------------------------------------------------------------------


def test_a_site_nobody_applied_is_missing(city: City) -> None:
    ended = city.run("status")

    assert ended.code == 2
    assert ended.out.startswith("sandpit-city  OutOfSync  Missing  at ")
    assert "  vr-tour  OutOfSync  Missing  19 resources, 19 not as in git\n" in ended.out


def test_a_site_that_was_applied_is_well(city: City) -> None:
    city.run("apply", "--auto-approve")
    ended = city.run("status")

    assert ended.code == 0
    assert "  vr-tour  Synced  Healthy  19 resources\n" in ended.out
    assert "apply: done (19 create)" in ended.out


def test_status_as_json(city: City) -> None:
    city.run("apply", "--auto-approve")
    city.run("sandpit", "change", FRONTEND, "vcpus=8")
    city.run("suspend", "--service", "vr-tour", "--reason", "we look into it")
    document = city.run("status", "--json").document

    (site,) = document["sites"]
    assert (document["well"], site["sync"], site["health"]) == (False, "OutOfSync", "Healthy")
    assert site["last_run"]["summary"] == {"create": 19}
    assert site["services"][0]["different"] == 1
    assert site["services"][0]["suspension"]["reason"] == "we look into it"


def test_what_cannot_be_seen_is_unknown(city: City) -> None:
    city.run("apply", "--auto-approve")
    city.run("sandpit", "down", "@edge-1")
    ended = city.run("status")

    assert ended.code == 2
    assert ended.out.startswith("sandpit-city  Unknown  Unknown")


def test_a_site_that_cannot_be_planned_is_shown_with_its_problem(city: City) -> None:
    city.edit("num_cpus: 2, mem_size: 4 GB", "num_cpus: 64, mem_size: 4 GB")
    ended = city.run("status")

    assert ended.code == 2
    assert ended.out.startswith("sandpit-city  Unknown  Unknown")
    assert "64" in ended.out


def test_a_site_that_left_git_is_not_forgotten(city: City) -> None:
    city.run("apply", "--auto-approve")
    city.commit({"sites/sandpit-city.yaml": None, "specs/vr-tour.yaml": None})
    words = (
        "it is no longer in git, and 19 resources of it were never deleted; to delete them, bring its site spec back"
    )
    ended = city.run("status")

    assert ended.code == 2
    assert ended.out.startswith("sandpit-city  Unknown  Unknown")
    assert words in ended.out
    for command in (["plan"], ["apply", "--auto-approve"], ["drift"]):
        assert f"warning: sandpit-city: {words}" in city.run(*command).err


def test_a_site_that_left_git_empty_is_forgotten(city: City) -> None:
    city.commit({"reconciler.yaml": "defaults: {sync: {prune: true}}\n"})
    city.run("apply", "--auto-approve")
    city.commit({"specs/vr-tour.yaml": None})
    city.run("apply", "--auto-approve", "--allow-mass-change")
    city.commit({"sites/sandpit-city.yaml": None})

    assert city.run("status").code == 0
    assert "warning" not in city.run("plan").err


# --- drift -----------------------------------------------------------------------------------------


def test_drift_tells_by_its_exit_code(city: City) -> None:
    city.run("apply", "--auto-approve")
    assert city.run("drift").code == 0
    city.run("sandpit", "delete", STORAGE)
    ended = city.run("drift")

    assert ended.code == 2
    assert f"  - {STORAGE}  # it is gone\n" in ended.out
    assert ended.out.endswith("Drift: 1 resource moved.\n")


def test_a_commit_is_no_drift(city: City) -> None:
    city.run("apply", "--auto-approve")
    city.edit("default_instances: 2", "default_instances: 3")

    assert city.run("drift").code == 0


def test_what_is_not_ours_is_shown_and_is_no_drift(city: City) -> None:
    city.run("apply", "--auto-approve")
    city.run("sandpit", "add", "server", "somebody", "--cluster", "edge-1")
    ended = city.run("drift", "--json")

    assert ended.code == 0
    (foreign,) = ended.document["unmanaged"]
    assert (foreign["kind"], foreign["name"]) == ("server", "somebody")
    assert "somebody" in city.run("drift").out


def test_an_outage_is_an_error_and_no_drift(city: City) -> None:
    city.run("apply", "--auto-approve")
    city.run("sandpit", "down", "*")
    ended = city.run("drift")

    assert ended.code == 1
    assert ended.out.endswith("No drift. 19 resources could not be seen.\n")


def test_drift_writes_nothing(city: City) -> None:
    city.run("apply", "--auto-approve")
    city.run("sandpit", "delete", STORAGE)
    before = contents(city.folder)
    city.run("drift")

    assert contents(city.folder) == before


def test_drift_makes_no_state_store(city: City) -> None:
    city.run("drift")

    assert not (city.folder / ".reconciler" / "state.db").exists()


# --- history and graph -----------------------------------------------------------------------------


def test_history_shows_commits_and_their_runs(city: City) -> None:
    city.run("apply", "--auto-approve")
    city.edit("default_instances: 2", "default_instances: 3")
    lines = city.run("history").out.splitlines()

    assert lines[0].endswith("Ann: Say default_instances: 3 instead of default_instances: 2")
    assert lines[1].endswith("Ann: Begin")
    assert lines[2].startswith("    sandpit-city: ")
    assert lines[2].endswith("apply: done (19 create)")
    assert len(city.run("history", "--limit", "1").out.splitlines()) == 1


def test_history_as_json(city: City) -> None:
    city.run("apply", "--auto-approve")
    (commit,) = city.run("history", "--json").document["commits"]

    assert (commit["subject"], commit["runs"][0]["outcome"]) == ("Begin", "done")


def test_the_graph_names_what_is_required(city: City) -> None:
    text = city.run("graph").out

    assert f"{STORAGE}\n  requires sandpit-city/vr-tour/storage@dc-1.0:sandpit.port\n" in text


def test_the_graph_begins_with_the_fabric(city: City) -> None:
    text = city.run("graph").out
    alone = city.run("graph", "--fabric").out

    assert text.startswith("sandpit-city: 3 switches, ")
    assert text.startswith(alone)
    assert "requires" not in alone


def test_the_fabric_in_dot_and_as_a_picture(city: City) -> None:
    assert city.run("graph", "--fabric", "--dot").out.startswith('digraph "sandpit-city" {')
    assert city.run("graph", "--svg").out.startswith("<svg ")


def test_the_graph_in_dot(city: City) -> None:
    text = city.run("graph", "--dot").out

    assert text.startswith("digraph resources {")
    assert f'  "{STORAGE}" -> "sandpit-city/vr-tour/storage@dc-1.0:sandpit.port";\n' in text
    assert text.count("{") == text.count("}")


def test_the_graph_as_json(city: City) -> None:
    document = city.run("graph", "--json").document
    resources = document["resources"]

    assert len(resources) == 19
    assert {"address", "requires"} == set(resources[0])
    (fabric,) = document["fabrics"]
    assert len(fabric["switches"]) == 3
    assert fabric["courses"][0]["steps"]
