from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from policies.placement import place
from providers.base import Context, Mark, PermanentError, TransientError
from providers.clmc.builtin import Builtin
from providers.clmc.engine import Engine, Object
from providers.clmc.provider import Clmc
from specs.model import Binding, Deployment, Resource, Site
from specs.tosca.rules import Rule
from specs.values import Properties, Value
from state.rulebook import RuleBook, Watched
from tests.contract.provider_suite import ProviderSuite
from tests.support.alerting import reading
from tests.testbed.kapacitor.double import KapacitorDouble, running_double

SECRET = "duty"


def monitored() -> tuple[Site, Deployment]:
    """Give the site with its monitoring, and the service on it with its alerts."""
    catalogue = reading().catalogue
    site = catalogue.sites["bristol"]
    binding = Binding(name="clmc", plugin="clmc", settings={"handler_secret": SECRET})
    site = replace(site, bindings={**site.bindings, "clmc": binding})
    return site, replace(place(site, catalogue.services_on("bristol")[0]), alerts=catalogue.alerts)


class Fallible:
    """An engine whose calls can be made to fail."""

    def __init__(self, inner: Engine, spoiled: dict[str, Exception], lost: set[str]) -> None:
        self._inner = inner
        self._spoiled = spoiled
        self._lost = lost

    def properties(self, rule: Rule) -> Properties:
        return self._inner.properties(rule)

    def list(self) -> Sequence[Object]:
        self._check("list")
        return self._inner.list()

    def find(self, identity: str) -> Object | None:
        self._check("find")
        return self._inner.find(identity)

    def put(self, identity: str, mark: Mark, properties: Properties) -> Object:
        verb = "update" if self._inner.find(identity) else "create"
        self._check(verb)
        made = self._inner.put(identity, mark, properties)
        self._lose(verb)
        return made

    def remove(self, identity: str) -> None:
        self._check("delete")
        self._inner.remove(identity)
        self._lose("delete")

    def close(self) -> None:
        self._inner.close()

    def _check(self, verb: str) -> None:
        for name in (verb, "*"):
            if name in self._spoiled:
                raise self._spoiled[name]

    def _lose(self, verb: str) -> None:
        if verb in self._lost:
            self._lost.discard(verb)
            raise TransientError("the answer was lost")


class BuiltinCase:
    """A rule book, seen from the other side."""

    def __init__(self, folder: Path) -> None:
        self.site, deployment = monitored()
        self.deployments = (deployment,)
        self._folder = folder
        self._book = RuleBook(folder / "rules.db")
        self._spoiled: dict[str, Exception] = {}
        self._lost: set[str] = set()
        self._foreign = 0

    def connect(self) -> Clmc:
        context = Context(binding=self.site.bindings["clmc"], site=self.site, state_dir=self._folder)
        engine = Builtin(RuleBook(self._folder / "rules.db"), SECRET)
        return Clmc(context, Fallible(engine, self._spoiled, self._lost))

    def changed(self, resource: Resource) -> Resource | None:
        return replace(resource, properties={**resource.properties, "evaluations": 5})

    def exists(self, provider_id: str) -> bool:
        return self._book.get(provider_id) is not None

    def add_foreign(self, resource: Resource) -> str:
        self._foreign += 1
        name = f"foreign-{self._foreign}"
        self._book.put(Watched(id=name, definition=resource.properties))
        return name

    def unmark(self, provider_id: str) -> None:
        found = self._book.get(provider_id)
        if found is not None:
            self._book.put(replace(found, repository="", address="", digest=""))

    def time_out(self, verb: str, kind: str) -> None:
        self._spoiled[verb] = TransientError("timed out")

    def refuse(self, verb: str, kind: str) -> None:
        for name in (verb, "update") if verb == "create" else (verb,):
            self._spoiled[name] = PermanentError("not allowed")

    def lose_answer(self, verb: str, kind: str) -> None:
        self._lost.add(verb)

    def cut_short(self, kind: str) -> None:
        self._spoiled["list"] = TransientError("the file ends in the middle")

    def take_down(self) -> None:
        self._spoiled["*"] = TransientError("no answer")

    def mend(self) -> None:
        self._spoiled.clear()

    def close(self) -> None:
        self._book.close()


@pytest.fixture
def case(tmp_path: Path) -> Iterator[BuiltinCase]:
    with closing(BuiltinCase(tmp_path)) as made:
        yield made


class TestBuiltinEngine(ProviderSuite):
    pass


class KapacitorCase:
    """A Kapacitor, seen from the other side."""

    def __init__(self, folder: Path, double: KapacitorDouble) -> None:
        site, deployment = monitored()
        settings: dict[str, Value] = {
            "engine": "kapacitor",
            "handler_secret": SECRET,
            "kapacitor": {"url": double.url, "sfemc_url": "http://127.0.0.1:9/sfemc", "sfemc_secret": "intake"},
        }
        binding = replace(site.bindings["clmc"], settings=settings)
        self.site = replace(site, bindings={**site.bindings, "clmc": binding})
        self.deployments = (replace(deployment, site=self.site),)
        self._folder = folder
        self._double = double
        self._foreign = 0

    def connect(self) -> Clmc:
        return Clmc(Context(binding=self.site.bindings["clmc"], site=self.site, state_dir=self._folder))

    def changed(self, resource: Resource) -> Resource | None:
        script = str(resource.properties["script"]).replace("60s", "90s").replace("10s", "15s").replace("120s", "7s")
        return replace(resource, properties={**resource.properties, "script": script, "handlers": ["http://x/y"]})

    def exists(self, provider_id: str) -> bool:
        return provider_id in self._double.tasks

    def add_foreign(self, resource: Resource) -> str:
        self._foreign += 1
        name = f"foreign-{self._foreign}"
        database, _, retention = str(resource.properties["database"]).rpartition(".")
        task = {"id": name, "type": resource.properties["type"], "script": resource.properties["script"]}
        with self._double.guard:
            self._double.create({**task, "dbrps": [{"db": database, "rp": retention}], "status": "enabled"})
        return name

    def unmark(self, provider_id: str) -> None:
        with self._double.guard:
            task = self._double.tasks[provider_id]
            task["script"] = "\n".join(
                line for line in task["script"].splitlines() if not line.startswith(("// owner", "// secrets"))
            )

    def time_out(self, verb: str, kind: str) -> None:
        self._double.troubles[verb] = "fail"

    def refuse(self, verb: str, kind: str) -> None:
        for name in (verb, "update") if verb == "create" else (verb,):
            self._double.troubles[name] = "refuse"

    def lose_answer(self, verb: str, kind: str) -> None:
        self._double.troubles[verb] = "lose"

    def cut_short(self, kind: str) -> None:
        with self._double.guard:  # more than one page
            task = next(iter(self._double.tasks.values()))
            for number in range(120):
                self._double.tasks.setdefault(f"a-{number}", {**task, "id": f"a-{number}", "script": "batch"})
        self._double.troubles["list"] = "cut"

    def take_down(self) -> None:
        self._double.troubles["*"] = "fail"

    def mend(self) -> None:
        self._double.troubles.clear()


class TestKapacitorEngine(ProviderSuite):
    @pytest.fixture
    def case(self, tmp_path: Path) -> Iterator[KapacitorCase]:
        with running_double() as double:
            yield KapacitorCase(tmp_path, double)
