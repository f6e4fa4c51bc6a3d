"""A binding plays the roles it names, or what nobody else claims."""

from __future__ import annotations

import pytest

from providers.base import PermanentError, roles_of
from specs.model import Binding, Role, Site

BOTH = frozenset({Role.COMPUTE, Role.NETWORK})


def site(*bindings: Binding) -> Site:
    return Site(name="bristol", bindings={binding.name: binding for binding in bindings})


def test_a_lone_binding_plays_all_its_plugin_offers() -> None:
    city = Binding(name="city", plugin="sandpit")

    assert roles_of(city, site(city), BOTH) == BOTH


def test_a_binding_plays_only_the_roles_it_names() -> None:
    city = Binding(name="city", plugin="sandpit", roles=frozenset({Role.NETWORK}))

    assert roles_of(city, site(city), BOTH) == {Role.NETWORK}


def test_a_role_that_another_binding_claims_is_left_to_it() -> None:
    city = Binding(name="city", plugin="sandpit")
    fabric = Binding(name="fabric", plugin="sdn", roles=frozenset({Role.NETWORK}))

    assert roles_of(city, site(city, fabric), BOTH) == {Role.COMPUTE}


def test_compute_is_shared_even_if_another_binding_claims_it() -> None:
    city = Binding(name="city", plugin="sandpit")
    cloud = Binding(name="cloud", plugin="openstack", roles=frozenset({Role.COMPUTE}))

    assert roles_of(city, site(city, cloud), BOTH) == BOTH


def test_of_two_bindings_of_one_plugin_the_first_by_name_takes_the_network() -> None:
    one, two = Binding(name="one", plugin="sandpit"), Binding(name="two", plugin="sandpit")

    assert roles_of(one, site(two, one), BOTH) == BOTH
    assert roles_of(two, site(two, one), BOTH) == {Role.COMPUTE}


def test_a_role_the_plugin_does_not_offer_is_an_error() -> None:
    city = Binding(name="city", plugin="sandpit", roles=frozenset({Role.MONITORING}))

    with pytest.raises(PermanentError, match="city of bristol: sandpit cannot do monitoring; it offers compute, net"):
        roles_of(city, site(city), BOTH)
