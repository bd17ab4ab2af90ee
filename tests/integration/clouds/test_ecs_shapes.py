"""What templates and pools of Amazon ECS say, to its effect on tasks: the running core on the strict fake."""

import json
from collections import Counter
from pathlib import Path

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.ecs.knobs import Timing
from broker.domain.lifecycle import Phase
from broker.domain.reason import Reason
from tests.core import real_secret
from tests.fake_aws import a_client
from tests.integration.clouds.ecs_core import EcsCore, ecs_core

A, B, C, D = (f"linux-{n:06d}" for n in range(1, 5))
GIB = 1024
ROLE = "arn:aws:iam::111122223333:role/infrastructure"
BACKEND = "backends: { aws: { type: aws-ecs, region: eu-west-1 } }\n"
INSTANCES = """
pools:
  ec2: { backend: aws, launch_type: EC2%s }
"""
FARGATE = f"""
pools:
  ec2:
    backend: aws
    capacity_provider: FARGATE
    subnets: [subnet-aaaaaaaaaaaaaaaaa]
    execution_role_arn: "{ROLE}"
"""
POLICY = "policies: { linux: { labels: [linux], template: t, pools: [ec2] } }\n"


def template(more: str = "", image: str = "jenkins/inbound-agent:jdk21") -> str:
    return f'templates: {{ t: {{ image: "{image}", cpu: 1, memory: 2Gi{more} }} }}\n'


async def test_an_agent_for_arm_or_windows_goes_to_an_instance_that_is_one(tmp_path: Path) -> None:
    text = (
        BACKEND
        + """
templates:
  arm: { image: a, memory: 2Gi, ecs: { runtime_platform: { cpu_architecture: ARM64 } } }
  windows: { image: w, memory: 2Gi, ecs: { runtime_platform: { operating_system_family: WINDOWS_SERVER_2022_CORE } } }
"""
        + INSTANCES % ""
        + """
policies:
  arm: { labels: [arm], template: arm, pools: [ec2] }
  windows: { labels: [windows], template: windows, pools: [ec2] }
"""
    )
    async with ecs_core(tmp_path, text) as ecs:
        ecs.fake.ecs.add_instance()
        arm = ecs.fake.ecs.add_instance(architecture="arm64")
        windows = ecs.fake.ecs.add_instance(os_family="WINDOWS_SERVER_2022_CORE")
        await ecs.clock.advance(31)
        await ecs.ask(A, policy="arm")
        await ecs.ask(B, policy="windows")
        placed = [ecs.task_of(await ecs.until(name, Phase.CONNECTING)).instance for name in (A, B)]
        assert placed == [arm, windows]
        override = ecs.runs()[1]["overrides"]["containerOverrides"][0]
        told = {one["name"] for one in override["environment"]}
        assert {"JENKINS_URL", "JENKINS_SECRET", "JENKINS_AGENT_NAME"} <= told
        assert "networkConfiguration" not in ecs.runs()[1]


async def test_constraints_and_strategies_say_which_instances_take_agents(tmp_path: Path) -> None:
    placed = (
        ', placement_strategy: [{ type: spread, field: "attribute:ecs.availability-zone" }]'
        ", placement_constraints: [{ type: distinctInstance },"
        ' { type: memberOf, expression: "attribute:ecs.instance-type =~ c7i.*" }]'
    )
    async with ecs_core(tmp_path, BACKEND + template() + INSTANCES % placed + POLICY) as ecs:
        ecs.fake.ecs.add_instance(instance_type="m6i.xlarge")
        for zone in ("eu-west-1a", "eu-west-1a", "eu-west-1b"):
            ecs.fake.ecs.add_instance(instance_type="c7i.xlarge", zone=zone)
        await ecs.clock.advance(31)
        await ecs.ask(A, B)
        for name in (A, B):
            await ecs.until(name, Phase.CONNECTING)
        assert Counter(task.zone for task in ecs.fake.ecs.living) == {"eu-west-1a": 1, "eu-west-1b": 1}
        await ecs.ask(C, D)
        await ecs.clock.advance(20)
        hosts = [task.instance for task in ecs.fake.ecs.living]
        assert len(hosts) == len({host.arn for host in hosts if host}) == 3
        assert {host.instance_type for host in hosts if host} == {"c7i.xlarge"}
        waiting = [name for name in (C, D) if (await ecs.core.agent(name)).phase is Phase.REQUESTED]
        assert len(waiting) == 1
        assert "InsufficientCapacity" in await ecs.story(waiting[0])


async def test_an_agent_has_its_sidecars_and_a_disk_of_its_own(tmp_path: Path) -> None:
    ecs_keys = (
        ", ecs: { mount_points: [{ source_volume: work, container_path: /work }],"
        " volumes: [{ name: work, configured_at_launch: true }],"
        f' volume_configurations: [{{ name: work, managed_ebs_volume: {{ role_arn: "{ROLE}", size_in_gib: 200 }} }}],'
        " sidecars: [{ name: db, image: 'postgres:17', memory: 512Mi }] }"
    )
    async with ecs_core(tmp_path, BACKEND + template(ecs_keys) + FARGATE + POLICY) as ecs:
        await ecs.ask(A)
        agent = await ecs.until(A, Phase.CONNECTING)
        task = ecs.task_of(agent)
        assert [one.name for one in task.containers] == ["agent", "db"]
        assert [one["name"] for one in ecs.runs()[0]["overrides"]["containerOverrides"]] == ["agent"]
        (volume,) = ecs.runs()[0]["volumeConfigurations"]
        assert volume == {"name": "work", "managedEBSVolume": {"roleArn": ROLE, "sizeInGiB": 200}}
        assert len(task.volumes) == 1
        ecs.fake.ecs.stop(task.arn, container="db", exit_code=1)
        await ecs.clock.advance(5)
        assert (await ecs.core.agent(A)).phase is Phase.CONNECTING
        ecs.fake.ecs.stop(task.arn, container="agent", exit_code=3)
        await ecs.clock.advance(6)
        failed = [event for event in await ecs.events(A) if event.event == "failed"]
        assert [event.why for event in failed] == [Reason.CONTAINER_EXITED]
        assert failed[0].message.startswith("exit code 3")


async def test_a_definition_of_somebody_else_is_run_as_it_is_and_nothing_is_registered(tmp_path: Path) -> None:
    text = BACKEND + "templates: { t: { task_definition: builds, agent_container: worker } }\n" + FARGATE + POLICY
    async with ecs_core(tmp_path, text) as ecs:
        async with a_client(ecs.fake, ecs.url) as client:
            small = {"image": "x", "essential": True}
            containers = [{"name": "proxy", **small}, {"name": "worker", **small}]
            await client.register_task_definition(
                family="builds", cpu="256", memory="512", networkMode="awsvpc", containerDefinitions=containers
            )
        await ecs.ask(A)
        await ecs.until(A, Phase.CONNECTING)
        assert [one["name"] for one in ecs.runs()[0]["overrides"]["containerOverrides"]] == ["worker"]
        assert len(ecs.calls("RegisterTaskDefinition")) == 1, "the one above"
        assert not ecs.calls("DeregisterTaskDefinition")


async def test_a_container_that_the_definition_lacks_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    text = BACKEND + "templates: { t: { task_definition: builds, agent_container: worker } }\n" + FARGATE + POLICY
    async with ecs_core(tmp_path, text) as ecs:
        async with a_client(ecs.fake, ecs.url) as client:
            await client.register_task_definition(
                family="builds",
                cpu="256",
                memory="512",
                networkMode="awsvpc",
                containerDefinitions=[{"name": "jnlp", "image": "x"}],
            )
        await ecs.ask(A)
        await ecs.clock.advance(5)
        told = next(event for event in await ecs.events(A) if event.event == "failed").message
        assert "worker" in told
        assert "jnlp" in told
        assert ecs.runs() == []


async def test_a_chain_of_roles_launches_in_the_account_of_the_last(tmp_path: Path) -> None:
    roles = [f"arn:aws:iam::111122223333:role/{name}" for name in ("jump", "builds")]
    chain = f'assume_role_arn: [{{ role_arn: "{roles[0]}" }}, {{ role_arn: "{roles[1]}", external_id: x1 }}]'
    text = BACKEND.replace("region:", f"sts_region: us-east-1, {chain}, region:") + template() + FARGATE + POLICY

    def roles_there(fake: FakeAws) -> None:
        jump = fake.sts.add_role("jump", trusts=["arn:aws:iam::111122223333:root"])
        fake.sts.add_role("builds", trusts=[jump.arn], external_id="x1")

    async with ecs_core(tmp_path, text, roles_there) as ecs:
        await ecs.ask(A)
        await ecs.until(A, Phase.CONNECTING)
        (run,) = ecs.calls("RunTask")
        assert "assumed-role/builds/" in run.identity.arn
        assert {call.region for call in ecs.calls("AssumeRole")} == {"us-east-1"}


async def test_a_direct_agent_is_told_the_url_and_the_tunnel_of_its_pool(tmp_path: Path) -> None:
    direct = FARGATE + '    connect: direct\n    direct: { url: "https://ci.internal/", tunnel: "ci.internal:50000" }\n'
    async with ecs_core(tmp_path, BACKEND + template() + direct + POLICY) as ecs:
        await ecs.ask(A)
        await ecs.until(A, Phase.CONNECTING)
        told = variables(ecs)
        assert (told["JENKINS_URL"], told["JENKINS_TUNNEL"]) == ("https://ci.internal/", "ci.internal:50000")
        assert told["JENKINS_SECRET"] == real_secret(A)


async def test_each_agent_has_the_directory_that_its_template_says_and_its_own_below_it(tmp_path: Path) -> None:
    text = BACKEND + template(", remote_fs: /work, unique_remote_fs: true") + FARGATE + POLICY
    async with ecs_core(tmp_path, text) as ecs:
        await ecs.ask(A, B)
        for name in (A, B):
            await ecs.until(name, Phase.CONNECTING)
        told = [json.dumps(run["overrides"]) for run in ecs.runs()]
        assert all(f"/work/{name}" in one for name, one in zip((A, B), told, strict=True))


async def test_tasks_are_looked_at_as_often_as_the_backend_says(tmp_path: Path) -> None:
    looks = []
    for number, pause in enumerate(("3s", "15s")):
        text = BACKEND.replace("region:", f"poll_interval: {pause}, region:") + template() + FARGATE + POLICY
        (tmp_path / pause).mkdir()
        async with ecs_core(tmp_path / pause, text) as ecs:
            ecs.fake.ecs.timing = Timing(provisioning_s=100)
            await ecs.ask(f"linux-{number:06d}")
            await ecs.clock.advance(60)
            looks.append(len(ecs.calls("DescribeTasks")))
    often, seldom = looks
    assert 18 <= often <= 22
    assert 3 <= seldom <= 5


def variables(ecs: EcsCore) -> dict[str, str]:
    """What the container of the first task's agent is told by its environment."""
    (override,) = ecs.runs()[0]["overrides"]["containerOverrides"]
    return {one["name"]: one["value"] for one in override["environment"]}
