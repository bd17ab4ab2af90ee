"""Where the keys come from that sign calls to Alibaba Cloud, and the key pair that hosts are made with."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broker.backends.alibaba_ecs.keypair import public_key_of
from broker.demo.clouds.faults import Fault
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, Throttled
from broker.testing.factories import make_pool
from tests.contract.alibaba_rig import AlibabaRig, alibaba_rig

NO_KEYS: dict[str, Any] = {"access_key_id": None, "access_key_secret": None}


def private_key() -> str:
    made = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return made.decode()


async def refusal(rig: AlibabaRig) -> BackendError:
    try:
        await rig.backend.create_hosts(rig.order())
    except BackendError as error:
        return error
    raise AssertionError("the order was carried out")


async def test_the_role_of_this_machine_makes_hosts(tmp_path: Path) -> None:
    async with alibaba_rig(tmp_path, ram_role_name="agentbroker", **NO_KEYS) as rig:
        rig.fake.sts.add_role("agentbroker", trusts=["ecs.aliyuncs.com"])
        rig.fake.metadata.role = "agentbroker"
        assert len((await rig.backend.create_hosts(rig.order())).refs) == 1
        assert rig.fake.metadata.requests[0] == "PUT /latest/api/token"


async def test_a_machine_without_the_role_is_told_with_the_key_to_set(tmp_path: Path) -> None:
    async with alibaba_rig(tmp_path, ram_role_name="agentbroker", **NO_KEYS) as rig:
        error = await refusal(rig)
        assert isinstance(error, BackendRejected)
        assert error.reason is Reason.CREDENTIALS_INVALID
        assert "backends.ali.ram_role_name" in error.message


async def test_a_role_is_taken_with_the_keys_and_once_for_many_calls(tmp_path: Path) -> None:
    arn = "acs:ram::1234567890123456:role/builder"
    async with alibaba_rig(tmp_path, role_arn=[arn], role_external_id="ci-1") as rig:
        rig.fake.sts.add_role("builder", trusts=[f"acs:ram::{rig.fake.account}:root"], external_id="ci-1")
        for n in (1, 2, 3):
            await rig.backend.create_hosts(rig.order(n))
        assert rig.fake.ledger.count("AssumeRole") == 1


async def test_a_role_that_may_not_be_taken_is_told_with_the_key_to_look_at(tmp_path: Path) -> None:
    async with alibaba_rig(tmp_path, role_arn=["acs:ram::1234567890123456:role/nobody"]) as rig:
        error = await refusal(rig)
        assert isinstance(error, BackendRejected)
        assert "backends.ali.role_arn" in error.message
        assert await rig.count_hosts() == 0


async def test_an_sts_that_is_away_is_no_fault_of_the_pool(tmp_path: Path) -> None:
    async with alibaba_rig(tmp_path, role_arn=["acs:ram::1234567890123456:role/builder"]) as rig:
        rig.fake.faults.add(Fault(action="AssumeRole", code="ServiceUnavailable", status=503, times=None))
        error = await refusal(rig)
        assert isinstance(error, Throttled)
        assert await rig.count_hosts() == 0


async def test_a_place_where_nobody_listens_is_told_with_the_keys_to_look_at(tmp_path: Path) -> None:
    nowhere = dict.fromkeys(("ecs", "vpc", "sts", "metadata"), "http://127.0.0.1:9")
    async with alibaba_rig(tmp_path, endpoints=nowhere) as rig:
        error = await refusal(rig)
        assert isinstance(error, Throttled)
        assert "endpoints" in error.message


async def test_a_key_pair_is_imported_once_and_hosts_are_made_with_it(tmp_path: Path) -> None:
    async with alibaba_rig(tmp_path) as rig:
        rig.pool_options = {"ssh": {"private_key": private_key()}, "key_pair": {"import": True}}
        for n in (1, 2):
            await rig.backend.create_hosts(rig.order(n))
        assert rig.fake.ledger.count("ImportKeyPair") == 1
        names = {one.key_pair for one in rig.fake.ecs.living}
        assert names == set(rig.fake.ecs.region().key_pairs)


async def test_a_key_pair_of_another_key_is_refused_with_both_fingerprints(tmp_path: Path) -> None:
    async with alibaba_rig(tmp_path) as rig:
        rig.pool_options = {"ssh": {"private_key": private_key()}, "key_pair": {"name": "agents"}}
        ours = public_key_of(rig.pool)
        theirs = public_key_of(make_pool(options={"ssh": {"private_key": private_key()}}))
        assert ours is not None
        assert theirs is not None
        rig.fake.ecs.add_key_pair("agents", theirs.line)
        error = await refusal(rig)
        assert error.reason is Reason.SSH_AUTH_FAILED
        assert ours.fingerprint in error.message
        assert theirs.fingerprint in error.message
        assert await rig.count_hosts() == 0


@pytest.mark.parametrize("text", ["no key", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END"])
async def test_a_key_that_is_none_is_refused_before_anything_is_made(tmp_path: Path, text: str) -> None:
    async with alibaba_rig(tmp_path) as rig:
        rig.pool_options = {"ssh": {"private_key": text}, "key_pair": {"name": "agents"}}
        error = await refusal(rig)
        assert "ssh.private_key" in error.message
        assert text not in error.message
        assert rig.fake.ledger.count("RunInstances") == 0
