"""Blocks of new vSwitches: aligned, free, of an allowed size, and found as long as there is one."""

from ipaddress import IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.backends.alibaba_ecs.network_blocks import LARGEST, SMALLEST, USUAL, free_block, size_in

_ROOTS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "10.7.0.0/24", "10.8.0.0/28", "10.9.0.0/29")


@st.composite
def _inside(draw: st.DrawFn, root: IPv4Network) -> IPv4Network:
    prefix = draw(st.integers(max(LARGEST, root.prefixlen), SMALLEST))
    index = draw(st.integers(0, (1 << (prefix - root.prefixlen)) - 1))
    return IPv4Network((int(root.network_address) + index * (1 << (32 - prefix)), prefix))


@st.composite
def _vpcs(draw: st.DrawFn) -> tuple[list[IPv4Network], list[IPv4Network]]:
    roots = [IPv4Network(one) for one in draw(st.lists(st.sampled_from(_ROOTS), min_size=1, max_size=3, unique=True))]
    roots = [one for one in roots if not any(one != other and one.subnet_of(other) for other in roots)]
    taken = draw(st.lists(st.sampled_from(roots).flatmap(_inside), max_size=40))
    return roots, taken


@given(_vpcs(), st.integers(8, 32))
def test_a_block_is_in_the_vpc_and_free_and_of_a_size_that_a_vswitch_may_have(
    case: tuple[list[IPv4Network], list[IPv4Network]], prefix: int
) -> None:
    vpc, taken = case
    block = free_block(vpc, taken, prefix)
    if block is None:
        return
    assert any(block.subnet_of(one) for one in vpc)
    assert not any(block.overlaps(one) for one in taken)
    assert LARGEST <= block.prefixlen <= SMALLEST


@settings(max_examples=50)
@given(
    st.sampled_from(["10.7.0.0/24", "10.8.0.0/26"])
    .map(IPv4Network)
    .flatmap(lambda root: st.tuples(st.just(root), st.lists(_inside(root), max_size=40)))
)
def test_none_is_said_only_when_not_even_the_smallest_is_free(case: tuple[IPv4Network, list[IPv4Network]]) -> None:
    root, taken = case
    free = [one for one in root.subnets(new_prefix=SMALLEST) if not any(one.overlaps(other) for other in taken)]
    assert (free_block([root], taken) is None) == (not free)


@given(_vpcs())
def test_one_after_another_never_meet_until_the_vpc_is_full(case: tuple[list[IPv4Network], list[IPv4Network]]) -> None:
    vpc, taken = case
    for _ in range(20):
        block = free_block(vpc, taken)
        if block is None:
            break
        assert not any(block.overlaps(one) for one in taken)
        taken = [*taken, block]


def test_the_vpc_that_is_made_has_room_for_256_vswitches_of_the_usual_size() -> None:
    taken: list[IPv4Network] = []
    while (block := free_block([IPv4Network("172.16.0.0/12")], taken)) is not None and block.prefixlen == USUAL:
        taken.append(block)
    assert len(taken) == 256
    assert str(taken[0]) == "172.16.0.0/20"
    assert str(taken[-1]) == "172.31.240.0/20"


def test_a_vpc_of_16_serves_more_than_two_zones() -> None:
    vpc, taken = [IPv4Network("192.168.0.0/16")], list[IPv4Network]()
    for _ in range(16):
        block = free_block(vpc, taken)
        assert block is not None
        assert block.prefixlen == USUAL
        taken.append(block)


def test_a_full_primary_block_leaves_the_secondary_one() -> None:
    vpc = [IPv4Network("10.7.0.0/24"), IPv4Network("192.168.0.0/16")]
    assert str(free_block(vpc, [IPv4Network("10.7.0.0/24")])) == "192.168.0.0/20"


def test_a_usual_block_in_a_secondary_one_is_taken_before_a_smaller_one_in_the_primary() -> None:
    vpc = [IPv4Network("10.0.0.0/16"), IPv4Network("192.168.0.0/16")]
    taken = list(vpc[0].subnets(new_prefix=17))
    assert str(free_block(vpc, [taken[0], IPv4Network("10.0.128.0/18"), IPv4Network("10.0.192.0/19")])) == (
        "10.0.224.0/20"
    )
    assert str(free_block(vpc, taken)) == "192.168.0.0/20"


def test_where_no_usual_block_is_free_a_smaller_one_is_found() -> None:
    vpc = IPv4Network("10.0.0.0/16")
    taken = [*list(vpc.subnets(new_prefix=20))[:-1], IPv4Network("10.0.240.0/21")]
    assert str(free_block([vpc], taken)) == "10.0.248.0/21"


@pytest.mark.parametrize(
    ("vpc", "size"),
    [
        ("10.0.0.0/8", 20),
        ("172.16.0.0/12", 20),
        ("192.168.0.0/16", 20),
        ("192.168.0.0/18", 20),
        ("192.168.0.0/19", 21),
        ("192.168.0.0/24", 26),
        ("192.168.0.0/28", 29),
        ("192.168.0.0/29", 29),
        ("192.168.0.0/30", None),
    ],
)
def test_the_size_is_fixed_and_smaller_in_a_small_vpc(vpc: str, size: int | None) -> None:
    assert size_in(IPv4Network(vpc)) == size


@pytest.mark.parametrize(("asked", "size"), [(8, 16), (16, 16), (24, 24), (29, 29), (32, 29)])
def test_a_size_that_no_vswitch_may_have_becomes_the_nearest(asked: int, size: int) -> None:
    assert size_in(IPv4Network("10.0.0.0/8"), asked) == size
