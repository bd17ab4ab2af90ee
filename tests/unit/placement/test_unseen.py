"""What was placed after the backend was asked is taken off what it offers."""

from collections import Counter

from broker.domain.ids import PoolName
from broker.domain.limits import Usage
from broker.domain.offer import Offering
from broker.domain.resources import Resources
from tests.unit.placement.world import Given, agents, decided, host, hosts_of, plain, policy, pools_of, size, usage

IT = Offering(PoolName("it"))


def unseen(number: int, on: str = "", of: Resources | None = None, offering: Offering = IT) -> Usage:
    return usage(unseen=Counter({(offering, on, of or size(1, 1)): number}))


def test_two_looks_do_not_give_one_place_twice() -> None:
    offers: Given = {"it": [plain("it", room=3)]}
    assert pools_of(decided(agents(2), policy(), offers, unseen(2))) == ["it", None]


def test_an_agent_that_is_not_seen_has_its_part_of_its_host() -> None:
    offers: Given = {"it": [host("it", "h1", 4, 4)]}
    assert hosts_of(decided(agents(4), policy(), offers, unseen(1, "h1", size(2, 2)))) == ["h1", "h1"]


def test_a_host_that_is_still_to_be_made_takes_more_and_its_name_is_not_given_again() -> None:
    offers: Given = {"it": [plain("it", shape=size(2, 2), room=2)]}
    decisions = decided(agents(4), policy(), offers, unseen(1, "new-3"))
    assert hosts_of(decisions) == ["new-3", "new-4", "new-4"]


def test_what_is_not_seen_of_one_zone_leaves_the_others_as_they_are() -> None:
    offers: Given = {"it": [plain("it", zone="a", room=1), plain("it", zone="b", room=1)]}
    taken = unseen(1, offering=Offering(PoolName("it"), zone="a"))
    [placed, waiting] = decided(agents(2), policy(), offers, taken)
    assert pools_of([placed, waiting]) == ["it", None]
    assert placed.placement.offer.zone == "b"  # type: ignore[union-attr] # it is placed
