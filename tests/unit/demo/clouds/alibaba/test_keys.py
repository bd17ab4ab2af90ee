"""Key pairs and their fingerprints."""

import pytest

from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from tests.fake_alibaba import Sdk
from tests.unit.demo.clouds.alibaba.conftest import KEY, launched, seen

FINGERPRINT = "65962dfce8d5a911640c0fea006e5bbd"
"""Of KEY, as `ssh-keygen -l -E md5` tells it, without colons."""


async def test_a_key_pair_is_imported_and_found_by_its_fingerprint(api: Sdk) -> None:
    made = await api("ImportKeyPair", KeyPairName="builder", PublicKeyBody=KEY, Tag=[{"Key": "of", "Value": "ci"}])
    assert made["KeyPairFingerPrint"] == FINGERPRINT
    found = await api("DescribeKeyPairs", KeyPairFingerPrint=FINGERPRINT, Tag=[{"Key": "of"}], IncludePublicKey=True)
    (one,) = found["KeyPairs"]["KeyPair"]
    assert (one["KeyPairName"], one["PublicKey"], one["CreationTime"]) == ("builder", KEY, "2026-01-01T00:00Z")
    again = await api.refused("ImportKeyPair", KeyPairName="builder", PublicKeyBody=KEY)
    assert again.code == "KeyPair.AlreadyExist"


@pytest.mark.parametrize(
    ("pattern", "found"), [("kp", ["kp"]), ("k*", ["kp", "kq"]), ("*q", ["kq"]), ("*p*", ["kp"]), ("q", [])]
)
async def test_key_pairs_are_found_by_name(fake: FakeAlibaba, api: Sdk, pattern: str, found: list[str]) -> None:
    fake.ecs.add_key_pair("kq", KEY)
    told = await api("DescribeKeyPairs", KeyPairName=pattern)
    assert [one["KeyPairName"] for one in told["KeyPairs"]["KeyPair"]] == found


@pytest.mark.parametrize(
    "body",
    ["", "ssh-ed25519", "ssh-ed25519 AAAA", KEY.replace("ssh-ed25519 ", "ssh-rsa "), "-----BEGIN PUBLIC KEY-----"],
)
async def test_what_is_no_public_key_is_refused(api: Sdk, body: str) -> None:
    refused = await api.refused("ImportKeyPair", KeyPairName="builder", PublicKeyBody=body)
    assert refused.code == ("InvalidPublicKeyBody.Malformed" if body else "MissingParameter")


@pytest.mark.parametrize("name", ["1key", "k", "k.p", "http://key"])
async def test_a_name_has_a_form(api: Sdk, name: str) -> None:
    refused = await api.refused("ImportKeyPair", KeyPairName=name, PublicKeyBody=KEY)
    assert refused.code == "InvalidKeyPairName.Malformed"


async def test_key_pairs_are_deleted_and_their_instances_live_on(fake: FakeAlibaba, api: Sdk) -> None:
    await launched(api)
    await api("DeleteKeyPairs", KeyPairNames='["kp","gone"]')
    assert (await api("DescribeKeyPairs"))["TotalCount"] == 0
    assert [one["KeyPairName"] for one in await seen(api)] == ["kp"]
    for names in ("kp", "[]"):
        assert (await api.refused("DeleteKeyPairs", KeyPairNames=names)).code == "InvalidParameter"
    fake.ecs.quotas.key_pairs = 0
    assert (await api.refused("ImportKeyPair", KeyPairName="more", PublicKeyBody=KEY)).code == "QuotaExceed.KeyPair"
