"""What auto_network has made goes again, and nothing else; what is still in use stays, and is named."""

from ipaddress import IPv4Network

from broker.backends.alibaba_ecs.network_cleanup import Ours
from broker.demo.clouds.alibaba.networks import SecurityGroup, VSwitch
from broker.demo.clouds.faults import Fault
from tests.integration.clouds.alibaba_account import REGION, Account, an_account, pool


async def cleaned(account: Account) -> list[Ours]:
    cleanup = account.cleanup()
    return [one async for one in cleanup.remove(await cleanup.find())]


async def test_all_that_was_made_goes_in_the_order_of_its_dependencies() -> None:
    async with an_account() as account:
        await account.network().complete(pool())
        ended = await cleaned(account)
        assert all(one.gone for one in ended)
        assert [one.kind.value for one in ended] == ["security-group", "vswitch", "vswitch", "vswitch", "vpc"]
        networks = account.networks
        assert [networks.vpcs, networks.vswitches, networks.groups] == [{}, {}, {}]


async def test_what_others_have_made_stays_although_it_carries_our_tags() -> None:
    async with an_account(bare=False) as account:
        await account.network(vpc="vpc-bp1agents").complete(pool())
        ours = next(one for name, one in account.networks.groups.items() if name != "sg-bp1agents")
        made = next(one for name, one in account.networks.vswitches.items() if not name.startswith("vsw-bp1agents"))
        for letter in "hij":
            account.networks.vswitches[f"vsw-bp1agents{letter}"].tags.update(made.tags)
        account.networks.vpcs["vpc-bp1agents"].tags.update(ours.tags)
        await cleaned(account)
        assert set(account.networks.vpcs) == {"vpc-bp1agents"}
        assert set(account.networks.vswitches) == {f"vsw-bp1agents{letter}" for letter in "hij"}
        assert set(account.networks.groups) == {"sg-bp1agents"}


async def test_what_another_installation_or_backend_has_made_stays() -> None:
    async with an_account(bare=False) as account:
        await account.network("other", vpc="vpc-bp1agents").complete(pool())
        await account.network(installation="inst-2", vpc="vpc-bp1agents").complete(pool())
        before = set(account.networks.vswitches)
        assert await cleaned(account) == []
        assert set(account.networks.vswitches) == before


async def test_a_vswitch_with_instances_stays_and_they_are_named() -> None:
    async with an_account() as account:
        found = await account.network().complete(pool(zones=[f"{REGION}-h"]))
        options = {key: list(map(str, found.options[key])) for key in ("vswitches", "security_groups")}  # type: ignore[call-overload]
        cloud = account.cloud()
        request = {
            "ImageId": "aliyun_3_x64_20G_alibase_20260528.vhd",
            "InstanceType": "ecs.g7.large",
            "VSwitchId": options["vswitches"][0],
            "SecurityGroupIds": options["security_groups"],
            "Amount": 1,
        }
        answer = await cloud.ask("ecs:RunInstances", request)
        (instance,) = answer["InstanceIdSets"]["InstanceIdSet"]
        account.clock.leap(60)
        ended = await cleaned(account)
        assert [one.gone for one in ended] == [False, False, False]
        assert instance in ended[0].why
        assert instance in ended[1].why
        assert ended[1].id in ended[2].why or "DependencyViolation" in ended[2].why


async def test_a_vpc_in_which_others_have_put_something_stays_and_that_is_named() -> None:
    async with an_account() as account:
        await account.network().complete(pool())
        (vpc,) = account.networks.vpcs
        theirs = IPv4Network("172.31.0.0/24")
        account.fake.vpc.add(
            VSwitch(id="vsw-theirs", name="t", vpc=vpc, zone=f"{REGION}-h", cidr=theirs, created_at=0, ready_at=0)
        )
        account.fake.vpc.add(SecurityGroup(id="sg-theirs", name="t", vpc=vpc, created_at=0))
        ended = await cleaned(account)
        assert [one.gone for one in ended] == [True, True, True, True, False]
        assert "sg-theirs" in ended[-1].why
        assert "vsw-theirs" in ended[-1].why


async def test_a_second_run_goes_on_where_the_first_was_stopped() -> None:
    async with an_account() as account:
        await account.network().complete(pool())
        account.fake.faults.add(Fault(action="DeleteVSwitch", code="OperationConflict", times=1))
        first = await cleaned(account)
        assert sum(not one.gone for one in first) == 2
        assert all(one.gone for one in await cleaned(account))
        assert account.networks.vpcs == {}


async def test_what_has_lost_our_tags_is_told_and_left_alone() -> None:
    async with an_account() as account:
        await account.network().complete(pool())
        group = next(iter(account.networks.groups.values()))
        group.tags.clear()
        cleanup = account.cleanup()
        assert await cleanup.unmarked(await cleanup.find()) == [group.id]
        await cleaned(account)
        assert set(account.networks.groups) == {group.id}


async def test_after_a_cleanup_a_new_network_gets_new_things_and_not_the_names_of_the_old_ones() -> None:
    async with an_account() as account:
        first = await account.network().complete(pool())
        await cleaned(account)
        second = await account.network().complete(pool())
        assert first.options["vswitches"] != second.options["vswitches"]
        assert len(account.networks.vpcs) == 1
