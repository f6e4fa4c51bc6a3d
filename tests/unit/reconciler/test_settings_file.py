from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from reconciler.settings import Settings, Window
from reconciler.settings_file import read_settings
from reconciler.settings_kept import settings_of
from specs.errors import Severity
from tests.support.files import Files


def read(text: str) -> Settings:
    settings, found = read_settings(Files({"reconciler.yaml": text}))
    assert not found, found
    return settings


WINDOW = "defaults: {sync: {windows: [{start: 0 0 * * *, duration: 1h,"


def faults(text: str) -> list[str]:
    _, found = read_settings(Files({"reconciler.yaml": text}))
    return [f"{d.line}:{d.column} {d.message}" for d in found if d.severity is Severity.ERROR]


def test_without_a_file_everything_has_its_default() -> None:
    assert read_settings(Files({})) == (Settings(), ())


def test_an_empty_file_changes_nothing() -> None:
    assert read("# nothing yet\n") == Settings()


def test_every_field_can_be_said() -> None:
    settings = read("""
id: city-specs
branch: production
include: [specs/**/*.yaml]
timing: {poll: 10s, jitter: 0s, drift: 2m30s, backoff: 1s, longest_backoff: 1h}
defaults:
  sync: {auto_apply: true, self_heal: true, prune: true, windows: [{start: "0 22 * * *", duration: 4h}]}
  breaker: {share: 0.5, count: 3}
  health_deadline: 1d12h
  parallelism: 4
allowed_signers: keys/allowed
""")

    assert (settings.id, settings.branch, settings.include) == ("city-specs", "production", ("specs/**/*.yaml",))
    assert settings.timing.drift == timedelta(seconds=150)
    assert settings.timing.jitter == timedelta(0)
    assert settings.defaults.sync.windows == (Window(start="0 22 * * *", duration=timedelta(hours=4)),)
    assert settings.defaults.health_deadline == timedelta(hours=36)
    assert (settings.defaults.breaker.share, settings.defaults.parallelism) == (0.5, 4)
    assert settings.allowed_signers == "keys/allowed"


def test_a_site_says_only_what_differs() -> None:
    settings = read("""
defaults: {sync: {auto_apply: true, self_heal: true}, parallelism: 4}
sites: {bristol: {sync: {self_heal: false}}}
""")

    assert settings.of("bristol").sync.auto_apply
    assert not settings.of("bristol").sync.self_heal
    assert settings.of("bristol").parallelism == 4
    assert settings.of("barcelona") is settings.defaults


def test_what_is_said_of_a_service_weighs_more_than_what_is_said_of_its_site() -> None:
    settings = read("""
defaults: {services: {vr-tour: {prune: true}}}
sites: {bristol: {sync: {auto_apply: true}, services: {shop: {self_heal: true}}}}
""")

    services = settings.of("bristol").services
    assert (services["vr-tour"].prune, services["vr-tour"].auto_apply) == (True, True)
    assert (services["shop"].prune, services["shop"].self_heal, services["shop"].auto_apply) == (False, True, True)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("timing: {pol: 5s}", "1:10", "'pol'; did you mean 'poll'"),
        ("timing: {poll: 5}", "1:16", "duration such as 30s"),
        ("timing: {poll: 0s}", "1:16", "longer than 0s"),
        ("timing: {poll: 400d}", "1:16", "not be longer than 366d"),
        ("timing: {poll: 99999999999999999999999999999d}", "1:16", "not be longer than 366d"),
        ("timing: {backoff: 1m, longest_backoff: 1s}", "1:40", "not be shorter than backoff"),
        ("defaults: {sync: {prune: yes please}}", "1:26", "true or false"),
        ("defaults: {breaker: {share: 2}}", "1:29", "a number from 0 to 1"),
        ("defaults: {breaker: {count: 1.5}}", "1:29", "a whole number"),
        ("defaults: {parallelism: true}", "1:25", "a whole number from 1 to 1000"),
        ("defaults: {sync: {windows: [{start: 0 0 * *, duration: 1h}]}}", "1:37", "five fields"),
        ("defaults: {sync: {windows: [{start: 0 0 * * *}]}}", "1:29", "needs 'duration'"),
        (f"{WINDOW} timezone: Bristol}}]}}}}", "1:72", "no time zone 'Bristol' here"),
        (f"{WINDOW} timezone: ../../../etc/passwd}}]}}}}", "1:72", "no time zone"),
        (f"{WINDOW} timezone: Europe}}]}}}}", "1:72", "no time zone"),
        (f"{WINDOW} timezone: ''}}]}}}}", "1:72", "no time zone"),
        ("sites: [bristol]", "1:8", "must be a mapping"),
        ("[]", "1:1", "must be a mapping"),
        ("id: {a: 1}", "1:5", "must be text"),
    ],
)
def test_what_makes_no_sense_is_said_where_it_stands(text: str, place: str, words: str) -> None:
    found = faults(text)

    assert len(found) == 1
    assert found[0].startswith(place)
    assert words in found[0]


def test_every_fault_is_said_at_once() -> None:
    assert len(faults("timing: {poll: x, drift: y}\nparallel: 3\n")) == 3


# --- kept ------------------------------------------------------------------------------------------

FULL = """
id: city-specs
branch: production
include: [specs/**/*.yaml]
timing: {poll: 10s, jitter: 0s, drift: 2m30s, backoff: 1.5s, longest_backoff: 1h}
defaults:
  sync: {auto_apply: true, windows: [{start: "0 22 * * *", duration: 4h, allow: false, timezone: Europe/London}]}
  services: {shop: {prune: true}}
  breaker: {share: 0.5, count: 3}
  health_deadline: 1d12h
  parallelism: 4
sites: {bristol: {sync: {self_heal: true}}}
allowed_signers: keys/allowed
"""


class Kept(dict[str, bytes]):
    """A cache that counts what it is asked to keep."""

    def get_many(self, keys: list[str]) -> dict[str, bytes]:
        return {key: self[key] for key in keys if key in self}

    def put(self, values: Mapping[str, bytes]) -> None:
        self.update(values)


@pytest.mark.parametrize("text", [FULL, "", "sites: {a: , b: {services: {c: }}}"])
def test_kept_settings_are_those_that_were_read(text: str) -> None:
    kept, tree = Kept(), Files({"reconciler.yaml": text})
    first, second = settings_of(tree, kept), settings_of(tree, kept)

    assert len(kept) == 1
    assert first == second == read_settings(tree)


def test_settings_with_a_fault_are_not_kept() -> None:
    kept, tree = Kept(), Files({"reconciler.yaml": "id: 5\n"})
    settings_of(tree, kept)

    assert not kept
    assert settings_of(tree, kept)[1]
