"""Calls of controllers over real sockets: who may, how much, and what comes back."""

import io
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # ships no types

from broker.domain.introduction import Introduction
from broker.domain.lifecycle import Phase
from broker.errors import StoreUnavailable
from broker.rpc.server import MOST_BYTES_A_MESSAGE, PortInUse
from broker.telemetry import log
from broker.testing.factories import make_controller, make_definitions
from broker.wire.v1 import agents_pb2 as wire
from tests.core import real_secret
from tests.integration.rpc.world import (
    OTHER_TOKEN,
    SECOND_TOKEN,
    TOKEN,
    Api,
    bearer,
    handshake,
    request,
    running_api,
    sha256,
    stub,
)

NAME = "linux-000001"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with running_api(tmp_path) as running:
        yield running


@pytest.fixture
async def agents(api: Api) -> AsyncIterator[Any]:
    async with api.channel() as channel:
        yield stub(channel)


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), raised.value.details() or ""


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        bearer("wrong"),
        bearer(""),
        bearer(sha256(TOKEN)),
        (("authorization", TOKEN),),
        (("authorization", f"Basic {TOKEN}"),),
        (("authorization", f"Bearer {TOKEN} "),),
        (("authorization", "Bearer"),),
        (("x-authorization", f"Bearer {TOKEN}"),),
    ],
)
async def test_without_a_token_of_a_controller_nothing_is_told(agents: Any, api: Api, metadata: Any) -> None:
    for call in (
        agents.Handshake(handshake(), metadata=metadata),
        agents.RequestAgents(request(NAME), metadata=metadata),
        agents.ReleaseAgents(wire.ReleaseAgentsRequest(boot_id="b"), metadata=metadata),
        agents.SyncNodes(wire.SyncNodesRequest(boot_id="b"), metadata=metadata),
    ):
        code, text = await refusal(call)
        assert code == grpc.StatusCode.UNAUTHENTICATED
        assert "send 'authorization: Bearer TOKEN'" in text
        assert "controllers.NAME.token_sha256" in text
        assert TOKEN not in text
    assert await api.core.ctx.agents.live() == []


async def test_both_tokens_of_a_rotation_are_the_same_controller(agents: Any) -> None:
    for token in (TOKEN, SECOND_TOKEN):
        assert (await agents.Handshake(handshake(), metadata=bearer(token))).controller == "main"


async def test_a_token_that_was_taken_out_of_the_config_is_refused_at_the_next_call(agents: Any, api: Api) -> None:
    await agents.Handshake(handshake(), metadata=bearer(TOKEN))
    api.core.ctx.definitions = make_definitions(controllers=[make_controller(token_sha256=(sha256(SECOND_TOKEN),))])
    code, _ = await refusal(agents.Handshake(handshake(), metadata=bearer(TOKEN)))
    assert code == grpc.StatusCode.UNAUTHENTICATED


async def test_the_controller_is_that_of_the_token(agents: Any, api: Api) -> None:
    mine = await agents.Handshake(handshake(), metadata=bearer(TOKEN))
    theirs = await agents.Handshake(handshake(), metadata=bearer(OTHER_TOKEN))
    assert (mine.controller, theirs.controller) == ("main", "other")
    assert [p.name for p in mine.policies.policies] == ["linux"]
    assert [p.name for p in theirs.policies.policies] == ["linux", "theirs"]
    await agents.RequestAgents(request(NAME), metadata=bearer(TOKEN))
    seen = await agents.SyncNodes(wire.SyncNodesRequest(boot_id="b", pending=[NAME]), metadata=bearer(OTHER_TOKEN))
    assert (list(seen.agents), list(seen.unknown)) == ([], [NAME])
    released = wire.ReleaseAgentsRequest(boot_id="b", agents=[wire.AgentRelease(name=NAME, cause="RELEASE_CAUSE_IDLE")])
    assert (await agents.ReleaseAgents(released, metadata=bearer(OTHER_TOKEN))).unknown == [NAME]
    assert (await api.core.agent(NAME)).phase == Phase.REQUESTED
    [answer] = (await agents.RequestAgents(request(NAME), metadata=bearer(OTHER_TOKEN))).answers
    assert (answer.accepted, answer.reason) == (False, "NameTaken")


async def test_what_a_controller_says_of_its_port_is_passed_on_as_far_as_it_can_be_understood(
    agents: Any, api: Api
) -> None:
    said: list[tuple[str, Introduction]] = []
    api.core.ctx.introduced = lambda controller, introduction: said.append((controller, introduction))
    good = {"instance_identity": "MIIB", "agent_host": "agents.example.com", "agent_port": 50000}
    await agents.Handshake(handshake(**good, remoting_minimum_version="3176.v207ec082a_8c0"), metadata=bearer(TOKEN))
    bad = {"instance_identity": "M" * 5000, "agent_host": "a b", "agent_port": 65536}
    await agents.Handshake(handshake(**bad, remoting_minimum_version="\r\nX: y"), metadata=bearer(TOKEN))
    version = "3176.v207ec082a_8c0"
    first = Introduction(identity="MIIB", host="agents.example.com", port=50000, minimum_version=version)
    assert said == [("main", first), ("main", Introduction())]


async def test_a_handshake_tells_all_that_jenkins_needs(agents: Any) -> None:
    reply = await agents.Handshake(handshake(), metadata=bearer(TOKEN))
    [policy] = reply.policies.policies
    assert (reply.api_version, reply.policies.revision, list(policy.labels)) == (1, "1", ["linux"])
    assert (policy.name_prefix, policy.executors, policy.retention.max_uses) == ("linux", 1, 1)
    assert reply.gateway_url == "http://127.0.0.1:7073/c/main/"
    assert reply.sync_interval.ToTimedelta().total_seconds() == 2


@pytest.mark.parametrize("version", [0, 2, 4_000_000_000])
async def test_another_api_version_is_refused_with_the_fix(agents: Any, version: int) -> None:
    code, text = await refusal(agents.Handshake(handshake(api_version=version), metadata=bearer(TOKEN)))
    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert f"api_version {version} is not spoken here" in text
    assert text.endswith("speaks 1; run: agentbroker init jenkins")


@pytest.mark.parametrize("boot_id", ["", "b" * 65])
async def test_a_boot_id_out_of_bounds_is_refused(agents: Any, boot_id: str) -> None:
    code, text = await refusal(agents.SyncNodes(wire.SyncNodesRequest(boot_id=boot_id), metadata=bearer(TOKEN)))
    assert (code, text) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        f"boot_id has {len(boot_id)} characters; it must have 1 to 64",
    )


async def test_more_agents_than_one_call_may_have_are_refused_and_nothing_happens(agents: Any, api: Api) -> None:
    names = [f"linux-{n:06d}" for n in range(1_001)]
    code, text = await refusal(agents.RequestAgents(request(*names), metadata=bearer(TOKEN)))
    assert (code, text) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "agents has 1001 entries; one call may have at most 1000",
    )
    assert await api.core.ctx.agents.live() == []
    reply = await agents.RequestAgents(request(*names[:1_000]), metadata=bearer(TOKEN))
    assert [a.name for a in reply.answers] == names[:1_000]
    assert all(a.accepted for a in reply.answers)
    assert len(await api.core.ctx.agents.live()) == 1_000


async def test_more_nodes_than_a_sync_may_have_are_refused(agents: Any) -> None:
    told = wire.SyncNodesRequest(boot_id="b", pending=[f"a-{n}" for n in range(10_001)])
    code, text = await refusal(agents.SyncNodes(told, metadata=bearer(TOKEN)))
    assert (code, text) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "pending has 10001 entries; one call may have at most 10000",
    )


async def test_a_release_without_a_cause_is_refused_as_a_whole(agents: Any, api: Api) -> None:
    await agents.RequestAgents(request("a-1", "a-2"), metadata=bearer(TOKEN))
    causes = [("a-1", wire.RELEASE_CAUSE_CANCELLED), ("a-2", wire.RELEASE_CAUSE_UNSPECIFIED)]
    given = wire.ReleaseAgentsRequest(
        boot_id="b", agents=[wire.AgentRelease(name=n, cause=cause) for n, cause in causes]
    )
    code, text = await refusal(agents.ReleaseAgents(given, metadata=bearer(TOKEN)))
    assert (code, text) == (grpc.StatusCode.INVALID_ARGUMENT, "agents[1].cause is 0; it must be one of 1 to 4")
    assert {a.goal.value for a in await api.core.ctx.agents.live()} == {"online"}


async def test_a_message_that_is_too_big_is_refused_and_the_next_call_goes_on(agents: Any, api: Api) -> None:
    big = request(NAME, job="j" * MOST_BYTES_A_MESSAGE)
    code, text = await refusal(agents.RequestAgents(big, metadata=bearer(TOKEN)))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert str(MOST_BYTES_A_MESSAGE) in text
    assert await api.core.ctx.agents.live() == []
    assert (await agents.RequestAgents(request(NAME), metadata=bearer(TOKEN))).answers[0].accepted


async def test_what_is_wrong_with_one_agent_is_answered_beside_it(agents: Any) -> None:
    asked = request("a-1", "a_2")
    asked.agents.append(wire.AgentRequest(name="a-3", policy="windows", secret=real_secret("a-3")))
    answers = (await agents.RequestAgents(asked, metadata=bearer(TOKEN))).answers
    assert [(a.name, a.accepted, a.reason) for a in answers] == [
        ("a-1", True, ""),
        ("a_2", False, "InvalidRequest"),
        ("a-3", False, "NoMatchingPolicy"),
    ]


async def test_a_sync_tells_the_state_of_every_agent(agents: Any) -> None:
    await agents.RequestAgents(request(NAME, label_expression="linux"), metadata=bearer(TOKEN))
    told = wire.SyncNodesRequest(boot_id="boot-1", pending=[NAME, "x-1"])
    reply = await agents.SyncNodes(told, metadata=bearer(TOKEN))
    [state] = reply.agents
    assert (state.name, state.policy, state.phase, state.takes_builds) == (NAME, "linux", "requested", True)
    assert (list(state.labels), state.executors, state.remote_fs, state.uses) == (["linux"], 1, ".", 0)
    assert (list(reply.unknown), reply.policies_revision) == (["x-1"], "1")


async def test_health_is_told_to_everybody(api: Api) -> None:
    async with api.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "agentbroker.v1.Agents"):
            reply = await health.Check(health_pb2.HealthCheckRequest(service=service))
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
        code, _ = await refusal(health.Check(health_pb2.HealthCheckRequest(service="none")))
        assert code == grpc.StatusCode.NOT_FOUND


async def test_an_unknown_method_is_unimplemented(api: Api) -> None:
    async with api.channel() as channel:
        call: Any = channel.unary_unary("/agentbroker.v1.Agents/Nothing")
        code, _ = await refusal(call(b"", metadata=bearer(TOKEN)))
        assert code == grpc.StatusCode.UNIMPLEMENTED


async def test_bytes_that_are_no_message_are_refused_without_harm(api: Api) -> None:
    async with api.channel() as channel:
        call: Any = channel.unary_unary("/agentbroker.v1.Agents/RequestAgents")
        await refusal(call(b"\xff\xff\xff\xff", metadata=bearer(TOKEN)))
        assert (await stub(channel).Handshake(handshake(), metadata=bearer(TOKEN))).controller == "main"


async def test_a_port_in_use_is_named(api: Api, tmp_path: Path) -> None:
    taken = f"127.0.0.1:{api.port}"
    with pytest.raises(PortInUse) as raised:
        async with running_api(tmp_path / "second", address=taken):
            pass
    assert str(raised.value).startswith(f"server.grpc.listen {taken}: cannot listen there (")
    assert str(raised.value).endswith("); stop what uses it or choose another port")


@pytest.fixture
def lines() -> io.StringIO:
    """Every log line of the broker and of the libraries, as an operator would have them."""
    written = io.StringIO()
    log.configure("json", "debug", written)
    return written


async def test_a_bug_in_a_handler_is_internal_and_tells_no_secret(
    agents: Any, api: Api, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise LookupError("a bug, on purpose")

    monkeypatch.setattr(api.core.intake, "accept", broken)
    code, text = await refusal(agents.RequestAgents(request(NAME), metadata=bearer(TOKEN)))
    assert (code, text) == (
        grpc.StatusCode.INTERNAL,
        "a bug of the broker: its log has the details; repeat later",
    )
    assert "a bug, on purpose" in lines.getvalue()
    assert real_secret(NAME) not in lines.getvalue()
    assert TOKEN not in lines.getvalue()


async def test_a_store_that_cannot_be_written_is_unavailable(
    agents: Any, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise StoreUnavailable("the database cannot be written: database or disk is full")

    monkeypatch.setattr(api.core.ctx.agents, "accept", full)
    code, text = await refusal(agents.RequestAgents(request(NAME), metadata=bearer(TOKEN)))
    assert (code, text) == (
        grpc.StatusCode.UNAVAILABLE,
        "the database cannot be written: database or disk is full",
    )


async def test_no_secret_is_in_any_log_line_or_metric(agents: Any, api: Api, lines: io.StringIO) -> None:
    await agents.RequestAgents(request(NAME, "a_b"), metadata=bearer(TOKEN))
    bad = wire.RequestAgentsRequest(
        boot_id="b", agents=[wire.AgentRequest(name="c", policy="linux", secret="canary-s")]
    )
    await agents.RequestAgents(bad, metadata=bearer(TOKEN))
    await refusal(agents.Handshake(handshake(), metadata=bearer("canary-wrong")))
    core = api.core
    await core.settle()
    await core.knock(NAME)
    await core.knock(NAME, "canary-knock")
    agent = await core.agent(NAME)
    minted = core.ctx.keyring.mint(agent.id, agent.attempt)
    told = lines.getvalue() + core.ctx.metrics.exposition()[0].decode()
    assert NAME in told
    assert "handshake_refused" in told
    assert not re.findall(f"canary|{real_secret(NAME)}|{real_secret('a_b')}|{minted}", told)


async def test_calls_are_counted_by_controller_method_and_code(agents: Any, api: Api) -> None:
    await agents.Handshake(handshake(), metadata=bearer(TOKEN))
    await refusal(agents.Handshake(handshake(), metadata=bearer("wrong")))
    await refusal(agents.Handshake(handshake(api_version=9), metadata=bearer(TOKEN)))
    text = api.core.ctx.metrics.exposition()[0].decode()
    counted = {
        tuple(sorted(re.findall(r'(\w+)="([^"]*)"', line)))
        for line in text.splitlines()
        if re.match(r"agentbroker_rpc\w*_total\{", line) and "Handshake" in line and not line.endswith(" 0.0")
    }
    assert {dict(labels)["code"] for labels in counted} == {"OK", "UNAUTHENTICATED", "FAILED_PRECONDITION"}
