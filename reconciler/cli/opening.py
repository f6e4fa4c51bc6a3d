"""From options to what they mean: where to work, and on what part."""

from __future__ import annotations

from pathlib import Path

from reconciler.choice import Choice
from reconciler.cli.parser import Options
from reconciler.look import Ground
from reconciler.planning import services_of
from reconciler.project import Place


def place_of(options: Options) -> Place:
    """Tell where specs, state and world are."""
    return Place(
        directory=Path(options.directory).absolute(),
        repo=options.repo,
        revision=options.revision,
        local=options.local,
        store_url=options.state,
    )


def choice_of(options: Options) -> Choice:
    """Tell what part of the world was asked for."""
    given = vars(options)
    return Choice(
        sites=tuple(options.sites),
        services=tuple(options.services),
        targets=tuple(given.get("target", ())),
        excludes=tuple(given.get("exclude", ())),
        refresh_only=given.get("refresh_only", False),
        allow_mass_change=given.get("allow_mass_change", False),
    )


def chosen_sites(ground: Ground, choice: Choice) -> tuple[str, ...]:
    """Give the sites that were asked for; `SettingsError` for sites and services nobody has heard of."""
    sites = choice.choose_sites(ground.catalogue.sites)
    if choice.services:
        choice.check_services(services_of(ground, sites))
    return sites
