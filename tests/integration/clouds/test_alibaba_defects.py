"""What the plugin for Alibaba Cloud got wrong at the cloud's own API is right here."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker.clock import SystemClock
from broker.demo.clouds.alibaba.knobs import Timing
from broker.demo.clouds.faults import Fault
from broker.errors import BackendError
from broker.testing.clock import ManualClock, settle
from tests.contract.alibaba_rig import AlibabaRig, alibaba_rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[AlibabaRig]:
    """In virtual time, in which calls take none."""
    clock = ManualClock(settle=partial(settle, 0.002))
    async with alibaba_rig(tmp_path, clock, poll_interval=3.0) as rig:
        rig.fake.ecs.timing = Timing(pending_s=2, starting_s=8, address_s=20, public_address_s=45, visible_after_s=0)
        yield rig
        assert rig.fake.ledger.problems == []


def clock_of(rig: AlibabaRig) -> ManualClock:
    assert isinstance(rig.clock, ManualClock)
    return rig.clock


@pytest.mark.parametrize(("way", "there_s"), [("private", 20), ("public", 45)])
async def test_an_address_that_comes_late_is_told_within_two_looks(rig: AlibabaRig, way: str, there_s: int) -> None:
    rig.pool_options = {"public_ip": {}, "connect_by": way}
    [ref] = (await rig.backend.create_hosts(rig.order())).refs.values()
    told, passed = "", 0
    while not told:
        assert passed < there_s + 7, "the address is there and not told"
        await clock_of(rig).advance(1.0)
        passed += 1
        told = (await rig.backend.describe_hosts([ref]))[ref].address
    assert passed >= there_s - 1
    host = rig.fake.ecs.instance(ref)
    assert told == (host.public_ip if way == "public" else host.private_ip)


async def test_an_address_that_changes_is_told_anew(rig: AlibabaRig) -> None:
    [ref] = (await rig.backend.create_hosts(rig.order())).refs.values()
    await clock_of(rig).advance(60.0)
    before = (await rig.backend.describe_hosts([ref]))[ref].address
    rig.fake.ecs.instance(ref).private_ip = "10.0.7.7"
    for _ in range(4):
        await clock_of(rig).advance(10.0)
        await rig.backend.describe_hosts([ref])
    assert before not in {"", "10.0.7.7"}
    assert (await rig.backend.describe_hosts([ref]))[ref].address == "10.0.7.7"


async def test_an_order_is_made_as_far_as_there_is_stock_and_never_twice(rig: AlibabaRig) -> None:
    rig.set_stock(3)
    made = await rig.backend.create_hosts(rig.order(hosts=5))
    assert len(made.refs) == 3
    assert made.lack is not None
    [call] = rig.fake.ledger.of("RunInstances")
    assert (call.parameters["Amount"], call.parameters["MinAmount"]) == (5, 1)
    again = await rig.backend.create_hosts(rig.order(hosts=5))
    assert again.refs == made.refs
    assert await rig.count_hosts() == 3


async def test_an_order_that_hangs_keeps_no_other_waiting(tmp_path: Path) -> None:
    async with alibaba_rig(tmp_path) as rig:
        rig.fake.faults.add(Fault(action="RunInstances", delay_s=4.0))
        async with asyncio.TaskGroup() as group:
            orders = [group.create_task(rig.backend.create_hosts(rig.order(n)), name=f"order-{n}") for n in (1, 2)]
            [first], _ = await asyncio.wait(orders, timeout=3.0, return_when=asyncio.FIRST_COMPLETED)
            refs = list(first.result().refs.values())
            assert set(await rig.backend.describe_hosts(refs)) == set(refs)
            assert sum(order.done() for order in orders) == 1


def a_certificate(folder: Path) -> Path:
    """A certificate of nobody's, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = SystemClock().now()
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "both.pem"
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


async def test_a_place_whose_certificate_nobody_vouches_for_is_told_nothing(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65536))
        writer.close()

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(a_certificate(tmp_path))
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    async with server:
        place = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with alibaba_rig(tmp_path / "hosts", endpoints=dict.fromkeys(("ecs", "vpc", "sts"), place)) as rig:
            with pytest.raises(BackendError) as caught:
                await rig.backend.offers(rig.pool)
            assert "certificate" in caught.value.message.lower()
            assert await rig.count_hosts() == 0
    assert not [words for words in heard if words]


async def test_types_stock_and_hosts_are_asked_for_in_the_region_of_the_config(rig: AlibabaRig) -> None:
    await rig.backend.offers(rig.pool)
    await rig.backend.create_hosts(rig.order())
    asked = {call.action: call.parameters.get("RegionId", rig.fake.region) for call in rig.fake.ledger}
    assert {"RunInstances", "DescribeAvailableResource", "DescribeInstanceTypes"} <= set(asked)
    assert set(asked.values()) == {rig.fake.region}
