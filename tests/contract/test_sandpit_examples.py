"""What the examples want can be built in the sandpit, and then nothing differs."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from providers.base import Context
from providers.registry import connect
from reconciler.desire import Wish, desire
from reconciler.diff import Seen, diff
from reconciler.difference import Recognised
from specs.catalogue import read_catalogue
from specs.shares import ByService
from specs.worktree import WorkTree
from tests.contract.provider_suite import build, look

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("example", sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir()))
def test_an_example_can_be_built_and_then_nothing_differs(example: str, tmp_path: Path) -> None:
    catalogue = read_catalogue(WorkTree(EXAMPLES / example))
    catalogue.raise_if_invalid()

    assert catalogue.sites
    for name, site in catalogue.sites.items():
        [binding] = [one for one in site.bindings.values() if one.plugin == "sandpit"]
        with closing(connect(Context(binding=binding, site=site, state_dir=tmp_path))) as provider:
            services = catalogue.services_on(name)
            wish = Wish(commit="c1", site=site, services=services, providers={binding.name: provider})
            wanted = desire(wish, lambda secret: f"digest of {secret}")
            assert list(provider.examine(wanted.resources, look(provider, wanted.resources))) == []
            build(provider, wanted.resources)
            snapshot = look(provider, wanted.resources)
            seen = Seen(snapshots={binding.name: snapshot}, kinds={binding.name: provider.kinds})
            comparison = diff(wanted, ByService({}), seen)

            assert wanted.resources
            assert {type(difference) for difference in comparison.differences} == {Recognised}
