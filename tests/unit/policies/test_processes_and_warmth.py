"""What the file says of processes, backends, ages and idle agents, from the text to what is started and kept."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from broker.backends.process.command import TAGS, ProcessOptions, agent_arguments, agent_environment
from broker.backends.process.workplace import Workplace
from broker.domain.ids import AgentName, BackendName, InstanceRef
from broker.domain.lifecycle import Phase
from broker.domain.reason import Reason
from broker.ports import LaunchSpec
from broker.testing.backend import FakeBackend
from tests.unit.policies.written import Written, written
from tests.unit.wanted.jenkins import Jenkins, wishes

POLICY = "policies: { linux: { labels: [linux], pools: [a] } }\n"
IDENTITY = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"


async def launched(broker: Written) -> LaunchSpec:
    await broker.ask()
    return broker.core.backend.ledger.spec_of(AgentName("linux-1"))


@pytest.mark.parametrize("pool_of", ["east", "west"])
async def test_an_agent_is_made_by_the_backend_of_its_pool(pool_of: str, tmp_path: Path) -> None:
    text = f"""
backends: {{ east: {{ type: process }}, west: {{ type: process }} }}
pools: {{ a: {{ backend: {pool_of} }} }}
{POLICY}"""
    async with written(tmp_path, text) as broker:
        both = {name: FakeBackend(None, broker.core.clock) for name in ("east", "west")}
        broker.core.ctx.backends = {BackendName(name): backend for name, backend in both.items()}
        await broker.core.ask_for_offers()
        await broker.ask()
        assert {name: len(backend.ledger.calls) for name, backend in both.items()} == {
            "east": int(pool_of == "east"),
            "west": int(pool_of == "west"),
        }


@pytest.mark.parametrize(
    ("keys", "java", "jar", "command"),
    [
        ("java: /opt/jdk/bin/java, agent_jar: /opt/agent.jar", "/opt/jdk/bin/java", Path("/opt/agent.jar"), ()),
        ("command: [run, it]", "java", None, ("run", "it")),
    ],
)
async def test_a_process_is_started_by_the_program_that_the_pool_names(
    keys: str, java: str, jar: Path | None, command: tuple[str, ...], tmp_path: Path
) -> None:
    async with written(tmp_path, f"pools: {{ a: {{ backend: process, {keys} }} }}\n{POLICY}") as broker:
        options = ProcessOptions.of((await launched(broker)).pool)
        assert (options.java, options.agent_jar, options.command) == (java, jar, command)


async def test_a_direct_agent_is_given_the_identity_that_the_pool_names(tmp_path: Path) -> None:
    direct = f"{{ tunnel: 'nlb.example.com:50000', instance_identity: {IDENTITY} }}"
    text = f"pools: {{ a: {{ backend: process, connect: direct, direct: {direct} }} }}\n{POLICY}"
    async with written(tmp_path, text) as broker:
        words = agent_arguments(await launched(broker), Workplace(tmp_path, InstanceRef("x")))
        assert words[:4] == ["-direct", "nlb.example.com:50000", "-instanceIdentity", IDENTITY]


async def test_an_agent_works_where_its_template_says_with_its_tags_in_the_environment(tmp_path: Path) -> None:
    template = "templates: { default: { remote_fs: /srv/agent, tags: { team: build } } }\n"
    async with written(tmp_path, f"{template}pools: {{ a: {{ backend: process }} }}\n{POLICY}") as broker:
        spec, place = await launched(broker), Workplace(tmp_path, InstanceRef("x"))
        words = agent_arguments(spec, place)
        assert words[words.index("-workDir") + 1] == "/srv/agent"
        assert json.loads(agent_environment({}, spec, place, "here")[TAGS]) == {"team": "build"}


async def test_an_agent_lives_as_long_as_its_template_says(tmp_path: Path) -> None:
    text = f"""
templates: {{ default: {{ retention: {{ max_uses: 0, max_lifetime: 2m }} }} }}
pools: {{ a: {{ backend: process }} }}
{POLICY}"""
    async with written(tmp_path, text) as broker:
        await broker.ask()
        await broker.wait(2)
        await broker.online("linux-1", busy=True)
        await broker.wait(100, step_s=5)
        assert (await broker.now("linux-1")).phase is Phase.ONLINE
        await broker.wait(30, step_s=5)
        assert (await broker.now("linux-1")).why is Reason.MAX_LIFETIME


async def test_idle_agents_are_kept_as_many_as_the_schedule_says(tmp_path: Path) -> None:
    warm = """    warm:
      min_idle: 1
      schedule:
        - { cron: "10 8 * * *", timezone: Asia/Shanghai, min_idle: 3 }
        - { cron: "20 8 * * *", timezone: Asia/Shanghai, min_idle: 0 }
"""
    text = f"pools: {{ a: {{ backend: process }} }}\npolicies:\n  linux:\n    labels: [linux]\n    pools: [a]\n{warm}"
    async with written(tmp_path, text) as broker:  # it is 08:00 there, and the change of yesterday holds
        assert wishes(await Jenkins(broker.core).sync()) == []
        broker.core.clock.jump(timedelta(minutes=10))
        assert wishes(await Jenkins(broker.core).sync()) == [("linux", 3)]
        broker.core.clock.jump(timedelta(minutes=10))
        assert wishes(await Jenkins(broker.core).sync()) == []


async def test_idle_agents_are_kept_without_a_schedule_too(tmp_path: Path) -> None:
    text = "pools: { a: { backend: process } }\npolicies: { linux: { pools: [a], labels: [l], warm: { min_idle: 2 } } }"
    async with written(tmp_path, text) as broker:
        assert wishes(await Jenkins(broker.core).sync()) == [("linux", 2)]
