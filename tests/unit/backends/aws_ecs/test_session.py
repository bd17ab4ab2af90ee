"""Sessions on the fake of AWS: whose calls are made, in which region, through what, and with keys that renew."""

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from botocore.exceptions import ClientError

from broker.backends.aws_ecs.options import AssumeRole, BackendOptions
from broker.backends.aws_ecs.session import Identity, Sessions, Undeclared, session_name
from broker.clock import SystemClock
from broker.demo.authority import Authority
from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.faults import Fault
from broker.demo.clouds.serving import serving
from broker.domain.reason import Reason
from broker.errors import BackendRejected, Throttled
from broker.ports import Clock
from broker.testing.clock import ManualClock
from tests.forward_proxy import forwarding

USER = "arn:aws:iam::111122223333:user/broker"
ROLE = "arn:aws:sts::111122223333:assumed-role"


@pytest.fixture(autouse=True)
def no_keys_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "AWS_PROFILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_DEFAULT_REGION",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "aws-credentials"))


class Account:
    """A fake account at a URL, and the sessions that were opened on it."""

    def __init__(self, fake: FakeAws, url: str) -> None:
        self.fake, self.url = fake, url
        self.opened: list[Sessions] = []

    def options(self, **more: Any) -> BackendOptions:
        return replace(BackendOptions(region=self.fake.region, endpoint_url=self.url), **more)

    def open(self, clock: Clock | None = None, *, keys: bool = True, **more: Any) -> Sessions:
        given = {"access_key_id": self.fake.access_key, "secret_access_key": self.fake.secret_key} if keys else {}
        sessions = Sessions(self.options(**given, **more), clock or SystemClock(), "aws")
        self.opened.append(sessions)
        return sessions

    def role(self, name: str = "agentbroker", trusts: str = USER, **more: Any) -> AssumeRole:
        made = self.fake.sts.add_role(name, trusts=[trusts], **more)
        return AssumeRole(role_arn=made.arn, external_id=made.external_id)


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    fake = FakeAws()
    async with serving(fake) as url:
        account = Account(fake, url)
        yield account
        for sessions in account.opened:
            await sessions.close()


async def subnets(sessions: Sessions) -> int:
    """A call that is not to STS."""
    return len((await (await sessions.client("ec2")).describe_subnets())["Subnets"])


async def test_keys_of_the_config_sign_the_calls(account: Account) -> None:
    sessions = account.open()
    assert await sessions.identity() == Identity(account="111122223333", arn=USER)
    assert await subnets(sessions) == 3
    assert await sessions.expires() is None


async def test_keys_of_the_environment_are_found_by_the_sdk(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", account.fake.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", account.fake.secret_key)
    sessions = account.open(keys=False)
    assert (await sessions.identity()).arn == USER
    assert sessions.told == "the SDK's default chain (env)"


def profile(tmp_path: Path, name: str, access_key: str, secret_key: str) -> None:
    text = f"[{name}]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n"
    (tmp_path / "aws-credentials").write_text(text)


async def test_a_profile_counts_more_than_the_environment(
    account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIASOMEBODYELSE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    profile(tmp_path, "ci", account.fake.access_key, account.fake.secret_key)
    sessions = account.open(keys=False, profile="ci")
    assert (await sessions.identity()).arn == USER
    assert sessions.told == "profile ci (shared-credentials-file)"


async def test_a_profile_that_takes_a_role_of_its_own_does_so_in_the_region_of_sts(
    account: Account, tmp_path: Path
) -> None:
    role = account.role("of-profile")
    profile(tmp_path, "keys", account.fake.access_key, account.fake.secret_key)
    text = f"[profile ci]\nrole_arn = {role.role_arn}\nsource_profile = keys\nendpoint_url = {account.url}\n"
    (tmp_path / "aws-config").write_text(text)
    sessions = account.open(keys=False, profile="ci", sts_region="us-east-1")
    assert (await sessions.identity()).arn.startswith(f"{ROLE}/of-profile/")
    assert {call.region for call in account.fake.ledger.of("AssumeRole")} == {"us-east-1"}


async def test_a_program_of_a_profile_gives_keys(account: Account, tmp_path: Path) -> None:
    answer = {"Version": 1, "AccessKeyId": account.fake.access_key, "SecretAccessKey": account.fake.secret_key}
    (tmp_path / "keys.json").write_text(json.dumps(answer))
    told = f"cat {tmp_path}/keys.json"
    (tmp_path / "aws-config").write_text(f"[profile ci]\ncredential_process = {told}\n")
    assert (await account.open(keys=False, profile="ci").identity()).arn == USER


async def test_a_role_is_taken_with_its_external_id_under_the_backends_name(account: Account) -> None:
    sessions = account.open(assume_role_arn=(account.role(external_id="ticket-7"),))
    assert (await sessions.identity()).arn == f"{ROLE}/agentbroker/agentbroker-aws"
    (asked,) = account.fake.ledger.of("AssumeRole")
    assert asked.parameters["ExternalId"] == "ticket-7"
    assert sessions.told.startswith("role arn:aws:iam::111122223333:role/agentbroker (assumed) with keys of")


async def test_a_chain_of_roles_over_accounts_ends_in_the_last(account: Account) -> None:
    hub = account.role("hub")
    spoke = account.role("spoke", trusts=hub.role_arn, account="444455556666", external_id="of-ours")
    sessions = account.open(assume_role_arn=(hub, replace(spoke, session_name="from-hub")))
    assert await sessions.identity() == Identity(
        account="444455556666", arn="arn:aws:sts::444455556666:assumed-role/spoke/from-hub"
    )
    await subnets(sessions)
    assert account.fake.ledger.count("AssumeRole") == 2


async def test_sts_has_a_region_of_its_own(account: Account) -> None:
    sessions = account.open(assume_role_arn=(account.role(),), sts_region="us-east-1")
    await sessions.identity()
    await subnets(sessions)
    regions = {(call.service, call.region) for call in account.fake.ledger}
    assert regions == {("sts", "us-east-1"), ("ec2", "eu-west-1")}


async def test_clients_are_made_once_for_a_service_and_region(account: Account) -> None:
    sessions = account.open()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(sessions.client("ec2"), name=f"client {n}") for n in range(5)]
    assert len({task.result() for task in tasks}) == 1
    assert await sessions.client("ec2", "eu-central-1") is not await sessions.client("ec2")


async def test_who_one_is_is_asked_once(account: Account) -> None:
    sessions = account.open()
    for _ in range(3):
        await sessions.identity()
    assert account.fake.ledger.count("GetCallerIdentity") == 1


async def test_the_sdk_repeats_nothing(account: Account) -> None:
    client = await account.open().client("ec2")
    account.fake.faults.add(Fault(action="DescribeSubnets", code="InternalError", times=None))
    with pytest.raises(ClientError):
        await client.describe_subnets()
    assert account.fake.ledger.count("DescribeSubnets") == 1


async def test_a_role_is_renewed_before_its_end_and_calls_go_on(account: Account) -> None:
    clock = ManualClock(start=datetime.now(UTC))
    sessions = account.open(clock, assume_role_arn=(account.role(),))
    await subnets(sessions)
    expires = await sessions.expires()
    assert expires is not None
    await clock.advance((expires - clock.now() - timedelta(minutes=15)).total_seconds())
    assert await subnets(sessions) == 3
    assert account.fake.ledger.count("AssumeRole") == 2


async def test_a_session_that_was_revoked_is_had_anew_by_the_next_call(account: Account) -> None:
    sessions = account.open(assume_role_arn=(account.role(),))
    await sessions.identity()
    account.fake.sts.end_sessions()
    with pytest.raises(ClientError, match="Expired"):
        await subnets(sessions)
    assert await subnets(sessions) == 3
    assert account.fake.ledger.count("AssumeRole") == 2
    assert (await sessions.identity()).arn.startswith(ROLE)


async def test_keys_that_stay_refused_are_not_had_anew_at_each_call(account: Account) -> None:
    clock = ManualClock(start=datetime.now(UTC))
    sessions = account.open(clock, assume_role_arn=(account.role(),))
    await subnets(sessions)
    account.fake.faults.add(Fault(service="ec2", code="AuthFailure", message="not today", times=None))
    for _ in range(60):
        with pytest.raises(ClientError, match="not today"):
            await subnets(sessions)
        await clock.advance(1)
    assert account.fake.ledger.count("AssumeRole") <= 3


async def test_files_with_keys_that_were_replaced_heal_the_calls(account: Account, tmp_path: Path) -> None:
    for name, text in (("id", "AKIAREVOKED000000000"), ("secret", "revoked")):
        (tmp_path / name).write_text(text)
    files: dict[str, Any] = {
        "access_key_id_file": str(tmp_path / "id"),
        "secret_access_key_file": str(tmp_path / "secret"),
    }
    sessions = account.open(keys=False, **files)
    with pytest.raises(BackendRejected) as refused:
        await sessions.identity()
    assert refused.value.reason is Reason.CREDENTIALS_INVALID
    (tmp_path / "id").write_text(account.fake.access_key)
    (tmp_path / "secret").write_text(account.fake.secret_key)
    assert (await sessions.identity()).arn == USER


async def test_keys_of_a_region_that_is_not_turned_on_are_told_so(account: Account) -> None:
    sessions = account.open(assume_role_arn=(account.role(),), sts_region="me-south-1")
    with pytest.raises(BackendRejected, match=r"sts:AssumeRole .*role/agentbroker: .+") as refused:
        await sessions.identity()
    assert refused.value.reason is Reason.CREDENTIALS_INVALID


async def test_a_role_that_may_not_be_taken_is_told_with_the_clouds_words(account: Account) -> None:
    sessions = account.open(assume_role_arn=(account.role(trusts="arn:aws:iam::111122223333:user/other"),))
    with pytest.raises(BackendRejected, match="not authorized to perform: sts:AssumeRole") as refused:
        await (await sessions.client("ec2")).describe_subnets()
    assert refused.value.reason is Reason.ACCESS_DENIED


async def test_sts_that_throttles_is_waited_for(account: Account) -> None:
    account.fake.faults.add(Fault(action="AssumeRole", code="Throttling", message="Rate exceeded"))
    with pytest.raises(Throttled, match="Rate exceeded"):
        await account.open(assume_role_arn=(account.role(),)).identity()


async def test_no_keys_anywhere_is_told_with_the_keys_to_set(account: Account) -> None:
    with pytest.raises(BackendRejected, match=r"set backends\.aws\.profile or \.access_key_id_file") as refused:
        await account.open(keys=False).identity()
    assert refused.value.reason is Reason.CREDENTIALS_INVALID


async def test_a_profile_that_is_not_there_is_named(account: Account) -> None:
    with pytest.raises(BackendRejected, match=r"\(nope\) could not be found; set backends\.aws\.profile"):
        await account.open(keys=False, profile="nope").client("ecs")


async def test_no_region_anywhere_is_told_with_the_key_to_set(account: Account) -> None:
    with pytest.raises(BackendRejected, match=r"set backends\.aws\.region"):
        await account.open(region="").region()


async def test_the_region_of_the_environment_counts_where_the_config_has_none(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert await account.open(region="").region() == "eu-central-1"


async def test_without_the_sdk_the_extra_is_named(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiobotocore.session", None)
    with pytest.raises(BackendRejected, match=r"pip install 'jenkins-agentbroker\[aws\]'"):
        await account.open().client("ecs")


async def test_ecs_and_sts_are_called_through_the_proxy(account: Account) -> None:
    async with forwarding() as proxy:
        sessions = account.open(assume_role_arn=(account.role(),), proxy=proxy.url)
        await subnets(sessions)
        await sessions.identity()
        await sessions.close()
    host = account.url.removeprefix("http://")
    assert proxy.asked == [f"POST {host}"] * 3


@pytest.fixture
async def amazon(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[str, int]]:
    """The fake as `*.eu-west-1.amazonaws.com` over TLS, where a proxy can be told that these names are."""
    authority = Authority("tests")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.write(tmp_path / "ca.crt")))
    hosts = [f"{service}.eu-west-1.amazonaws.com" for service in ("sts", "ec2", "ecs")]
    pair = authority.issue(tmp_path / "amazon", "amazon", hosts)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    runner = web.AppRunner(account.fake.application, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield runner.addresses[0][:2]
    await runner.cleanup()


@pytest.mark.parametrize("by", ["config", "environment"])
async def test_amazons_own_endpoints_are_reached_through_tunnels_of_the_proxy(
    account: Account, amazon: tuple[str, int], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    names = [f"{service}.eu-west-1.amazonaws.com:443" for service in ("sts", "ec2")]
    async with forwarding(dict.fromkeys(names, amazon)) as proxy:
        if by == "environment":
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        sessions = account.open(
            assume_role_arn=(account.role(),), endpoint_url="", proxy=proxy.url if by == "config" else ""
        )
        assert await subnets(sessions) == 3
        await sessions.close()
    assert proxy.asked == [f"CONNECT {name}" for name in names]


async def test_a_proxy_that_is_not_there_is_waited_for_and_named(account: Account) -> None:
    async with forwarding() as proxy:
        pass
    with pytest.raises(Throttled, match=r"look at backends\.aws\.proxy") as refused:
        await account.open(proxy=proxy.url).identity()
    assert refused.value.reason is Reason.BACKEND_ERROR


async def test_a_proxys_password_is_not_told(account: Account) -> None:
    proxy = "http://user:hunter2@127.0.0.1:9"
    sessions = account.open(proxy=proxy)
    with pytest.raises(Throttled) as refused:
        await sessions.identity()
    assert "hunter2" not in str(refused.value)


async def test_other_calls_work_where_one_is_denied(account: Account) -> None:
    sessions = account.open()
    account.fake.rights.deny("ec2:DescribeSecurityGroups")
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        await (await sessions.client("ec2")).describe_security_groups()
    assert await subnets(sessions) == 3


async def test_a_call_that_the_table_of_rights_does_not_know_is_not_made(account: Account) -> None:
    client = await account.open().client("ec2")
    with pytest.raises(Undeclared, match="ec2:DescribeAvailabilityZones is called"):
        await client.describe_availability_zones()
    assert not len(account.fake.ledger)


@pytest.mark.parametrize(("backend", "name"), [("aws", "agentbroker-aws"), ("a b/ü", "agentbroker-a-b--")])
def test_a_session_is_named_after_its_backend_in_letters_that_sts_takes(backend: str, name: str) -> None:
    assert session_name(backend) == name


def test_credentials_are_told_apart_without_a_call_and_without_secrets(account: Account) -> None:
    one = account.open(profile="a")
    assert one.whose == account.open(profile="a").whose
    assert one.whose != account.open(profile="b").whose
    assert account.fake.secret_key not in one.whose
