"""CreateCommand, RunCommand, InvokeCommand, StopInvocation, DescribeCloudAssistantStatus."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from broker.demo.clouds.alibaba import errors, formats, paging
from broker.demo.clouds.alibaba.assistant import Command, Invocation, Run
from broker.demo.clouds.alibaba.instances import Instance, Status
from broker.demo.clouds.alibaba.region import Region
from broker.demo.clouds.alibaba.runner import Ran, Script
from broker.demo.clouds.model import ApiError, Call, Parameters

_KINDS: Final = "RunShellScript RunPythonScript RunBatScript RunPowerShellScript"
_MOST_CONTENT: Final = 24 * 1024
_PARAMETER: Final = re.compile(r"\{\{\s*([A-Za-z0-9_-]+)\s*\}\}")


def create_command(region: Region, call: Call) -> Parameters:
    """One more, that InvokeCommand may run."""
    now, said = region.settle(), call.parameters
    if (again := region.tokens.answer("CreateCommand", said, now)) is not None:
        return again
    command = _command(region, said, now)
    region.commands[command.id] = command
    return region.tokens.keep("CreateCommand", said, now, {"CommandId": command.id})


def run_command(region: Region, call: Call) -> Parameters:
    """A command that is made and run at once."""
    now, said = region.settle(), call.parameters
    if (again := region.tokens.answer("RunCommand", said, now)) is not None:
        return again
    command = _command(region, said, now)
    command.kept = said.get("KeepCommand", False)
    invocation = _invoke(region, command, said, now)
    if command.kept:
        region.commands[command.id] = command
    return region.tokens.keep("RunCommand", said, now, {"CommandId": command.id, "InvokeId": invocation.id})


def invoke_command(region: Region, call: Call) -> Parameters:
    """A command that is there is run."""
    now, said = region.settle(), call.parameters
    if (again := region.tokens.answer("InvokeCommand", said, now)) is not None:
        return again
    command = region.commands.get(said["CommandId"])
    if command is None:
        raise ApiError("InvalidCmdId.NotFound", "The specified command ID does not exist.", 404)
    invocation = _invoke(region, command, said, now)
    return region.tokens.keep("InvokeCommand", said, now, {"InvokeId": invocation.id})


def _command(region: Region, said: Mapping[str, Any], now: float) -> Command:
    formats.check_choice("Type", said["Type"], _KINDS, "InvalidParam.Type", 403)
    text = said["CommandContent"]
    if said.get("ContentEncoding", "PlainText").lower() == "base64":
        try:
            content = base64.b64decode(text, validate=True).decode()
        except (ValueError, binascii.Error):
            raise errors.invalid("CommandContent", "InvalidParam.CommandContent", 403) from None
    else:
        content = text
    if len(base64.b64encode(content.encode())) > _MOST_CONTENT:
        message = "The maximum length of a command is exceeded."
        raise ApiError("CmdContent.ExceedLimit", message, 403)
    if len(said.get("Name", "")) > 128:
        raise errors.invalid("Name", "InvalidParam.Name", 403)
    return Command(
        id=region.world.fresh("c"),
        name=said.get("Name", ""),
        kind=said["Type"],
        content=content,
        timeout_s=_timeout(said.get("Timeout", 60)),
        directory=said.get("WorkingDir", ""),
        parametric=said.get("EnableParameter", False),
        created_at=now,
        description=said.get("Description", ""),
    )


def _timeout(seconds: int) -> int:
    if not 10 <= seconds <= 86400:
        raise errors.invalid("Timeout", "InvalidParam.Timeout", 403)
    return seconds


def _invoke(region: Region, command: Command, said: Mapping[str, Any], now: float) -> Invocation:
    ids = list(dict.fromkeys(said.get("InstanceId", ())))
    if not ids:
        raise errors.missing("InstanceId")
    if len(ids) > 100:
        raise ApiError("InvalidParameter", 'The specified parameter "InstanceId" has more than 100 items.')
    instances = [region.instances.get(one) for one in ids]
    if any(one is None or one.ending for one in instances):
        raise ApiError("InvalidInstance.NotFound", "The specified instance does not exist.", 404)
    formats.check_choice("RepeatMode", said.get("RepeatMode"), "Once DryRun", "InvalidParam.RepeatMode", 403)
    content = _filled(command, said.get("Parameters"))
    tags = formats.tags(said.get("Tag"))
    if said.get("RepeatMode") == "DryRun":
        raise errors.dry_run()
    invocation = Invocation(
        id=region.world.fresh("t"),
        command=command,
        content=content,
        username=said.get("Username", ""),
        timeout_s=_timeout(said.get("Timeout", command.timeout_s)),
        directory=said.get("WorkingDir", command.directory),
        created_at=now,
        tags=tags,
    )
    region.invocations[invocation.id] = invocation
    invocation.runs = [_begin(region, invocation, one, now) for one in instances if one is not None]
    return invocation


def _filled(command: Command, text: str | None) -> str:
    if text is None:
        return command.content
    if not command.parametric:
        message = "Parameters cannot be passed in when the command customization function is disabled."
        raise ApiError("Parameter.Disabled", message, 404)
    try:
        given = json.loads(text)
    except ValueError:
        raise errors.invalid("Parameters") from None
    if not isinstance(given, dict):
        raise errors.invalid("Parameters")
    if len(given) > 20:
        raise ApiError("ParameterCount.ExceedLimit", "The maximum number of parameters is exceeded.", 403)
    if set(given) - {*_PARAMETER.findall(command.content)}:
        message = "The passed-in parameters do not match the parameters defined when you created the command."
        raise ApiError("Parameter.NotMatched", message, 403)
    return _PARAMETER.sub(lambda found: str(given.get(found[1], "")), command.content)


def is_reachable(region: Region, instance: Instance, now: float) -> bool:
    """Whether the agent inside answers."""
    if instance.status is not Status.RUNNING or instance.started_at is None:
        return False
    if region.runner:
        return region.runner.is_reachable(instance)
    return now >= instance.started_at + region.drawn(region.knobs.timing.assistant_s)


def _begin(region: Region, invocation: Invocation, instance: Instance, now: float) -> Run:
    run = Run(instance=instance.id, begun_at=now)
    if instance.status is not Status.RUNNING:
        run.end("Failed", now, error="InstanceNotRunning", words="The instance is not running.")
    elif not is_reachable(region, instance, now):
        run.end("Failed", now, error="ClientNotRunning", words="The Cloud Assistant Agent is not running.")
    else:
        script = Script(
            invocation=invocation.id,
            kind=invocation.command.kind,
            content=invocation.content,
            timeout_s=invocation.timeout_s,
            username=invocation.username,
            directory=invocation.directory,
        )
        run.look = _runs(region, instance, script, now)
        region.later(now + invocation.timeout_s, partial(_time_out, region, invocation, run))
    return run


def _runs(region: Region, instance: Instance, script: Script, now: float) -> Callable[[], Ran]:
    if region.runner:
        return region.runner.run_command(instance, script)
    ends_at = now + region.drawn(region.knobs.timing.command_s)
    ran = region.knobs.answers(instance, script)
    return lambda: ran if region.world.now() >= ends_at else Ran()


def refresh(region: Region, invocation: Invocation, now: float) -> None:
    """Brings the runs of an invocation to the present."""
    for run in invocation.runs:
        if run.look is None:
            continue
        instance = region.instances.get(run.instance)
        if instance is None or instance.status is not Status.RUNNING:
            run.end("Failed", now, error="InstanceReleased", words="The instance was released or stopped meanwhile.")
            continue
        ran = run.look()
        run.output = ran.output
        if ran.exit_code is not None:
            run.exit_code = ran.exit_code
            if ran.exit_code == 0:
                run.end("Success", now)
            else:
                run.end("Failed", now, error="ExitCodeNonzero", words="The command exits with a nonzero code.")


def _time_out(region: Region, invocation: Invocation, run: Run, at: float) -> None:
    refresh(region, invocation, at)
    if not run.is_over:
        _kill(region, invocation, run)
        run.end("Timeout", at, error="TaskTimeout", words="The command has timed out.")


def _kill(region: Region, invocation: Invocation, run: Run) -> None:
    instance = region.instances.get(run.instance)
    if region.runner and instance is not None:
        region.runner.stop_command(instance, invocation.id)


def stop_invocation(region: Region, call: Call) -> Parameters:
    """What still runs of it is killed; on all its instances, or on those that are named."""
    now, said = region.settle(), call.parameters
    invocation = region.invocations.get(said["InvokeId"])
    if invocation is None:
        raise ApiError("InvalidInvokeId.NotFound", "The specified invoke ID does not exist.", 404)
    refresh(region, invocation, now)
    for run in invocation.runs:
        if not run.is_over and run.instance in said.get("InstanceId", [run.instance]):
            _kill(region, invocation, run)
            run.end("Terminated", now, error="TaskTerminated", words="The command was stopped.")
    return {}


def describe_status(region: Region, call: Call) -> Parameters:
    """Whether Cloud Assistant answers, instance by instance, at most 50 a page."""
    now, said = region.settle(), call.parameters
    if len(said.get("InstanceId", ())) > 50:
        raise ApiError("InvalidParameter", 'The specified parameter "InstanceId" has more than 50 items.')
    found = [
        one
        for one in region.instances.values()
        if ("InstanceId" not in said or one.id in said["InstanceId"])
        and said.get("OSType") in (None, "Windows" if one.image.is_windows else "Linux")
    ]
    shown, told = paging.page(found, said, most=50)
    each = [_status(region, one, now) for one in shown]
    return {**told, "InstanceCloudAssistantStatusSet": {"InstanceCloudAssistantStatus": each}}


def _status(region: Region, one: Instance, now: float) -> Parameters:
    answers = is_reachable(region, one, now)
    runs = [run for each in region.invocations.values() for run in each.runs if run.instance == one.id]
    told: Parameters = {
        "InstanceId": one.id,
        "OSType": "Windows" if one.image.is_windows else "Linux",
        "CloudAssistantStatus": str(answers).lower(),
        "InvocationCount": len(runs),
        "ActiveTaskCount": sum(not run.is_over for run in runs),
    }
    if answers:
        told |= {"CloudAssistantVersion": "2.2.3.857", "LastHeartbeatTime": formats.told_exactly(now)}
    return told
