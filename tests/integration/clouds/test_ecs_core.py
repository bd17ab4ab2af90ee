"""From a file to its effect: the running core over Amazon ECS, on the strict fake."""

from collections import Counter
from pathlib import Path

import structlog

from broker.config.load import parse
from broker.demo.clouds.ecs import knobs, machines
from broker.demo.clouds.ecs.knobs import Timing
from broker.demo.clouds.faults import Fault
from broker.domain.asked import Asked
from broker.domain.lifecycle import Outcome, Phase
from broker.domain.reason import Reason
from broker.testing.factories import CONTROLLER
from tests.core import BOOT, real_secret
from tests.integration.clouds.ecs_core import HEAD, EcsCore, ecs_core

A, B, C, D = (f"linux-{n:06d}" for n in range(1, 5))
GIB = 1024
FARGATE = """
backends: { aws: { type: aws-ecs, region: eu-west-1 } }
templates:
  java: { image: "jenkins/inbound-agent:jdk21", cpu: 1, memory: 4Gi }
pools:
  fargate: { backend: aws, capacity_provider: FARGATE, subnets: [subnet-aaaaaaaaaaaaaaaaa, subnet-bbbbbbbbbbbbbbbbb] }
"""
LINUX = "policies: { linux: { labels: [linux], template: java, pools: [fargate] } }\n"
TWO_CLUSTERS = """
backends:
  one: { type: aws-ecs, region: eu-west-1, cluster: one }
  two: { type: aws-ecs, region: eu-west-1, cluster: two }
  far: { type: aws-ecs, region: eu-central-1 }
templates:
  java: { image: "jenkins/inbound-agent:jdk21", cpu: 1, memory: 4Gi }
pools:
  one: { backend: one, launch_type: EC2 }
  two: { backend: two, launch_type: EC2 }
  far: { backend: far, launch_type: EC2 }
policies:
  linux: { labels: [linux], template: java, pools: [one, two, far] }
"""


async def failures(ecs: EcsCore, name: str) -> list[tuple[str | None, Reason | None]]:
    return [(event.pool, event.why) for event in await ecs.events(name) if event.event == "failed"]


async def words(ecs: EcsCore, name: str) -> str:
    return next(event.message for event in await ecs.events(name) if event.event == "failed")


async def test_what_one_cluster_has_no_room_for_goes_to_the_next_then_to_another_region_and_then_waits_for_room(
    tmp_path: Path,
) -> None:
    async with ecs_core(tmp_path, TWO_CLUSTERS) as ecs:
        for cluster in ("one", "two"):
            ecs.fake.ecs.add_cluster(cluster)
            ecs.fake.ecs.add_instance(cluster=cluster, cpu=4096, memory=6 * GIB)
        far = ecs.fake.ecs.elsewhere("eu-central-1")
        machines.register(far, far.clusters.find("default"), cpu=4096, memory=6 * GIB)
        await ecs.clock.advance(31)
        await ecs.ask(A, B, C, D)
        first = [await ecs.until(name, Phase.CONNECTING) for name in (A, B, C)]
        assert [agent.pool for agent in first] == ["one", "two", "far"]
        regions = [ecs.task_of(agent).arn.split(":")[3] for agent in first]
        assert regions == ["eu-west-1", "eu-west-1", "eu-central-1"]
        waiting = await ecs.core.agent(D)
        assert (waiting.phase, waiting.instance) == (Phase.REQUESTED, None)
        assert "no host of pool one has room for 1 vCPU and 4096 MiB" in (await ecs.events(D))[-1].message
        await ecs.core.release(B, why=Reason.CANCELLED)
        assert (await ecs.until(D, Phase.CONNECTING)).pool == "two"


async def test_a_cluster_that_refuses_for_memory_loses_its_turn_at_once_and_no_attempt(tmp_path: Path) -> None:
    """The room that was offered may be gone when the task is run."""
    async with ecs_core(tmp_path, TWO_CLUSTERS) as ecs:
        for cluster in ("one", "two"):
            ecs.fake.ecs.add_cluster(cluster)
            ecs.fake.ecs.add_instance(cluster=cluster, cpu=4096, memory=6 * GIB)
        await ecs.clock.advance(31)
        ecs.fake.ecs.failures_next("RESOURCE:MEMORY")
        await ecs.ask(A)
        agent = await ecs.until(A, Phase.BOOTING)
        assert (agent.pool, agent.refusals) == ("two", 1)
        assert await failures(ecs, A) == [("one", Reason.INSUFFICIENT_CAPACITY)]
        assert "RESOURCE:MEMORY" in await words(ecs, A)
        assert [run["cluster"] for run in ecs.runs()] == ["one", "two"]


async def test_an_image_that_is_not_there_ends_the_agent_at_once_in_the_clouds_words(tmp_path: Path) -> None:
    """Not one task after another for as long as the build waits."""
    async with ecs_core(tmp_path, FARGATE + LINUX) as ecs:
        ecs.fake.ecs.fate_next(knobs.cannot_pull("jenkins/inbound-agent:jdk21"), times=100)
        await ecs.ask(A)
        agent = await ecs.until(A, Phase.GONE)
        assert agent.outcome is Outcome.FAILED
        assert await failures(ecs, A) == [("fargate", Reason.IMAGE_PULL_FAILED)]
        assert "CannotPullContainerError: pull image manifest" in await words(ecs, A)
        ecs.core.says(A, online=False)
        (told,) = (await ecs.core.sync()).removed
        assert (told.name, told.why) == (A, Reason.IMAGE_PULL_FAILED)
        await ecs.clock.advance(30)
        assert len(ecs.runs()) == 1
        assert ecs.fake.ecs.living == []


async def test_an_image_that_is_no_agent_is_said_to_be_none_within_two_looks_and_not_run_again(tmp_path: Path) -> None:
    async with ecs_core(tmp_path, FARGATE + LINUX) as ecs:
        ecs.fake.ecs.fate_next(knobs.exits(0, after_s=1), times=100)
        await ecs.ask(A)
        await ecs.until(A, Phase.GONE, limit_s=20)
        assert await failures(ecs, A) == [("fargate", Reason.NOT_AN_INBOUND_AGENT)]
        assert "is the image an inbound agent?" in await words(ecs, A)
        assert len(ecs.runs()) == 1


async def test_a_slow_pull_takes_its_own_time_and_leaves_all_of_that_for_connecting(tmp_path: Path) -> None:
    text = FARGATE + LINUX.replace("pools:", "timeouts: { boot: 3m, connect: 20s }, pools:")
    async with ecs_core(tmp_path, text) as ecs:
        ecs.fake.ecs.timing = Timing(provisioning_s=5, pending_s=100, activating_s=1)
        await ecs.ask(A)
        agent = await ecs.until(A, Phase.CONNECTING, limit_s=180)
        assert (agent.attempt, await failures(ecs, A)) == (1, [])
        await ecs.clock.advance(10)
        await ecs.connect(A)
        assert (await ecs.core.agent(A)).phase is Phase.ONLINE
        assert [task.arn for task in ecs.fake.ecs.living] == [agent.instance]


async def test_one_build_has_one_task_however_often_it_is_asked_for_and_answers_are_lost(tmp_path: Path) -> None:
    async with ecs_core(tmp_path, FARGATE + LINUX) as ecs:
        ecs.fake.faults.add(Fault(action="RunTask", code="ServerException", after_effect=True, times=2))
        for _ in range(3):
            await ecs.ask(A)
        agent = await ecs.until(A, Phase.CONNECTING)
        ecs.core.sessions.connect(agent)
        ecs.core.says(A, accepting=False)
        for _ in range(5):
            await ecs.core.sync()
            await ecs.ask(A)
        assert len(ecs.fake.ecs.living) == 1
        assert len({run["clientToken"] for run in ecs.runs()}) == 1


async def test_a_task_without_a_network_interface_is_made_in_another_zone_and_costs_no_attempt(tmp_path: Path) -> None:
    async with ecs_core(tmp_path, FARGATE + LINUX) as ecs:
        ecs.fake.ecs.fate_next(knobs.no_interface())
        await ecs.ask(A)
        agent = await ecs.until(A, Phase.CONNECTING)
        assert await failures(ecs, A) == [("fargate", Reason.NETWORK_UNAVAILABLE)]
        assert (agent.attempt, agent.refusals) == (2, 1)
        first, second = (run["networkConfiguration"]["awsvpcConfiguration"]["subnets"] for run in ecs.runs())
        assert first != second


async def test_agents_are_shared_over_capacity_providers_by_base_and_weight(tmp_path: Path) -> None:
    text = FARGATE.replace(
        "capacity_provider: FARGATE,",
        "capacity_provider_strategy: [{ capacity_provider: FARGATE, base: 1, weight: 0 },"
        " { capacity_provider: FARGATE_SPOT, weight: 1 }],",
    )
    async with ecs_core(tmp_path, text + LINUX) as ecs:
        await ecs.ask(A, B, C, D)
        for name in (A, B, C, D):
            await ecs.until(name, Phase.CONNECTING)
        assert Counter(task.capacity_provider for task in ecs.fake.ecs.living) == {"FARGATE": 1, "FARGATE_SPOT": 3}


async def test_a_spot_task_that_is_taken_back_drains_in_the_clouds_words_and_jenkins_hears_it(tmp_path: Path) -> None:
    async with ecs_core(tmp_path, FARGATE.replace("provider: FARGATE", "provider: FARGATE_SPOT") + LINUX) as ecs:
        await ecs.ask(A)
        agent = await ecs.until(A, Phase.CONNECTING)
        await ecs.connect(A)
        ecs.core.says(A, busy=True, uses=1)
        await ecs.core.sync()
        assert agent.instance is not None
        ecs.fake.ecs.interrupt(agent.instance)
        await ecs.until(A, Phase.DRAINING, limit_s=20)
        (told,) = [event for event in await ecs.events(A) if event.event == "draining"]
        assert told.why is Reason.SPOT_INTERRUPTED
        assert "Your Spot Task was interrupted." in told.message


async def test_what_a_build_asks_for_registers_nothing(tmp_path: Path) -> None:
    """Per-build sizes come with RunTask, for one definition of a template."""
    text = FARGATE + LINUX.replace("pools:", "overrides: { allow: [cpu, memory] }, pools:")
    async with ecs_core(tmp_path, text) as ecs:
        await ecs.ask(A)
        await ecs.until(A, Phase.BOOTING)
        before = len(ecs.calls("RegisterTaskDefinition"))
        for n, label in enumerate(("linux && cpu=2 && memory=8Gi", "linux && cpu=4 && memory=8Gi")):
            name = f"linux-10000{n}"
            asked = Asked(name=name, policy="linux", secret=real_secret(name), label_expression=label)
            (answer,) = await ecs.core.intake.accept(CONTROLLER, BOOT, [asked])
            assert not answer.reason, answer
            await ecs.until(name, Phase.BOOTING)
        assert (before, len(ecs.calls("RegisterTaskDefinition"))) == (1, 1)
        sizes = [(task.cpu, task.memory) for task in ecs.fake.ecs.living]
        assert sizes == [("1024", "4096"), ("2048", "8192"), ("4096", "8192")]


async def test_a_changed_template_is_a_revision_of_which_the_log_says_what_has_changed(tmp_path: Path) -> None:
    text = FARGATE + LINUX
    async with ecs_core(tmp_path, text) as ecs:
        await ecs.ask(A)
        await ecs.until(A, Phase.BOOTING)
        ecs.core.ctx.definitions = parse(HEAD + text.replace("jdk21", "jdk25"), env={}).definitions
        with structlog.testing.capture_logs() as logs:
            await ecs.ask(B)
            await ecs.until(B, Phase.BOOTING)
        (told,) = [one for one in logs if one["event"] == "definition_registered"]
        image = "containerDefinitions.agent.image: jenkins/inbound-agent:jdk21 -> jenkins/inbound-agent:jdk25"
        assert told["changes"] == [image]
        assert [run["taskDefinition"].rpartition(":")[2] for run in ecs.runs()] == ["1", "2"]
