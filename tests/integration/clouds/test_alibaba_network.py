"""What a pool leaves out is made, once, and opened to the broker alone: by the real SDK, on the strict fake."""

import asyncio
from collections.abc import Coroutine
from ipaddress import IPv4Network
from typing import Any

import pytest
import structlog

from broker.demo.clouds.alibaba.networks import Vpc, VSwitch
from broker.demo.clouds.faults import Fault
from broker.domain.pool import Pool
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown, Throttled
from tests.integration.clouds.alibaba_account import BROKER, REGION, Account, Remembered, an_account, pool

ZONES = [f"{REGION}-{letter}" for letter in "hij"]


def a_vpc(name: str = "vpc-bp1theirs", block: str = "10.0.0.0/16", *, default: bool = False) -> Vpc:
    return Vpc(
        id=name, name="theirs", cidr=IPv4Network(block), created_at=0, ready_at=0, is_default=default, tags={"a": "b"}
    )


def a_vswitch(name: str, vpc: str, zone: str, block: str, *, default: bool = False) -> VSwitch:
    return VSwitch(
        id=name, name=name, vpc=vpc, zone=zone, cidr=IPv4Network(block), created_at=0, ready_at=0, is_default=default
    )


def made(account: Account) -> dict[str, int]:
    counts = account.fake.ledger.by_action()
    return {name: counts[name] for name in ("CreateVpc", "CreateVSwitch", "CreateSecurityGroup") if counts[name]}


def of(completed: Pool, key: str) -> list[str]:
    said: Any = completed.options[key]
    return list(said)


async def together(*asked: Coroutine[Any, Any, Pool]) -> list[Pool]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one, name=f"ask:{number}") for number, one in enumerate(asked)]
    return [task.result() for task in tasks]


def rules(account: Account) -> list[tuple[str, str, str]]:
    return [
        (group.id, str(rule["PortRange"]), str(rule.get("SourceCidrIp") or rule.get("Ipv6SourceCidrIp")))
        for group in account.networks.groups.values()
        for rule in group.rules
    ]


async def test_an_account_with_nothing_gets_a_vpc_of_the_documented_block_which_is_waited_for() -> None:
    async with an_account() as account:
        account.fake.ecs.timing.vpc_pending_s = 20.0
        found = await account.network().complete(pool())
        (vpc,) = account.networks.vpcs.values()
        assert str(vpc.cidr) == "172.16.0.0/12"
        assert account.clock.monotonic() >= 20.0
        assert {one.vpc for one in account.networks.vswitches.values()} == {vpc.id}
        assert sorted(of(found, "vswitches")) == sorted(account.networks.vswitches)


async def test_a_vpc_that_stays_pending_is_said_to_be_and_waited_for_again() -> None:
    async with an_account() as account:
        account.fake.ecs.timing.vpc_pending_s = 100.0
        network = account.network()
        with pytest.raises(Throttled, match="is Pending"):
            await network.complete(pool())
        await network.complete(pool())
        assert made(account)["CreateVpc"] == 1


async def test_the_block_of_a_new_vpc_can_be_said() -> None:
    async with an_account() as account:
        await account.network(vpc_cidr="192.168.0.0/16").complete(pool())
        (vpc,) = account.networks.vpcs.values()
        assert str(vpc.cidr) == "192.168.0.0/16"


async def test_the_default_vpc_is_taken_and_not_just_the_first_one() -> None:
    async with an_account() as account:
        account.fake.vpc.add(a_vpc("vpc-bp1aaa"))
        account.fake.vpc.add(a_vpc("vpc-bp1zzz", "172.31.0.0/16", default=True))
        await account.network().complete(pool())
        assert {one.vpc for one in account.networks.vswitches.values()} == {"vpc-bp1zzz"}
        assert "CreateVpc" not in made(account)


async def test_a_vpc_of_others_is_not_taken_where_there_is_no_default_one() -> None:
    async with an_account() as account:
        account.fake.vpc.add(a_vpc("vpc-bp1aaa"))
        await account.network().complete(pool())
        assert len(account.networks.vpcs) == 2
        assert "vpc-bp1aaa" not in {one.vpc for one in account.networks.vswitches.values()}


async def test_the_vpc_of_the_config_is_taken_and_one_that_is_not_there_is_named() -> None:
    async with an_account() as account:
        account.fake.vpc.add(a_vpc("vpc-bp1mine"))
        await account.network(vpc="vpc-bp1mine").complete(pool())
        assert {one.vpc for one in account.networks.vswitches.values()} == {"vpc-bp1mine"}
        with pytest.raises(BackendRejected, match="vpc-bp1none"):
            await account.network("other", vpc="vpc-bp1none", memory=Remembered()).complete(pool())


async def test_the_default_vswitch_of_the_default_vpc_is_taken_as_it_is() -> None:
    async with an_account() as account:
        account.fake.vpc.add(a_vpc("vpc-bp1d", "172.31.0.0/16", default=True))
        for zone, block in zip(ZONES, ("172.31.0.0/20", "172.31.16.0/20", "172.31.32.0/20"), strict=True):
            account.fake.vpc.add(a_vswitch(f"vsw-bp1{zone[-1]}", "vpc-bp1d", zone, block, default=True))
        found = await account.network().complete(pool())
        assert sorted(of(found, "vswitches")) == ["vsw-bp1h", "vsw-bp1i", "vsw-bp1j"]
        assert "CreateVSwitch" not in made(account)


async def test_a_vswitch_of_others_is_not_taken_and_its_block_is_left_alone() -> None:
    async with an_account() as account:
        account.fake.vpc.add(a_vpc())
        account.fake.vpc.add(a_vswitch("vsw-bp1theirs", "vpc-bp1theirs", ZONES[0], "10.0.0.0/20"))
        network = account.network(vpc="vpc-bp1theirs", vswitch_prefix=20)
        found = await network.complete(pool(zones=[ZONES[0]]))
        (name,) = of(found, "vswitches")
        assert name != "vsw-bp1theirs"
        assert str(account.networks.vswitches[name].cidr) == "10.0.16.0/20"


async def test_blocks_beyond_the_first_page_of_vswitches_are_seen_as_taken() -> None:
    async with an_account() as account:
        account.fake.vpc.add(a_vpc(block="10.0.0.0/16"))
        blocks = list(IPv4Network("10.0.0.0/16").subnets(new_prefix=24))
        for index, block in enumerate(blocks[:120]):
            account.fake.vpc.add(a_vswitch(f"vsw-bp1{index:03}", "vpc-bp1theirs", ZONES[index % 3], str(block)))
        network = account.network(vpc="vpc-bp1theirs", vswitch_prefix=24)
        found = await network.complete(pool(zones=[ZONES[0]]))
        (name,) = of(found, "vswitches")
        assert account.networks.vswitches[name].cidr == blocks[120]
        asked = [call.parameters.get("PageNumber") for call in account.fake.ledger.of("DescribeVSwitches")]
        assert {1, 2, 3} <= set(asked)


async def test_where_the_primary_block_is_full_a_secondary_one_is_used() -> None:
    async with an_account() as account:
        vpc = a_vpc(block="10.7.0.0/24")
        vpc.secondary.append(IPv4Network("192.168.0.0/16"))
        account.fake.vpc.add(vpc)
        account.fake.vpc.add(a_vswitch("vsw-bp1all", vpc.id, ZONES[1], "10.7.0.0/24"))
        found = await account.network(vpc=vpc.id, vswitch_prefix=20).complete(pool(zones=[ZONES[0]]))
        (name,) = of(found, "vswitches")
        assert str(account.networks.vswitches[name].cidr) == "192.168.0.0/20"


async def test_a_vpc_without_a_free_block_is_said_with_what_to_do() -> None:
    async with an_account() as account:
        vpc = a_vpc(block="10.7.0.0/24")
        account.fake.vpc.add(vpc)
        account.fake.vpc.add(a_vswitch("vsw-bp1all", vpc.id, ZONES[1], "10.7.0.0/24"))
        with pytest.raises(BackendRejected, match=r"no free block.*secondary block, or set vswitches"):
            await account.network(vpc=vpc.id).complete(pool(zones=[ZONES[0]]))


async def test_ten_zones_worth_of_backends_find_blocks_in_a_vpc_of_16() -> None:
    async with an_account() as account:
        account.fake.vpc.add(a_vpc(block="192.168.0.0/16"))
        for index in range(5):
            network = account.network(f"ali-{index}", vpc="vpc-bp1theirs", memory=Remembered(), vswitch_prefix=20)
            await network.complete(pool())
        blocks = [one.cidr for one in account.networks.vswitches.values()]
        assert len(blocks) == 15
        assert {block.prefixlen for block in blocks} == {20}


async def test_ssh_is_opened_to_the_brokers_block_alone_on_a_group_of_our_own() -> None:
    async with an_account(bare=False) as account:
        found = await account.network(vpc="vpc-bp1agents").complete(pool())
        (group,) = of(found, "security_groups")
        assert group != "sg-bp1agents"
        assert rules(account) == [(group, "22/22", BROKER)]


async def test_nothing_is_opened_on_a_group_that_the_pool_names() -> None:
    async with an_account(bare=False) as account:
        found = await account.network(vpc="vpc-bp1agents").complete(pool(security_groups=["sg-bp1agents"]))
        assert of(found, "security_groups") == ["sg-bp1agents"]
        assert rules(account) == []
        assert account.fake.ledger.count("AuthorizeSecurityGroup") == 0


async def test_a_group_with_our_tags_in_another_vpc_is_not_taken_for_ours() -> None:
    async with an_account(bare=False) as account:
        await account.network().complete(pool())
        (ours,) = [one for one in account.networks.groups.values() if one.id != "sg-bp1agents"]
        account.networks.groups["sg-bp1agents"].tags.update(ours.tags)
        await account.network(vpc="vpc-bp1agents", memory=Remembered()).complete(pool())
        assert {group for group, _, _ in rules(account)} == set(account.networks.groups) - {"sg-bp1agents"}


async def test_the_world_is_never_let_in() -> None:
    async with an_account() as account:
        with pytest.raises(BackendRejected, match="everybody"):
            await account.network(ssh_from=["0.0.0.0/0"]).complete(pool())
        assert rules(account) == []


async def test_without_a_block_in_the_config_it_is_the_address_of_the_route_to_the_hosts() -> None:
    async with an_account() as account:
        await account.network(ssh_from=None, vpc_cidr="10.99.0.0/16").complete(pool())
        ((_, port, source),) = rules(account)
        assert port == "22/22"
        assert IPv4Network(source).prefixlen == 32
        assert not IPv4Network(source).overlaps(IPv4Network("0.0.0.0/32"))


async def test_hosts_with_public_addresses_need_the_brokers_public_block() -> None:
    async with an_account() as account:
        with pytest.raises(BackendRejected, match=r"say its public block in backends\.ali\.network\.ssh_from"):
            await account.network(ssh_from=None).complete(pool(connect_by="public"))


async def test_with_a_jump_host_its_block_must_be_said() -> None:
    async with an_account() as account:
        with pytest.raises(BackendRejected, match="jump_host"):
            await account.network(ssh_from=None).complete(pool(ssh={"jump_host": "bastion.example.com"}))


async def test_another_ssh_port_is_opened_in_place_of_22() -> None:
    async with an_account() as account:
        await account.network().complete(pool(ssh={"port": 2222}))
        assert [port for _, port, _ in rules(account)] == ["2222/2222"]


async def test_cloud_assistant_needs_no_open_port() -> None:
    async with an_account() as account:
        found = await account.network().complete(pool(start_by="cloud-assistant"))
        assert of(found, "security_groups")
        assert rules(account) == []


async def test_a_broker_that_has_moved_is_let_in_and_its_old_address_is_not() -> None:
    async with an_account() as account:
        await account.network().complete(pool())
        await account.network(ssh_from=["203.0.113.99/32"]).complete(pool())
        assert [source for _, _, source in rules(account)] == ["203.0.113.99/32"]


async def test_what_another_pool_needs_stays_open() -> None:
    async with an_account() as account:
        network = account.network()
        await network.complete(pool("one"))
        await network.complete(pool("two", ssh={"port": 2222}))
        await account.network().complete(pool("one", ssh={"port": 2200}))
        assert sorted(port for _, port, _ in rules(account)) == ["2200/2200", "2222/2222"]


async def test_a_rule_of_others_in_our_group_stays() -> None:
    async with an_account() as account:
        await account.network().complete(pool())
        (group,) = account.networks.groups.values()
        theirs = {**group.rules[0], "SecurityGroupRuleId": "sgr-theirs", "SourceCidrIp": "10.1.1.1/32"}
        group.rules.append({**theirs, "Description": "a person's"})
        await account.network(ssh_from=["203.0.113.99/32"]).complete(pool())
        assert sorted(source for _, _, source in rules(account)) == ["10.1.1.1/32", "203.0.113.99/32"]


async def test_zones_without_stock_get_no_vswitch() -> None:
    async with an_account() as account:
        account.fake.stock.close(ZONES[0])
        found = await account.network().complete(pool())
        zones = {account.networks.vswitches[name].zone for name in of(found, "vswitches")}
        assert zones == set(ZONES[1:])


async def test_no_type_is_chosen_that_is_not_in_stock_and_the_size_is_the_documented_one() -> None:
    async with an_account() as account:
        for zone in ZONES:
            account.fake.stock.sell_out(zone, "ecs.g6.large")
        found = await account.network().complete(pool())
        assert of(found, "instance_types") == ["ecs.g7.large"]


async def test_the_smallest_type_that_fits_is_chosen() -> None:
    async with an_account() as account:
        size = {"cpu": 3, "memory": 12 * 1024}
        found = await account.network().complete(pool(host_size=size))
        assert of(found, "instance_types") == ["ecs.g6.xlarge", "ecs.g7.xlarge"]


async def test_where_the_usual_size_is_sold_out_the_next_larger_one_is_chosen() -> None:
    async with an_account() as account:
        for zone in ZONES:
            for kind in ("ecs.g6.large", "ecs.g7.large"):
                account.fake.stock.sell_out(zone, kind)
        found = await account.network().complete(pool())
        assert of(found, "instance_types") == ["ecs.r7.large"]


async def test_an_image_for_arm_gets_a_type_for_arm() -> None:
    async with an_account() as account:
        found = await account.network().complete(pool(image_id="aliyun_3_arm64_20G_alibase_20260528.vhd"))
        assert of(found, "instance_types") == ["ecs.g8y.large"]


async def test_no_stock_anywhere_is_no_capacity_and_makes_nothing() -> None:
    async with an_account() as account:
        for zone in ZONES:
            account.fake.stock.close(zone)
        with pytest.raises(InsufficientCapacity, match="not in stock in all 3 zones"):
            await account.network().complete(pool())
        assert made(account) == {}


async def test_stock_of_spot_is_asked_for_a_pool_of_spot() -> None:
    async with an_account() as account:
        for zone in ZONES[1:]:
            account.fake.stock.put(zone, "ecs.g7.large", spot=True, count=0)
        charge = {"spot_strategy": "SpotAsPriceGo"}
        found = await account.network().complete(pool(instance_types=["ecs.g7.large"], charge=charge))
        assert [account.networks.vswitches[name].zone for name in of(found, "vswitches")] == [ZONES[0]]


async def test_all_that_is_made_carries_our_tags_and_is_told_once() -> None:
    async with an_account() as account:
        with structlog.testing.capture_logs() as logs:
            network = account.network()
            await network.complete(pool())
            network.doubt()
            await network.complete(pool())
        networks = account.networks
        things = [*networks.vpcs.values(), *networks.vswitches.values(), *networks.groups.values()]
        for one in things:
            assert one.tags["managed-by"] == "agentbroker"
            assert one.tags["agentbroker:backend"] == "ali"
        told = [log["id"] for log in logs if log["event"] == "network_made"]
        assert sorted(told) == sorted(one.id for one in things)


async def test_the_same_answer_again_costs_no_call() -> None:
    async with an_account() as account:
        network = account.network()
        first = await network.complete(pool())
        before = len(account.fake.ledger)
        assert await network.complete(pool()) == first
        assert network.known(pool()) == first
        assert len(account.fake.ledger) == before


async def test_a_restarted_broker_uses_what_is_there() -> None:
    async with an_account() as account:
        first = await account.network().complete(pool())
        account.fake.ledger.clear()
        assert await account.network().complete(pool()) == first
        assert made(account) == {}


async def test_a_broker_that_has_lost_its_notes_finds_what_is_its_own_by_tags() -> None:
    async with an_account() as account:
        first = await account.network().complete(pool())
        account.fake.ledger.clear()
        assert await account.network(memory=Remembered()).complete(pool()) == first
        assert made(account) == {}


async def test_two_pools_that_ask_at_once_get_the_same_things_made_once() -> None:
    async with an_account() as account:
        network = account.network()
        one, two = await together(network.complete(pool("one")), network.complete(pool("two")))
        assert of(one, "vswitches") == of(two, "vswitches")
        assert made(account) == {"CreateVpc": 1, "CreateVSwitch": 3, "CreateSecurityGroup": 1}


async def test_two_processes_of_one_broker_that_ask_at_once_make_one_of_each() -> None:
    async with an_account() as account:
        both = account.network(memory=Remembered()), account.network(memory=Remembered())
        one, two = await together(*(network.complete(pool()) for network in both))
        assert one.options == two.options
        networks = account.networks
        assert [len(networks.vpcs), len(networks.vswitches), len(networks.groups)] == [1, 3, 1]


async def test_two_brokers_of_one_vpc_do_not_take_one_anothers_blocks() -> None:
    async with an_account(bare=False) as account:
        asked = [
            account.network(installation=name, vpc="vpc-bp1agents", memory=Remembered()).complete(pool())
            for name in ("inst-1", "inst-2", "inst-3")
        ]
        found = await together(*asked)
        assert len({str(of(one, "security_groups")) for one in found}) == 3
        blocks = [one.cidr for one in account.networks.vswitches.values()]
        assert not any(a.overlaps(b) for n, a in enumerate(blocks) for b in blocks[n + 1 :])


@pytest.mark.parametrize("action", ["CreateVpc", "CreateVSwitch", "CreateSecurityGroup", "AuthorizeSecurityGroup"])
async def test_a_run_that_breaks_off_goes_on_where_it_stopped(action: str) -> None:
    async with an_account() as account:
        account.fake.faults.add(Fault(action=action, drop=True, after_effect=True))
        with pytest.raises(OutcomeUnknown):
            await account.network(memory=Remembered()).complete(pool())
        found = await account.network(memory=Remembered()).complete(pool())
        networks = account.networks
        assert [len(networks.vpcs), len(networks.vswitches), len(networks.groups)] == [1, 3, 1]
        assert len(rules(account)) == 1
        assert len(of(found, "vswitches")) == 3


async def test_a_right_that_is_missing_is_said_in_the_clouds_words() -> None:
    async with an_account() as account:
        account.fake.rights.deny("vpc:CreateVSwitch")
        with pytest.raises(BackendError, match="not authorized"):
            await account.network().complete(pool())


async def test_a_store_that_is_away_does_not_make_things_twice() -> None:
    async with an_account() as account:
        network = account.network()
        await network.complete(pool())
        account.memory.away = True
        network.doubt()
        await network.complete(pool())
        with pytest.raises(Throttled, match="what was made is not known"):
            await account.network().complete(pool())
        assert made(account) == {"CreateVpc": 1, "CreateVSwitch": 3, "CreateSecurityGroup": 1}


async def test_what_somebody_has_deleted_is_made_anew_and_not_given_its_old_name() -> None:
    async with an_account() as account:
        network = account.network()
        first = await network.complete(pool())
        networks = account.networks
        networks.groups.clear()
        networks.vswitches.clear()
        networks.vpcs.clear()
        network.doubt()
        second = await network.complete(pool())
        assert set(of(second, "vswitches")) == set(networks.vswitches)
        assert not set(of(first, "vswitches")) & set(of(second, "vswitches"))


async def test_vswitches_of_the_pool_decide_the_vpc_of_the_group_and_the_zones_of_the_types() -> None:
    async with an_account(bare=False) as account:
        for kind in ("ecs.g6.large",):
            account.fake.stock.sell_out(ZONES[1], kind)
        found = await account.network().complete(pool(vswitches=["vsw-bp1agentsi"]))
        assert of(found, "instance_types") == ["ecs.g7.large"]
        (group,) = of(found, "security_groups")
        assert account.networks.groups[group].vpc == "vpc-bp1agents"
        assert "CreateVSwitch" not in made(account)


async def test_a_vswitch_or_group_of_the_config_that_is_not_there_is_named_with_its_key() -> None:
    async with an_account(bare=False) as account:
        with pytest.raises(BackendRejected, match=r"vsw-bp1none; set pools\.hangzhou\.vswitches"):
            await account.network().complete(pool(vswitches=["vsw-bp1none"]))
        with pytest.raises(BackendRejected, match=r"sg-bp1none; set pools\.hangzhou\.security_groups"):
            await account.network().complete(pool(security_groups=["sg-bp1none"]))


async def test_a_pool_that_leaves_nothing_out_costs_no_call() -> None:
    async with an_account() as account:
        whole = pool(vswitches=["vsw-1"], security_groups=["sg-1"], instance_types=["ecs.g7.large"])
        assert await account.network().complete(whole) == whole
        assert len(account.fake.ledger) == 0


async def test_all_calls_go_to_the_region_of_the_config() -> None:
    async with an_account() as account:
        await account.network().complete(pool())
        assert {call.region for call in account.fake.ledger} == {REGION}
