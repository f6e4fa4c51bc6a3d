"""`reconciler adopt ADDR [ID]`: make an object that is there already ours."""

from __future__ import annotations

from reconciler.adoption import adopt
from reconciler.cli.exits import Exit
from reconciler.cli.opening import place_of
from reconciler.cli.parser import Options
from reconciler.cli.terminal import Screen
from reconciler.project import opened
from reconciler.trust import check_trust
from reconciler.turn import working_on
from specs.errors import SettingsError
from specs.model import Address, parse_address


def run(options: Options, screen: Screen) -> Exit:
    """Adopt one object, under the lock of its site."""
    try:
        site = parse_address(options.address).site
    except ValueError as error:
        raise SettingsError(str(error)) from error
    with opened(place_of(options)) as project:
        reading = project.read()
        ground = project.ground(reading)
        check_trust(project.place, reading, lambda: project.repository)
        if site not in ground.catalogue.sites:
            raise SettingsError(f"no site {site!r}; there are {', '.join(ground.catalogue.sites) or 'none'}")
        with working_on(ground, site):
            adopted = adopt(ground, site, Address(options.address), options.id)
    if options.json:
        screen.document({"address": adopted.address, "id": adopted.provider_id, "as_wanted": adopted.as_wanted})
    else:
        rest = "is as the specs say" if adopted.as_wanted else "differs from the specs; reconciler plan shows how"
        screen.show([f"{adopted.provider_id} is now ours, as {adopted.address}, and {rest}"])
    return Exit.DONE
