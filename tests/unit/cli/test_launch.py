"""`agentbroker agent launch`: what it prints, and how it ends."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from broker.cli import exits
from broker.domain.ids import PolicyName
from broker.domain.policy import AgentLimits, Retry
from broker.domain.reason import Reason
from broker.errors import BackendRejected
from broker.testing.factories import make_definitions, make_policy
from tests.unit.cli.asking import run, start
from tests.unit.wanted.jenkins import Jenkins
from tests.unit.web.api_world import Api, running_api

LAUNCH = ("agent", "launch", "--label", "linux")


@asynccontextmanager
async def living(jenkins: Jenkins) -> AsyncIterator[None]:
    """The controller syncs and its agents come online while the block runs."""

    async def live() -> None:
        while True:
            await jenkins.exchange()
            await jenkins.come_online()
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(live(), name="jenkins")
        yield
        task.cancel()


async def synced(api: Api) -> Jenkins:
    jenkins = Jenkins(api.core)
    await jenkins.sync()
    return jenkins


async def test_it_waits_until_the_agents_are_online_and_tells_each_change(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api, living(await synced(api)):
        done = await run(*LAUNCH, "-n", "2", "--wait", port=api.port)
        names = [agent.name for agent in await api.core.ctx.agents.live()]
        explained = await run("explain", names[0], port=api.port)
        listed = await run("get", "agents", "-o", "wide", port=api.port)
    assert done.code == 0, done
    assert sorted(line.split()[0] for line in done.out.splitlines()) == sorted(names)
    assert "is online in pool it; it ends when it stays idle" in done.out
    told = done.err.splitlines()
    assert told[0] == "controller main is asked for 2 agents of policy linux"
    events = [line.partition(names[0])[2].split()[0] for line in told if names[0] in line]
    assert events[0] == "requested"
    assert events[-1] == "online"
    assert "launched by local" in explained.out.splitlines()[0]
    assert "manual (local)" in listed.out


async def test_without_wait_it_says_what_is_asked_and_how_to_follow(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await synced(api)
        done = await run(*LAUNCH, "--id", "try-1", port=api.port)
        again = await run(*LAUNCH, "--id", "try-1", "-o", "json", port=api.port)
    assert done.out.splitlines() == [
        "launch try-1: controller main is asked for 1 agent of policy linux",
        "to follow it: agentbroker get agents --where launch_id=try-1",
    ]
    assert (again.code, again.json["kind"], again.json["id"]) == (0, "Launch", "try-1")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (
            ("--label", "linux && gpu"),
            exits.CANNOT_BE_PLACED,
            "NoMatchingPolicy: no policy carries all of: gpu, linux; nearest",
        ),
        (("--label", "linux", "--controller", "mian"), exits.NO_SUCH_THING, "did you mean main?"),
        (("--label", "linux", "--timeout", "soon"), exits.WRONG_USAGE, "--timeout 'soon' is no time up to a day"),
        ((), exits.WRONG_USAGE, "say what to launch: --label EXPR or --policy NAME"),
    ],
    ids=["no policy", "no controller", "no time", "nothing"],
)
async def test_what_cannot_be_launched_has_its_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, told: str
) -> None:
    async with running_api(tmp_path) as api:
        await synced(api)
        done = await run("agent", "launch", *arguments, port=api.port)
    assert (done.code, done.out) == (code, "")
    assert told in done.err


async def test_a_controller_that_is_away_is_a_failure_with_clear_words(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        done = await run(*LAUNCH, "--wait", port=api.port)
    assert done.code == exits.FAILED
    assert "controller main is not connected: it was not heard since the broker started" in done.err
    assert "next: agentbroker get controllers" in done.err


async def test_an_agent_that_fails_ends_the_wait_with_its_reason(tmp_path: Path) -> None:
    definitions = make_definitions(policies=[make_policy(retry=Retry(attempts=1))])
    async with running_api(tmp_path, definitions) as api, living(await synced(api)):
        api.core.backend.next_launch_raises(BackendRejected("Denied", "no right"))
        done = await run(*LAUNCH, "--wait", port=api.port)
    assert done.code == exits.FAILED
    assert "did not come online: BackendError: Denied: no right" in done.err
    assert "next: agentbroker explain w-" in done.err


async def test_a_wait_that_takes_too_long_says_what_it_waits_for(tmp_path: Path) -> None:
    definitions = make_definitions(policies=[make_policy(limits=AgentLimits(agents=0))])
    async with running_api(tmp_path, definitions) as api:
        jenkins = await synced(api)
        unasked = await run(*LAUNCH, "--wait", "--timeout", "1s", port=api.port)
        async with living(jenkins):
            waiting = await run(*LAUNCH, "--wait", "--timeout", "2s", port=api.port)
    assert (unasked.code, waiting.code) == (exits.TIMED_OUT, exits.TIMED_OUT)
    assert "main has asked for 0 of 1 agents within 1 s" in unasked.err
    assert "is still requested after 2 s: PolicyAtLimit: policy linux is at its limit (0 of 0 agents)" in waiting.err


async def test_a_launch_whose_time_is_over_ends_at_once_with_that_reason(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        jenkins = await synced(api)
        await run(*LAUNCH, "--id", "try-1", "--timeout", "30s", port=api.port)
        await jenkins.sync()
        await api.core.clock.advance(31)
        await jenkins.ask()
        waiting = await run(*LAUNCH, "--id", "try-1", "--wait", "--timeout", "1h", port=api.port)
        repeated = await run(*LAUNCH, "--id", "try-1", port=api.port)
    assert jenkins.refused == ["Superseded: launch try-1 was over at 00:00:30 UTC"]
    for done in (waiting, repeated):
        assert (done.code, done.out) == (exits.TIMED_OUT, "")
        assert "main has asked for 0 of 1 agents: launch try-1 was over at 00:00:30 UTC" in done.err
        assert "next: launch anew, with another --id" in done.err


async def test_a_launch_whose_policy_a_reload_has_taken_away_says_so(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        jenkins = await synced(api)
        await run(*LAUNCH, "--id", "try-1", port=api.port)
        await jenkins.sync()
        api.core.ctx.definitions = make_definitions(policies=[make_policy(name=PolicyName("mac"))])
        await jenkins.exchange()
        done = await run(
            "agent", "launch", "--label", "linux", "--id", "try-1", "--wait", "--timeout", "1s", port=api.port
        )
    assert len(jenkins.refused) == 1
    assert (done.code, done.out) == (exits.TIMED_OUT, "")
    assert "within 1 s: policy linux is not there for controller main any more" in done.err


async def test_a_repeat_of_a_launch_whose_agent_has_ended_does_not_call_it_online(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        jenkins = await synced(api)
        await run(*LAUNCH, "--id", "try-1", port=api.port)
        await jenkins.exchange()
        await jenkins.come_online()
        [agent] = await jenkins.agents()
        await jenkins.release(agent.name, Reason.IDLE_TIMEOUT)
        done = await run(*LAUNCH, "--id", "try-1", "--wait", port=api.port)
    assert (done.code, done.out) == (0, f"{agent.name} was online in pool it, and has ended: IdleTimeout\n")


async def test_ctrl_c_leaves_the_launch_running_and_says_how_to_follow_it(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await synced(api)
        process = await start(*LAUNCH, "--wait", "--id", "try-1", port=api.port)
        assert process.stderr is not None
        async with asyncio.timeout(60):
            await process.stderr.readline()
            process.send_signal(signal.SIGINT)
            rest = (await process.stderr.read()).decode()
            assert await process.wait() == exits.INTERRUPTED
        found = await api.get("launches/try-1")
    assert "the launch goes on; to follow it: agentbroker get agents --where launch_id=try-1" in rest
    assert found["state"] == "open"
