"""Plugins are found by name, without importing any; none and more than one are errors that help."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers import registry
from providers.base import Context, PermanentError
from providers.sandpit.provider import Sandpit
from specs.model import Binding, Site


def install(folder: Path, distribution: str, *lines: str, code: str = "") -> None:
    """Put a distribution with entry points on a search path."""
    info = folder / f"{distribution}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_text("\n".join(["[console_scripts]", "x = y:z", "", *lines]))
    if code:
        (folder / f"{distribution}_code.py").write_text(code)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("acme_code", None)


def test_the_sandpit_is_installed() -> None:
    assert "sandpit" in registry.names()
    assert registry.load("sandpit") is Sandpit


def test_names_are_listed_without_importing() -> None:
    code = "import sys; from providers import registry; registry.names(); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert "providers.registry" in modules
    assert "providers.sandpit.provider" not in modules
    assert "importlib.metadata" not in modules


def test_plugins_of_others_are_found(folder: Path) -> None:
    install(folder, "acme", "[reconciler.providers]", "# a comment", "acme = acme_code:Acme", code="class Acme: ...")

    assert "acme" in registry.names()
    assert registry.load("acme").__name__ == "Acme"


def test_a_missing_plugin_lists_what_is_there() -> None:
    with pytest.raises(PermanentError) as caught:
        registry.load("sandpitt")

    assert str(caught.value).startswith("no provider 'sandpitt'; installed: [")
    assert "'sandpit'" in str(caught.value)


def test_a_double_plugin_names_who_brings_it(folder: Path) -> None:
    install(folder, "acme", "[reconciler.providers]", "twice = acme_code:Acme")
    install(folder, "other", "[reconciler.providers]", "twice = other_code:Other")

    with pytest.raises(PermanentError, match="'twice' is installed 2 times, by acme, other"):
        registry.load("twice")


def test_a_distribution_found_twice_counts_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(folder / "a", "acme", "[reconciler.providers]", "acme = json:JSONDecoder")
    install(folder / "b", "acme", "[reconciler.providers]", "acme = json:JSONEncoder")
    monkeypatch.syspath_prepend(str(folder / "b"))
    monkeypatch.syspath_prepend(str(folder / "a"))

    assert registry.load("acme").__name__ == "JSONDecoder"


def test_a_missing_sdk_names_the_extra(folder: Path) -> None:
    install(folder, "acme", "[reconciler.providers]", "cloud = acme_code:Cloud", code="import no_such_sdk")

    with pytest.raises(PermanentError, match=r"No module named 'no_such_sdk'.*pip install 'acme\[cloud\]'"):
        registry.load("cloud")


def test_an_sdk_missing_in_the_constructor_names_the_extra(folder: Path) -> None:
    code = "class Late:\n    def __init__(self, context):\n        import no_such_sdk\n"
    install(folder, "acme", "[reconciler.providers]", "late = acme_code:Late [late]", code=code)
    binding = Binding(name="x", plugin="late")

    with pytest.raises(PermanentError, match=r"pip install 'acme\[late\]'"):
        registry.connect(Context(binding=binding, site=Site(name="bristol"), state_dir=folder))


def test_a_plugin_without_its_class_is_broken(folder: Path) -> None:
    install(folder, "acme", "[reconciler.providers]", "empty = acme_code:Gone", code="")
    (folder / "acme_code.py").write_text("")

    with pytest.raises(PermanentError, match="'empty' of acme is broken"):
        registry.load("empty")


def test_connecting_builds_the_plugin_of_the_binding(tmp_path: Path) -> None:
    binding = Binding(name="city", plugin="sandpit")
    site = Site(name="bristol", bindings={"city": binding})

    assert isinstance(registry.connect(Context(binding=binding, site=site, state_dir=tmp_path)), Sandpit)
    assert list(tmp_path.iterdir()) == []
