"""Tasks of the fake as processes, and the control of a fake that runs."""

import asyncio
import urllib.error
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.demo.clouds.aws import FakeAws
from broker.demo.clouds.control import controlled
from broker.demo.clouds.ecs.knobs import Timing
from broker.demo.clouds.processes import Processes
from broker.demo.clouds.remote import FILE, Control
from broker.demo.clouds.runner import TaskRunner, running_tasks
from broker.demo.clouds.serving import serving
from broker.demo.leftovers import marked_processes
from tests.fake_aws import a_client

MARK = "FAKE_TASK_MARK"
SUBNET, GROUP = "subnet-" + "a" * 17, "sg-" + "a" * 17


class Tasks:
    """A fake whose tasks run, and its client."""

    def __init__(self, fake: FakeAws, client: Any, processes: Processes) -> None:
        self.fake, self.client, self.processes = fake, client, processes

    async def run(self, script: str, stop_timeout: int = 30, **more: Any) -> str:
        """A task on Fargate whose container runs a script."""
        container: dict[str, Any] = {
            "name": "agent",
            "image": "image",
            "entryPoint": ["/bin/sh", "-c"],
            "command": [script],
            "environment": [{"name": MARK, "value": "1"}],
            "stopTimeout": stop_timeout,
            **more,
        }
        made = await self.client.register_task_definition(
            family="agent",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            executionRoleArn="arn:aws:iam::111122223333:role/ecsTaskExecutionRole",
            containerDefinitions=[container],
        )
        started = await self.client.run_task(
            cluster="default",
            taskDefinition=made["taskDefinition"]["taskDefinitionArn"],
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": [SUBNET], "securityGroups": [GROUP]}},
        )
        assert started["failures"] == []
        arn: str = started["tasks"][0]["taskArn"]
        return arn

    async def told(self, arn: str) -> dict[str, Any]:
        """What DescribeTasks tells."""
        task: dict[str, Any] = (await self.client.describe_tasks(tasks=[arn]))["tasks"][0]
        return task

    async def ended(self, arn: str) -> dict[str, Any]:
        """What it tells once the task is STOPPED."""
        async with asyncio.timeout(20):
            while (task := await self.told(arn))["lastStatus"] != "STOPPED":  # noqa: ASYNC110  # the API tells nobody
                await asyncio.sleep(0.02)
        return task

    async def running(self, count: int = 1) -> None:
        """Until so many containers run."""
        await until(lambda: len(self.processes.running) == count)


async def until(reached: Callable[[], bool]) -> None:
    """Until something is so."""
    async with asyncio.timeout(20):
        while not reached():  # noqa: ASYNC110  # processes tell nobody
            await asyncio.sleep(0.02)


@asynccontextmanager
async def a_world(root: Path) -> AsyncIterator[Tasks]:
    """All of it, gone at the end."""
    fake = FakeAws()
    fake.ecs.timing = Timing.at_once()
    async with (
        serving(fake) as url,
        Processes(root, ("false",)) as processes,
        running_tasks(fake, processes),
        a_client(fake, url) as client,
    ):
        yield Tasks(fake, client, processes)
    assert fake.ledger.problems == []
    assert marked_processes(f"{MARK}=1") == []


@pytest.fixture
async def tasks(tmp_path: Path) -> AsyncIterator[Tasks]:
    """A fake whose tasks run."""
    async with a_world(tmp_path / "tasks") as tasks:
        yield tasks


async def test_a_task_ends_with_the_exit_code_of_its_container(tasks: Tasks) -> None:
    task = await tasks.ended(await tasks.run("exit 3"))
    assert (task["stopCode"], task["containers"][0]["exitCode"]) == ("EssentialContainerExited", 3)


async def test_a_task_that_is_stopped_gets_a_signal_and_is_killed_when_it_does_not_hear(tasks: Tasks) -> None:
    polite = await tasks.run("trap 'exit 9' TERM; while :; do sleep 0.05; done")
    deaf = await tasks.run("trap '' TERM; while :; do sleep 0.05; done", stop_timeout=2)
    await tasks.running(2)
    await asyncio.sleep(0.3)  # for the shells to set their traps
    for arn in (polite, deaf):
        await tasks.client.stop_task(task=arn)
    ends = [await tasks.ended(arn) for arn in (polite, deaf)]
    assert [(task["stopCode"], task["containers"][0]["exitCode"]) for task in ends] == [
        ("UserInitiated", 9),
        ("UserInitiated", 137),
    ]


async def test_a_task_that_is_stopped_before_anybody_saw_it_run_ends_too(tmp_path: Path) -> None:
    fake = FakeAws()
    fake.ecs.timing = Timing.at_once()
    async with serving(fake) as url, Processes(tmp_path, ("false",)) as processes, a_client(fake, url) as client:
        runner, tasks = TaskRunner(fake, processes), Tasks(fake, client, processes)
        arn = await tasks.run("sleep 300")
        assert (await tasks.told(arn))["lastStatus"] == "RUNNING"
        await client.stop_task(task=arn)
        runner.look()
        assert (await tasks.ended(arn))["containers"][0]["exitCode"] == 143
        assert processes.running == []


async def test_an_interruption_gives_the_process_its_notice(tasks: Tasks) -> None:
    arn = await tasks.run("trap 'echo told; exit 0' TERM; while :; do sleep 0.05; done")
    await tasks.running()
    await asyncio.sleep(0.3)
    tasks.fake.ecs.interrupt(arn)
    task = await tasks.ended(arn)
    assert (task["stopCode"], task["containers"][0]["exitCode"]) == ("SpotInterruption", 0)


async def test_what_a_container_writes_is_in_its_stream(tasks: Tasks) -> None:
    options = {"awslogs-group": "/ecs/agents", "awslogs-region": "eu-west-1", "awslogs-stream-prefix": "agent"}
    arn = await tasks.run(
        "echo one; echo two >&2", logConfiguration={"logDriver": "awslogs", "options": options | {"mode": "blocking"}}
    )
    await tasks.ended(arn)
    assert tasks.fake.logs.lines("/ecs/agents", f"agent/agent/{arn.rpartition('/')[2]}") == ["one", "two"]


async def test_secrets_reach_the_container_by_their_references(tmp_path: Path, tasks: Tasks) -> None:
    fake = tasks.fake
    async with serving(fake) as url, a_client(fake, url, "ssm") as ssm:
        await ssm.put_parameter(Name="/ci/a1", Value="s3cret", Type="SecureString")
    arn = f"arn:aws:ssm:{fake.region}:{fake.account}:parameter/ci/a1"
    said = await tasks.ended(await tasks.run('[ "$TOKEN" = s3cret ]', secrets=[{"name": "TOKEN", "valueFrom": arn}]))
    assert said["containers"][0]["exitCode"] == 0
    gone = await tasks.run("exit 0", secrets=[{"name": "TOKEN", "valueFrom": arn + "-gone"}])
    task = await tasks.ended(gone)
    assert task["stopCode"] == "TaskFailedToStart"
    assert "ResourceInitializationError" in task["stoppedReason"]


async def test_tasks_that_run_at_the_end_leave_no_process(tmp_path: Path) -> None:
    async with a_world(tmp_path / "tasks") as tasks:
        await tasks.run("sleep 300 & sleep 300")
        await tasks.running()
    assert list((tmp_path / "tasks").iterdir()) == []


async def test_a_running_fake_is_told_what_to_do_by_its_token_alone(tmp_path: Path, tasks: Tasks) -> None:
    async with controlled(tasks.fake, "http://the-services", tmp_path) as opened:
        control = Control.of(tmp_path)
        assert control == opened
        assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
        arn = await tasks.run("sleep 300")

        def ask(path: str, **said: object) -> Any:
            return asyncio.to_thread(control.ask, path, **said)

        state = await ask("state")
        assert [task["arn"] for task in state["tasks"]] == [arn]
        assert state["calls"]["RunTask"] == 1
        await ask("faults", action="StopTask", code="ServerException", times=1)
        with pytest.raises(tasks.client.exceptions.ServerException):
            await tasks.client.stop_task(task=arn)
        await ask("faults", action="StopTask", code="ServerException", times=1)
        await ask("clear")
        await ask("interrupt", arn=arn)
        await tasks.ended(arn)
        with pytest.raises(urllib.error.HTTPError, match="400"):
            await ask("faults", colour="red")
        foreign = Control(url="", control=control.control, token="guessed")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            await asyncio.to_thread(foreign.ask, "clear")
    with pytest.raises(OSError):  # noqa: PT011  # there is no file any more
        Control.of(tmp_path)
