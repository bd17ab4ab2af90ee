"""Whether hosts of pools on Alibaba Cloud could be made now: image, key pair, types and stock, and a dry run."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from broker.backends.alibaba_ecs.keypair import public_key_of
from broker.backends.alibaba_ecs.network_marks import AGENTBROKER, MANAGED_BY
from broker.backends.alibaba_ecs.request import Given, Texts, run_instances
from broker.doctor.alibaba_ask import AlibabaCloud, Refused
from broker.doctor.alibaba_pools import Looked
from broker.doctor.report import Doubtful, Skipped, Wrong
from broker.domain.host_order import HostOrder
from broker.domain.ids import HostId
from broker.domain.offer import Offering
from broker.errors import BackendRejected

_ANY_STATUS: Final = "Creating,Waiting,Available,UnAvailable,CreateFailed,Deprecated"
_OF_TYPES: Final = {"x86_64": "X86", "i386": "X86", "arm64": "ARM"}
_GOOD: Final = "DryRunOperation"
_SHOWN: Final = 4


async def check_images(cloud: AlibabaCloud, pools: Sequence[Looked]) -> str:
    """Each pool's image is there, Available, of the system that the pool says, and for the processors of its types."""
    told = dict[str, str]()
    for one in pools:
        image, key = await _image(cloud, one)
        name = str(image.get("ImageId") or one.options.image_family)
        if image.get("Status") != "Available":
            raise Wrong(f"pool {one.name}: image {name} is {image.get('Status')}", f"wait, or set {key}")
        if (theirs := str(image.get("OSType") or "linux").lower()) != one.options.os:
            hint = f"set {key}, or pools.{one.name}.os: {theirs}"
            raise Wrong(f"pool {one.name}: image {name} is {theirs}, the pool says {one.options.os}", hint)
        await _fits(cloud, one, image, key)
        system = str(image.get("OSNameEn") or image.get("OSName") or theirs)
        told[name] = f"{name} Available, {' '.join(system.split())}, {image.get('Architecture')}"
    return "; ".join(told.values())


async def _image(cloud: AlibabaCloud, one: Looked) -> tuple[Mapping[str, Any], str]:
    options, key = one.options, f"pools.{one.name}.image_id"
    if options.image_id:
        found = await cloud.pages("ecs:DescribeImages", {"ImageId": options.image_id, "Status": _ANY_STATUS})
        if not found:
            hint = f"known: agentbroker discover ali images; set {key}"
            raise Wrong(f"pool {one.name}: no image {options.image_id} in this account and region", hint)
        return found[0], key
    key = f"pools.{one.name}.image_family"
    answer = await cloud.ask("ecs:DescribeImageFromFamily", {"ImageFamily": options.image_family})
    image: Mapping[str, Any] = answer.get("Image") or {}
    if not image:
        raise Wrong(f"pool {one.name}: no image of family {options.image_family}", f"set {key}")
    return image, key


async def _fits(cloud: AlibabaCloud, one: Looked, image: Mapping[str, Any], key: str) -> None:
    types = one.options.instance_types
    if not types:
        return
    known = await cloud.pages("ecs:DescribeInstanceTypes", {"InstanceTypes": list(types)})
    found = {str(told["InstanceTypeId"]): told for told in known}
    if gone := [name for name in types if name not in found]:
        hint = f"known: agentbroker discover ali types; set pools.{one.name}.instance_types"
        raise Wrong(f"pool {one.name}: no instance type {gone[0]} in this region", hint)
    architecture = str(image.get("Architecture") or "")
    wanted = _OF_TYPES.get(architecture, "")
    if wanted and (off := [name for name in types if found[name].get("CpuArchitecture") not in {None, "", wanted}]):
        theirs = found[off[0]].get("CpuArchitecture")
        raise Wrong(f"pool {one.name}: {off[0]} is {theirs}, its image is {architecture}", f"set {key}, or other types")


async def check_key_pairs(cloud: AlibabaCloud, pools: Sequence[Looked]) -> str:
    """Each pool's key pair is there, and its private key is the other half."""
    told = dict[str, None]()
    for one in pools:
        if words := await _key_pair(cloud, one):
            told[words] = None
    if not told:
        raise Skipped("no pool names one")
    return "; ".join(told)


async def _key_pair(cloud: AlibabaCloud, one: Looked) -> str:
    pair, key = one.options.key_pair, f"pools.{one.name}.key_pair"
    if pair is None or one.options.is_windows:
        return ""
    try:
        public = await asyncio.to_thread(public_key_of, one.pool)
    except BackendRejected as error:
        raise Wrong(error.message, f"mend pools.{one.name}.ssh") from error
    if not pair.name:
        if public is None:
            raise Wrong(f"pool {one.name}: no private key to import", f"set pools.{one.name}.ssh.private_key_file")
        return f"imported from the private key ({public.fingerprint}) where it is missing"
    asked = {"KeyPairName": pair.name, "IncludePublicKey": True}
    found = [it for it in await cloud.pages("ecs:DescribeKeyPairs", asked) if it.get("KeyPairName") == pair.name]
    if not found and pair.make and public is not None:
        return f"{pair.name} is imported with the first host"
    if not found:
        hint = f"known: agentbroker discover ali key-pairs; set {key}, or {key}.import: true"
        raise Wrong(f"pool {one.name}: no key pair {pair.name} in this account and region", hint)
    theirs = str(found[0].get("KeyPairFingerPrint") or "?")
    if public is None:
        raise Doubtful(f"{pair.name} {theirs}; no private key to compare it with", f"set pools.{one.name}.ssh")
    if not public.is_that_of(found[0]):
        hint = f"set {key} to the pair of that private key, or pools.{one.name}.ssh.private_key_file to its private key"
        told = f"pool {one.name}: the private key is {public.fingerprint}, key pair {pair.name} is {theirs}"
        raise Wrong(f"{told}: nobody would get onto a host", hint)
    return f"{pair.name} {theirs}, that of the private key"


async def check_stock(pools: Sequence[Looked]) -> str:
    """Each pool's types in its zones, as it pays for them; a pool of which nothing is in stock is wrong."""
    told, lacking, empty = list[str](), list[str](), list[str]()
    for one in pools:
        if not one.stock:
            raise Skipped("the cloud does not tell")
        have, lack = _of_pool(one)
        told.append(f"pool {one.name}: {len(have)} of {len(have) + len(lack)} in stock")
        lacking += lack
        if not have:
            empty.append(one.name)
    few = ", ".join(lacking[:_SHOWN]) + (f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else "")
    if empty:
        hint = f"add types, or vSwitches in other zones, to pools.{empty[0]}: see agentbroker discover ali types"
        raise Wrong(f"pool {empty[0]}: nothing is in stock: {few or 'no type fits'}", hint)
    if lacking:
        raise Doubtful(
            f"{'; '.join(told)}; not: {few}", "hosts are made of the others; add types or zones if that is few"
        )
    return "; ".join(told)


def _of_pool(one: Looked) -> tuple[list[str], list[str]]:
    have, lack = list[str](), list[str]()
    for capacity, stock in one.stock.items():
        for zone in one.zones or tuple(stock):
            for kind in one.options.instance_types:
                state = stock.get(zone, {}).get(kind)
                words = f"{kind} {zone} {capacity}"
                if state is not None and state.can_be_had:
                    have.append(words)
                else:
                    lack.append(f"{words} {state.category if state else 'not offered'}")
    return have, lack


async def check_dry_run(cloud: AlibabaCloud, pools: Sequence[Looked]) -> str:
    """One order of each pool, which the cloud checks and does not carry out."""
    done, left = list[str](), list[str]()
    for one in pools:
        if not (one.options.vswitches and one.options.security_groups and one.options.instance_types):
            left.append(one.name)
            continue
        await _dry_run(cloud, one)
        done.append(one.name)
    if not done:
        raise Skipped("the network is not made yet; the first host makes it")
    return f"RunInstances(DryRun) accepted for {', '.join(done)}" + (f"; not yet for {', '.join(left)}" if left else "")


async def _dry_run(cloud: AlibabaCloud, one: Looked) -> None:
    vswitch = next(iter(one.options.vswitches))
    zone = str(one.vswitches.get(vswitch, {}).get("ZoneId") or "")
    offering = Offering(one.pool.name, zone, one.options.instance_types[0], one.options.charge.capacities[0])
    order = HostOrder(token="doctor", pool=one.pool, offering=offering, hosts=(HostId("h-doctor"),))  # noqa: S106
    name = one.options.key_pair.name if one.options.key_pair else ""
    pairs = await cloud.pages("ecs:DescribeKeyPairs", {"KeyPairName": name}) if name else []
    given = Given(
        client_token="",
        tags=[{"Key": MANAGED_BY, "Value": AGENTBROKER}],
        vswitch=vswitch,
        key_pair=name if pairs else "",
    )
    try:
        texts = await asyncio.to_thread(Texts.of, one.options, one.name)
        request = run_instances(order, one.options, given, texts)
    except BackendRejected as error:
        raise Wrong(error.message, f"mend pools.{one.name}") from error
    del request["ClientToken"]
    try:
        await cloud.ask("ecs:RunInstances", {**request, "DryRun": True})
    except Refused as refused:
        if refused.code == _GOOD:
            return
        hint = refused.hint or f"mend pools.{one.name}: the cloud would refuse its hosts just so"
        told = refused.message.replace("pools.POOL", f"pools.{one.name}")
        raise Wrong(f"pool {one.name}: {told}", hint) from refused
    raise Wrong(f"pool {one.name}: RunInstances(DryRun) is answered as if it were none", "look at the endpoint")
