"""What users of the plugin for Alibaba Cloud say of their hosts is what they get, field by field."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.domain.host_order import Prepared, Preparing
from broker.domain.ids import PolicyName
from broker.domain.offer import Offering
from broker.domain.reason import Reason
from broker.errors import BackendRejected, InsufficientCapacity
from tests.contract.alibaba_rig import TYPE, ZONE, AlibabaRig
from tests.integration.clouds.alibaba_rows import IMAGE, WINDOWS, made, order_of, place_of, rows_rig, running, written


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[AlibabaRig]:
    async with rows_rig(tmp_path / "hosts") as rig:
        yield rig


async def test_a_host_is_of_the_image_type_vswitch_and_groups_of_its_pool(rig: AlibabaRig) -> None:
    host = (await made(rig, written())).instance
    assert (host.image.id, host.type.id, host.vswitch, host.groups) == (
        IMAGE,
        TYPE,
        "vsw-bp1h",
        ["sg-bp1agents"],
    )
    assert (host.region, host.zone) == ("cn-hangzhou", ZONE)


async def test_an_image_family_is_its_newest_image(rig: AlibabaRig) -> None:
    family = "acs:windows_server_2022_dtc_x64_en-us"
    pool = written(image_id=None, image_family=f'"{family}"', os="windows", password="Passw0rd-Passw0rd")
    host = await made(rig, pool)
    assert host.instance.image.id == WINDOWS
    assert "ImageId" not in host.request


async def test_a_host_is_in_the_vswitch_of_its_zone(rig: AlibabaRig) -> None:
    pool = written(vswitches="[vsw-bp1h, vsw-bp1i]")
    assert {offer.zone for offer in await rig.backend.offers(pool)} == {ZONE, "cn-hangzhou-i"}
    host = await made(rig, pool, offering=Offering(pool.name, "cn-hangzhou-i", TYPE, "on-demand"))
    assert (host.instance.vswitch, host.instance.zone) == ("vsw-bp1i", "cn-hangzhou-i")


async def test_zones_that_are_named_are_the_only_ones(rig: AlibabaRig) -> None:
    pool = written(vswitches="[vsw-bp1h, vsw-bp1i]", zones="[cn-hangzhou-i]")
    assert {offer.zone for offer in await rig.backend.offers(pool)} == {"cn-hangzhou-i"}


async def test_without_a_spot_strategy_a_host_is_on_demand(rig: AlibabaRig) -> None:
    pool = written()
    assert {offer.capacity for offer in await rig.backend.offers(pool)} == {"on-demand"}
    host = await made(rig, pool)
    assert host.request["InstanceChargeType"] == "PostPaid"
    assert not host.instance.spot.is_spot


async def test_a_spot_host_has_its_price_limit_protected_hour_and_end(rig: AlibabaRig) -> None:
    charge = "{ spot_strategy: SpotWithPriceLimit, price_limit: 0.75, duration: 0s, interruption: Stop }"
    spot = (await made(rig, written(charge=charge), "spot")).instance.spot
    assert (spot.strategy, spot.price_limit, spot.duration, spot.interruption) == (
        "SpotWithPriceLimit",
        0.75,
        0,
        "Stop",
    )


async def test_a_spot_price_over_the_limit_is_no_capacity_and_on_demand_takes_over(rig: AlibabaRig) -> None:
    charge = "{ spot_strategy: SpotWithPriceLimit, price_limit: 0.5, on_no_stock: on-demand }"
    rig.fake.ecs.price_spot(ZONE, TYPE, 0.6)
    pool = written(charge=charge)
    with pytest.raises(InsufficientCapacity) as caught:
        await made(rig, pool, "spot")
    assert caught.value.reason is Reason.SPOT_UNAVAILABLE
    assert "price" in caught.value.message.lower()
    assert [offer.capacity for offer in await rig.backend.offers(pool)] == ["on-demand", "spot"]
    assert not (await made(rig, pool, n=2)).instance.spot.is_spot


async def test_without_a_fallback_no_offer_is_on_demand(rig: AlibabaRig) -> None:
    pool = written(charge="{ spot_strategy: SpotAsPriceGo }")
    assert {offer.capacity for offer in await rig.backend.offers(pool)} == {"spot"}


async def test_disks_are_those_that_are_listed(rig: AlibabaRig) -> None:
    data = "[{ category: cloud_essd_PL0, size: 50Gi, count: 2, snapshot: s-bp1 }, { category: cloud_auto, size: 1Ti }]"
    pool = written(system_disk="{ category: cloud_essd_PL1, size: 60Gi }", data_disks=data)
    disks = (await made(rig, pool)).disks
    assert [(one.kind, one.category, one.level, one.size_gib, one.snapshot) for one in disks] == [
        ("system", "cloud_essd", "PL1", 60, ""),
        ("data", "cloud_essd", "PL0", 50, "s-bp1"),
        ("data", "cloud_essd", "PL0", 50, "s-bp1"),
        ("data", "cloud_auto", "", 1024, ""),
    ]


async def test_without_disks_a_host_has_its_system_disk_alone_and_the_cloud_says_what_it_is(rig: AlibabaRig) -> None:
    host = await made(rig, written())
    assert not {"SystemDisk", "DataDisk"} & {name.partition(".")[0] for name in host.request}
    assert [one.kind for one in host.disks] == ["system"]


async def test_an_existing_disk_is_attached_once_before_anything_is_done_on_the_host(rig: AlibabaRig) -> None:
    disk = rig.fake.ecs.add_disk(ZONE)
    order = order_of(rig, written(data_disk_ids=f"[{disk.id}]"))
    place = place_of(order, await running(rig, order))
    assert isinstance(answer := await rig.backend.prepare_host(place), Preparing)
    assert answer.step == f"attaching {disk.id}"
    for _ in range(100):
        if isinstance(await rig.backend.prepare_host(place), Prepared):
            break
        await rig.let_time_pass()
    assert disk.instance == place.ref
    assert rig.fake.ledger.count("AttachDisk") == 1
    assert not disk.delete_with_instance


async def test_a_disk_that_is_not_there_or_is_another_hosts_fails_the_host_with_the_key(rig: AlibabaRig) -> None:
    disk = rig.fake.ecs.add_disk(ZONE)
    disk.instance = "i-bp1other"
    for said, words in (("d-bp1none", "there is no disk d-bp1none"), (disk.id, "attached to i-bp1other")):
        order = order_of(rig, written(data_disk_ids=f"[{said}]"), n=len(words))
        place = place_of(order, await running(rig, order))
        with pytest.raises(BackendRejected, match=words) as caught:
            await rig.backend.prepare_host(place)
        assert "pools.it.data_disk_ids" in caught.value.message


async def test_a_public_address_is_had_by_asking_for_bandwidth_and_none_without(rig: AlibabaRig) -> None:
    assert not (await made(rig, written())).instance.public_ip
    host = await made(rig, written(public_ip="{ bandwidth_out: 20, bandwidth_in: 15 }"), n=2)
    assert host.instance.public_ip
    assert (host.instance.bandwidth_out, host.instance.bandwidth_in) == (20, 15)
    assert (await made(rig, written(public_ip="{}"), n=3)).instance.bandwidth_out == 10


@pytest.mark.parametrize("way", ["private", "public"])
async def test_a_host_is_dialled_at_the_address_that_is_said(rig: AlibabaRig, way: str) -> None:
    order = order_of(rig, written(public_ip="{}", connect_by=way))
    found = await running(rig, order)
    host = rig.fake.ecs.instance(found.ref)
    assert found.address == (host.public_ip if way == "public" else host.private_ip)
    again = (await (await rig.reopen()).describe_hosts([found.ref]))[found.ref]
    assert again.address == found.address


async def test_user_data_goes_as_base64_of_its_text(rig: AlibabaRig, tmp_path: Path) -> None:
    script = "#!/bin/sh\necho 'grüezi'\n"
    (tmp_path / "boot").write_text(script)
    host = await made(rig, written(user_data_file=str(tmp_path / "boot")))
    assert host.request["UserData"] == base64.b64encode(script.encode()).decode()
    assert host.instance.user_data == script.encode()
    assert "UserData" not in (await made(rig, written(), n=2)).request


async def test_user_data_that_has_grown_too_long_or_has_gone_is_said_with_its_key(
    rig: AlibabaRig, tmp_path: Path
) -> None:
    pool = written(user_data_file=str(tmp_path / "boot"))
    with pytest.raises(BackendRejected, match=r"pools\.it\.user_data_file: cannot read"):
        await made(rig, pool)
    (tmp_path / "boot").write_text("x" * 32769)
    with pytest.raises(BackendRejected, match=r"pools\.it\.user_data has 32769 bytes; the API takes 32768"):
        await made(rig, pool, n=2)
    assert await rig.count_hosts() == 0


SINGLE = {"job": "folder/7zip build", "build_url": "https://ci.example.com/job/folder/job/7zip%20build/12/"}


async def test_tags_are_the_pools_and_say_controller_policy_job_and_build(rig: AlibabaRig) -> None:
    host = await made(rig, written(tags="{ team: build }"), **SINGLE)
    tags = host.instance.tags
    told = {name: tags.get(f"agentbroker:{name}") for name in ("pool", "policy", "controller", "job", "build")}
    assert told == {
        "pool": "it",
        "policy": "linux",
        "controller": "main",
        "job": SINGLE["job"],
        "build": SINGLE["build_url"].removeprefix("https://"),
    }
    assert (tags["team"], tags["managed-by"]) == ("build", "agentbroker")


async def test_a_host_for_many_builds_is_tagged_with_none(rig: AlibabaRig) -> None:
    tags = (await made(rig, written())).instance.tags
    assert not {"agentbroker:job", "agentbroker:build"} & set(tags)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("ECS-{job}-{build}", "ECS-folder-7zip-build-12"),
        ("{pool}.{policy}.{controller}", "it.linux.main"),
        ("{build}", "agentbroker-12"),
    ],
)
async def test_a_host_is_called_as_is_said_with_its_job_and_build(rig: AlibabaRig, said: str, name: str) -> None:
    assert (await made(rig, written(instance_name=f'"{said}"'), **SINGLE)).instance.name == name


async def test_what_of_a_name_is_not_known_is_left_out(rig: AlibabaRig) -> None:
    assert (await made(rig, written(instance_name='"ECS-{job}-{build}"'))).instance.name == "ECS"
    assert (await made(rig, written(instance_name='"{job}"'), n=2)).instance.name == "agentbroker-it"
    assert (await made(rig, written(), n=3)).instance.name == "agentbroker-it"


async def test_a_name_that_is_long_is_cut_to_what_the_cloud_takes(rig: AlibabaRig) -> None:
    order = order_of(rig, written(instance_name='"{policy}"'), policy=PolicyName("p" * 200), hosts=2)
    names = {rig.fake.ecs.instance(ref).name for ref in (await rig.backend.create_hosts(order)).refs.values()}
    assert len(names) == 2, "hosts of one order have numbers"
    assert all(len(name) <= 128 for name in names)


async def test_a_windows_host_has_a_password_and_no_key_pair(rig: AlibabaRig, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("Passw0rd-Passw0rd\n")
    pool = written(image_id=WINDOWS, os="windows", password_file=str(tmp_path / "password"), host_name="agent")
    host = await made(rig, pool)
    assert (host.instance.password, host.instance.key_pair) == ("Passw0rd-Passw0rd", "")
    assert host.instance.host_name == "agent"
    assert "KeyPairName" not in host.request


async def test_a_host_has_the_role_and_the_metadata_that_are_said(rig: AlibabaRig) -> None:
    rig.fake.sts.add_role("builds", trusts=["ecs.aliyuncs.com"])
    host = await made(rig, written(vm_ram_role="builds", http_tokens="required", host_name="agent"))
    assert (host.instance.ram_role, host.instance.http_tokens) == ("builds", "required")
    assert host.instance.host_name == "agent"
