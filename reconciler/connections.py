"""The providers of every site, connected once and kept while their binding stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from msgspec import Struct, field

from providers.base import Context, Provider
from specs.model import Binding, Site


class Connections(Struct):
    """Gives the providers of a site; closes those whose binding or site has changed."""

    connect: Callable[[Context], Provider]
    state_dir: Path
    """Where embedded providers keep their local state."""
    stirred: Callable[[str], None] | None = None
    """Told the site when a provider notices that somebody has changed something there; absent: nobody waits for it."""
    _open: dict[tuple[str, str], tuple[Site, Binding, Provider]] = field(default_factory=dict)

    def of(self, site: Site) -> Mapping[str, Provider]:
        """Give the provider of every binding of the site, in the order of their names."""
        return {name: self._provider(site, site.bindings[name]) for name in sorted(site.bindings)}

    def close(self) -> None:
        """Close every provider."""
        for _, _, provider in self._open.values():
            provider.close()
        self._open.clear()

    def _provider(self, site: Site, binding: Binding) -> Provider:
        key = (site.name, binding.name)
        if key in self._open:
            old_site, old_binding, provider = self._open[key]
            if (old_site, old_binding) == (site, binding):
                return provider
            provider.close()
        told = None if self.stirred is None else partial(self.stirred, site.name)
        context = Context(binding=binding, site=site, state_dir=self.state_dir, stir=told)
        self._open[key] = (site, binding, self.connect(context))
        return self._open[key][2]
