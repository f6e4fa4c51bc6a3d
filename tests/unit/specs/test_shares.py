"""Values under addresses, service by service."""

from __future__ import annotations

from specs.shares import ByService, Share, service_of

ADDRESSES = ("bristol/-/net:p.k", "bristol/shop-b/web:p.k", "bristol/shop/db:p.k", "bristol/shop/web:p.k")


def by_service(*addresses: str) -> ByService[str, str]:
    return ByService.of((address, f"value of {address}") for address in addresses)


def test_it_is_a_mapping_in_the_order_of_addresses() -> None:
    found = by_service(*sorted(ADDRESSES, key=service_of))

    assert list(found) == sorted(ADDRESSES)
    assert found == {address: f"value of {address}" for address in ADDRESSES}
    assert len(found) == 4


def test_what_is_no_address_is_found_as_well() -> None:
    found = by_service("nonsense", "bristol/shop/web:p.k")

    assert found["nonsense"] == "value of nonsense"
    assert "more nonsense" not in found


def test_a_share_without_values_is_none() -> None:
    assert ByService({"shop": Share(())}).shares == {}


def test_what_several_say_is_joined() -> None:
    one, other = by_service(*ADDRESSES[:2]), by_service(*ADDRESSES[1:])

    assert ByService.together([one, other]) == by_service(*ADDRESSES)


def test_shares_with_the_very_same_objects_are_taken_over() -> None:
    before = by_service(*ADDRESSES)
    now = ByService.of([*before.items(), ("bristol/shop/new:p.k", "new")]).like(before)

    assert now.shares["-"] is before.shares["-"]
    assert now.shares["shop"] is not before.shares["shop"]
    assert now["bristol/shop/new:p.k"] == "new"


def test_a_share_that_lost_something_is_another_one() -> None:
    before = by_service(*ADDRESSES)
    now = ByService.of(list(before.items())[:3]).like(before)

    assert list(now) == list(ADDRESSES[:3])


def test_addresses_that_another_lacks_are_told() -> None:
    assert by_service(*ADDRESSES).beyond(by_service(*ADDRESSES[:1], ADDRESSES[3])) == {ADDRESSES[1], ADDRESSES[2]}


def test_a_fact_is_worked_out_once() -> None:
    share, asked = Share({"a": 1, "b": 2}), []

    def total(of: Share[str, int]) -> int:
        asked.append(of)
        return sum(of.values())

    assert [share.fact(total), share.fact(total)] == [3, 3]
    assert len(asked) == 1
