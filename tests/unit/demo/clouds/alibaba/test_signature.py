"""Who may call: signatures in headers as the SDK makes them, older ones among the parameters, and what is wrong."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from alibabacloud_tea_openapi.utils import Utils

from broker.demo.clouds.alibaba import wire
from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.alibaba.shapes import misfits, reply_shape, request_shape
from broker.demo.clouds.alibaba.signature import Key, Keyring, Signed
from broker.demo.clouds.model import ApiError, Identity
from broker.demo.clouds.serving import serving
from tests.fake_alibaba import Sdk

SAMPLES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("samples.json").read_text())
ALGORITHM = "ACS3-HMAC-SHA256"


def stamp(ahead: timedelta = timedelta()) -> str:
    """A time as requests say it."""
    return f"{datetime.now(UTC) + ahead:%Y-%m-%dT%H:%M:%SZ}"


def signed(fake: FakeAlibaba, host: str, *, secret: str = "", body: bytes = b"", **other: str) -> dict[str, str]:
    """Headers of DescribeRegions, signed by the SDK's code; `other`, with _ for -, goes in place of the usual ones."""
    changed = {name.replace("_", "-"): value for name, value in other.items()}
    hashed = hashlib.sha256(body).hexdigest()
    headers = {
        "host": host,
        "x-acs-action": "DescribeRegions",
        "x-acs-version": "2014-05-26",
        "x-acs-date": stamp(),
        "x-acs-signature-nonce": "n-1",
        "x-acs-content-sha256": hashed,
        **changed,
    }
    asked = SimpleNamespace(method="POST", pathname="/", query={}, headers=headers)
    secret = secret or fake.secret_key
    headers["Authorization"] = Utils.get_authorization(asked, ALGORITHM, hashed, fake.access_key, secret)
    return headers


async def post(
    url: str, headers: Mapping[str, str], query: str = "", method: str = "POST"
) -> tuple[int, dict[str, Any]]:
    """One request as it is given, and its answer."""
    async with aiohttp.ClientSession() as session, session.request(method, f"{url}/{query}", headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda one: one["headers"]["x-acs-action"])
def test_what_the_sdk_sent_once_is_understood_and_its_signature_good(sample: dict[str, Any]) -> None:
    headers = {name.lower(): value for name, value in sample["headers"].items()}
    query = wire.fields(sample["raw_path"].partition("?")[2])
    assert query == sample["query"]
    ring = Keyring()
    who = Identity(account="1", arn="acs:ram::1:user/x", user_id="x")
    ring.add(Key(access_key="AKID", secret="SECRET", identity=who))
    request = Signed(method="POST", path=sample["raw_path"], headers=headers, said=query)
    at = datetime.fromisoformat(headers["x-acs-date"])
    assert ring.verify(request, at) == who
    service = {"2014-05-26": "ecs", "2016-04-28": "vpc"}[headers["x-acs-version"]]
    shape = request_shape(service, headers["x-acs-action"])
    reply = reply_shape(service, headers["x-acs-action"])
    assert shape is not None
    assert reply is not None
    assert wire.read(query, shape)
    assert list(misfits(sample["response"], reply)) == []


def test_a_changed_parameter_does_not_fit_its_signature() -> None:
    sample = SAMPLES[0]
    headers = {name.lower(): value for name, value in sample["headers"].items()}
    ring = Keyring()
    ring.add(Key(access_key="AKID", secret="SECRET", identity=Identity(account="1", arn="a", user_id="x")))
    forged = {**sample["query"], "Permissions.1.SourceCidrIp": "0.0.0.0/0"}
    request = Signed(method="POST", path="/", headers=headers, said=forged)
    with pytest.raises(ApiError) as refused:
        ring.verify(request, datetime.fromisoformat(headers["x-acs-date"]))
    assert refused.value.code == "SignatureDoesNotMatch"


async def test_parameters_of_all_kinds_of_characters_keep_their_signature(api: Sdk) -> None:
    name = "中文 & + ~ * = % / ?"
    tag = [{"Key": name, "Value": f"{name}#"}]
    group = await api("CreateSecurityGroup", VpcId="vpc-bp1agents", Tag=tag)
    told = await api("DescribeSecurityGroups", SecurityGroupId=group["SecurityGroupId"], Tag=tag)
    assert told["SecurityGroups"]["SecurityGroup"][0]["Tags"]["Tag"] == [{"TagKey": name, "TagValue": f"{name}#"}]


@pytest.mark.parametrize(
    ("other", "code", "status"),
    [
        ({"access_key_id": "LTAInobody"}, "InvalidAccessKeyId.NotFound", 404),
        ({"access_key_secret": "wrong"}, "SignatureDoesNotMatch", 400),
        ({"security_token": "given"}, "InvalidSecurityToken.MismatchWithAccessKey", 400),
    ],
)
async def test_wrong_keys_are_refused(fake: FakeAlibaba, other: dict[str, str], code: str, status: int) -> None:
    async with serving(fake) as url:
        refused = await Sdk(fake, url, **other).refused("DescribeRegions")
    assert (refused.code, refused.status_code) == (code, status)
    assert len(fake.ledger) == 0  # nobody knows who called


async def test_a_disabled_key_is_refused(fake: FakeAlibaba, api: Sdk) -> None:
    who = Identity(account=fake.account, arn="a", user_id="x")
    fake.keyring.add(Key(access_key=fake.access_key, secret=fake.secret_key, identity=who, active=False))
    assert (await api.refused("DescribeRegions")).code == "InvalidAccessKeyId.Inactive"


async def test_a_request_holds_once_and_for_a_quarter_of_an_hour(fake: FakeAlibaba) -> None:
    async with serving(fake) as url:
        host = url.removeprefix("http://")
        headers = signed(fake, host)
        assert (await post(url, headers))[0] == 200
        status, again = await post(url, headers)
        assert (status, again["Code"]) == (400, "SignatureNonceUsed")
        for ahead in (timedelta(minutes=16), timedelta(minutes=-16)):
            late = signed(fake, host, x_acs_date=stamp(ahead), x_acs_signature_nonce=f"n{ahead}")
            assert (await post(url, late))[1]["Code"] == "InvalidTimeStamp.Expired"
        odd = signed(fake, host, x_acs_date="today", x_acs_signature_nonce="n-2")
        assert (await post(url, odd))[1]["Code"] == "InvalidTimeStamp.Format"


async def test_what_is_not_signed_wholly_is_refused(fake: FakeAlibaba) -> None:
    async with serving(fake) as url:
        host = url.removeprefix("http://")
        assert (await post(url, {"x-acs-action": "DescribeRegions"}))[1]["Code"] == "MissingAccessKeyId"
        unsigned = {**signed(fake, host), "x-acs-extra": "1"}
        assert (await post(url, unsigned))[1]["Code"] == "IncompleteSignature"
        other_body = signed(fake, host, body=b"x")
        assert (await post(url, other_body))[1]["Code"] == "InvalidContentSha256"
        other_key = {**signed(fake, host), "Authorization": "ACS3-HMAC-SHA256 Credential=x"}
        assert (await post(url, other_key))[1]["Code"] == "IncompleteSignature"
        moved = signed(fake, host)
        assert (await post(url, moved, "?RegionId=cn-beijing"))[1]["Code"] == "SignatureDoesNotMatch"
        assert (await post(url, signed(fake, host), method="PUT"))[1]["Code"] == "UnsupportedHTTPMethod"


def older(fake: FakeAlibaba, *, secret: str = "", **other: str) -> str:
    """The query of a GET whose signature is among its parameters."""
    said = {
        "Action": "GetCallerIdentity", "Version": "2015-04-01", "Format": "JSON", "AccessKeyId": fake.access_key,
        "SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0", "SignatureNonce": "n-1", "Timestamp": stamp(),
        **other,
    }  # fmt: skip
    text = "&".join(f"{quote(name, safe='~')}={quote(said[name], safe='~')}" for name in sorted(said))
    to_sign = f"GET&%2F&{quote(text, safe='~')}"
    digest = hmac.new(f"{secret or fake.secret_key}&".encode(), to_sign.encode(), hashlib.sha1).digest()
    return f"?{text}&Signature={quote(base64.b64encode(digest).decode(), safe='~')}"


async def test_the_older_signature_holds_too(fake: FakeAlibaba) -> None:
    async with serving(fake) as url:
        status, told = await post(url, {}, older(fake), "GET")
        assert (status, told["Arn"]) == (200, "acs:ram::1234567890123456:user/broker")
        assert (await post(url, {}, older(fake), "GET"))[1]["Code"] == "SignatureNonceUsed"
        wrong = older(fake, secret="wrong", SignatureNonce="n-2")
        assert (await post(url, {}, wrong, "GET"))[1]["Code"] == "SignatureDoesNotMatch"
        late = older(fake, Timestamp=stamp(timedelta(hours=-1)), SignatureNonce="n-3")
        assert (await post(url, {}, late, "GET"))[1]["Code"] == "InvalidTimeStamp.Expired"
        other = older(fake, SignatureMethod="HMAC-MD5", SignatureNonce="n-4")
        assert (await post(url, {}, other, "GET"))[1]["Code"] == "IncompleteSignature"
