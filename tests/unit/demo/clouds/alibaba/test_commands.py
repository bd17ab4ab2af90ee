"""Cloud Assistant: scripts on instances, without a runner and with one."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.alibaba.instances import Instance
from broker.demo.clouds.alibaba.runner import Ran, Script
from broker.testing.clock import ManualClock
from tests.fake_alibaba import Sdk
from tests.unit.demo.clouds.alibaba.conftest import launched

HELLO = {"Type": "RunShellScript", "CommandContent": base64.b64encode(b"echo hi").decode(), "ContentEncoding": "Base64"}


@pytest.fixture
async def up(api: Sdk, clock: ManualClock) -> str:
    """An instance that runs, and answers."""
    (one,) = await launched(api)
    await clock.advance(20)
    return one


async def result(api: Sdk, invocation: str, **query: Any) -> dict[str, Any]:
    """What is told of the one run of an invocation."""
    told = await api("DescribeInvocationResults", InvokeId=invocation, **query)
    (one,) = told["Invocation"]["InvocationResults"]["InvocationResult"]
    found: dict[str, Any] = one
    return found


async def test_a_script_runs_and_ends(fake: FakeAlibaba, api: Sdk, clock: ManualClock, up: str) -> None:
    fake.ecs.knobs.answers = lambda instance, script: Ran(
        output=f"{script.content} on {instance.id}".encode(), exit_code=0
    )
    made = await api("RunCommand", InstanceId=[up], Timeout=60, Name="hello", **HELLO)
    running = await result(api, made["InvokeId"])
    assert (running["InvocationStatus"], running["InvokeRecordStatus"], "ExitCode" in running) == (
        "Running",
        "Running",
        False,
    )
    await clock.advance(1)
    ended = await result(api, made["InvokeId"])
    assert (ended["InvocationStatus"], ended["ExitCode"]) == ("Success", 0)
    assert base64.b64decode(ended["Output"]) == f"echo hi on {up}".encode()
    plain = await result(api, made["InvokeId"], ContentEncoding="PlainText")
    assert plain["Output"] == f"echo hi on {up}"
    told = await api("DescribeInvocations", InvokeId=made["InvokeId"], IncludeOutput=True)
    (one,) = told["Invocations"]["Invocation"]
    assert (one["InvocationStatus"], one["CommandName"], one["InvokeInstances"]["InvokeInstance"][0]["ExitCode"]) == (
        "Finished", "hello", 0,
    )  # fmt: skip


async def test_a_script_that_fails_tells_its_exit_code(
    fake: FakeAlibaba, api: Sdk, clock: ManualClock, up: str
) -> None:
    fake.ecs.knobs.answers = lambda instance, script: Ran(output=b"no", exit_code=3)
    made = await api("RunCommand", InstanceId=[up], **HELLO)
    await clock.advance(1)
    ended = await result(api, made["InvokeId"])
    assert (ended["InvocationStatus"], ended["ExitCode"], ended["ErrorCode"]) == ("Failed", 3, "ExitCodeNonzero")


async def test_a_script_that_takes_too_long_times_out(fake: FakeAlibaba, api: Sdk, clock: ManualClock, up: str) -> None:
    fake.ecs.timing.command_s = 100
    made = await api("RunCommand", InstanceId=[up], Timeout=10, **HELLO)
    await clock.advance(10)
    ended = await result(api, made["InvokeId"])
    assert (ended["InvocationStatus"], ended["ErrorCode"]) == ("Timeout", "TaskTimeout")
    assert ended["FinishedTime"] == "2026-01-01T00:00:30Z"


async def test_an_instance_that_goes_ends_its_scripts(fake: FakeAlibaba, api: Sdk, up: str) -> None:
    made = await api("RunCommand", InstanceId=[up], **HELLO)
    fake.ecs.vanish(up)
    ended = await result(api, made["InvokeId"])
    assert (ended["InvocationStatus"], ended["ErrorCode"]) == ("Failed", "InstanceReleased")


async def test_an_instance_that_does_not_answer_runs_nothing(api: Sdk, clock: ManualClock) -> None:
    (one,) = await launched(api)
    early = await api("RunCommand", InstanceId=[one], **HELLO)
    assert (await result(api, early["InvokeId"]))["ErrorCode"] == "InstanceNotRunning"
    await clock.advance(11)
    status = await api("DescribeCloudAssistantStatus", InstanceId=[one])
    (told,) = status["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"]
    assert (told["InstanceId"], told["CloudAssistantStatus"]) == (one, "false")
    still = await api("RunCommand", InstanceId=[one], **HELLO)
    assert (await result(api, still["InvokeId"]))["ErrorCode"] == "ClientNotRunning"
    await clock.advance(5)
    status = await api("DescribeCloudAssistantStatus", InstanceId=[one])
    assert (
        status["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"][0]["CloudAssistantStatus"] == "true"
    )


async def test_a_command_that_is_kept_is_invoked_again_with_other_words(
    fake: FakeAlibaba, api: Sdk, clock: ManualClock, up: str
) -> None:
    fake.ecs.knobs.answers = lambda instance, script: Ran(output=script.content.encode(), exit_code=0)
    made = await api("CreateCommand", Type="RunShellScript", CommandContent="echo {{ who }}", EnableParameter=True)
    run = await api("InvokeCommand", CommandId=made["CommandId"], InstanceId=[up], Parameters={"who": "me"})
    await clock.advance(1)
    assert (await result(api, run["InvokeId"], ContentEncoding="PlainText"))["Output"] == "echo me"
    for said, code in (
        ({"Parameters": {"whom": "me"}}, "Parameter.NotMatched"),
        ({"CommandId": "c-gone"}, "InvalidCmdId.NotFound"),
    ):
        asked = {"CommandId": made["CommandId"], "InstanceId": [up], **said}
        assert (await api.refused("InvokeCommand", **asked)).code == code
    once = await api("RunCommand", InstanceId=[up], **HELLO)
    gone = await api.refused("InvokeCommand", CommandId=once["CommandId"], InstanceId=[up])
    assert gone.code == "InvalidCmdId.NotFound"
    kept = await api("RunCommand", InstanceId=[up], KeepCommand=True, **HELLO)
    assert await api("InvokeCommand", CommandId=kept["CommandId"], InstanceId=[up])


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"Type": "RunCobol"}, "InvalidParam.Type"),
        ({"CommandContent": "not base64!"}, "InvalidParam.CommandContent"),
        ({"CommandContent": base64.b64encode(b"x" * 18433).decode()}, "CmdContent.ExceedLimit"),
        ({"Timeout": 9}, "InvalidParam.Timeout"),
        ({"Name": "x" * 129}, "InvalidParam.Name"),
        ({"InstanceId": []}, "MissingParameter"),
        ({"InstanceId": ["i-gone"]}, "InvalidInstance.NotFound"),
        ({"InstanceId": [f"i-{number}" for number in range(101)]}, "InvalidParameter"),
        ({"Parameters": {"a": "b"}}, "Parameter.Disabled"),
        ({"RepeatMode": "Always"}, "InvalidParam.RepeatMode"),
        ({"RepeatMode": "DryRun"}, "DryRunOperation"),
    ],
)
async def test_a_script_that_cannot_be_run_is_refused(
    fake: FakeAlibaba, api: Sdk, up: str, said: dict[str, Any], code: str
) -> None:
    assert (await api.refused("RunCommand", **{"InstanceId": [up], **HELLO, **said})).code == code
    assert (await api("DescribeInvocations"))["TotalCount"] == 0


async def test_the_same_token_runs_a_script_once(api: Sdk, up: str) -> None:
    first = await api("RunCommand", InstanceId=[up], ClientToken="t", **HELLO)
    again = await api("RunCommand", InstanceId=[up], ClientToken="t", **HELLO)
    assert first["InvokeId"] == again["InvokeId"]
    assert (await api("DescribeInvocationResults"))["Invocation"]["TotalCount"] == 1


async def test_output_is_kept_up_to_a_bound(fake: FakeAlibaba, api: Sdk, clock: ManualClock, up: str) -> None:
    fake.ecs.knobs.answers = lambda instance, script: Ran(output=b"x" * 30_000 + b"end", exit_code=0)
    made = await api("RunCommand", InstanceId=[up], **HELLO)
    await clock.advance(1)
    told = await result(api, made["InvokeId"])
    kept = base64.b64decode(told["Output"])
    assert (len(kept), kept[-3:], told["Dropped"]) == (24576, b"end", 30003 - 24576)


class Inside:
    """A runner in which a script writes a word each time that somebody looks, until it is killed."""

    def __init__(self) -> None:
        self.killed: list[str] = []
        self.ran: list[Script] = []

    def began(self, instance: Instance) -> None: ...

    def ended(self, instance: Instance) -> None: ...

    def console(self, instance: Instance) -> str:
        return "-----BEGIN SSH HOST KEY FINGERPRINTS-----"

    def is_reachable(self, instance: Instance) -> bool:
        return True

    def run_command(self, instance: Instance, script: Script) -> Callable[[], Ran]:
        self.ran.append(script)
        words: list[bytes] = []

        def look() -> Ran:
            words.append(b"word ")
            return Ran(output=b"".join(words))

        return look

    def stop_command(self, instance: Instance, invocation: str) -> None:
        self.killed.append(invocation)


async def test_a_runner_runs_scripts_and_is_told_to_stop_them(fake: FakeAlibaba, api: Sdk, up: str) -> None:
    fake.ecs.runner = runner = Inside()
    made = await api("RunCommand", InstanceId=[up], Username="ci", WorkingDir="/home/ci", Timeout=600, **HELLO)
    (script,) = runner.ran
    assert (script.content, script.username, script.directory, script.timeout_s) == ("echo hi", "ci", "/home/ci", 600)
    assert [base64.b64decode((await result(api, made["InvokeId"]))["Output"]) for _ in range(2)] == [
        b"word ",
        b"word word ",
    ]
    await api("StopInvocation", InvokeId=made["InvokeId"], InstanceId=[up])
    assert runner.killed == [made["InvokeId"]]
    ended = await result(api, made["InvokeId"])
    assert (ended["InvocationStatus"], ended["InvokeRecordStatus"]) == ("Terminated", "Stopped")
    assert (await api.refused("StopInvocation", InvokeId="t-gone")).code == "InvalidInvokeId.NotFound"
    console = await api("GetInstanceConsoleOutput", InstanceId=up)
    assert base64.b64decode(console["ConsoleOutput"]) == b"-----BEGIN SSH HOST KEY FINGERPRINTS-----"


async def test_parameters_go_as_json(api: Sdk, up: str) -> None:
    asked = {
        "RegionId": "cn-hangzhou", "Type": "RunShellScript", "CommandContent": "echo {{a}}", "EnableParameter": "true",
        "InstanceId.1": up,
    }  # fmt: skip
    assert await api.raw("RunCommand", "2014-05-26", Parameters=json.dumps({"a": "b"}), **asked)
