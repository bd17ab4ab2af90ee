"""DescribeInvocationResults and DescribeInvocations."""

import base64

from broker.demo.clouds.alibaba import commands, formats, paging
from broker.demo.clouds.alibaba.assistant import MOST_OUTPUT, Invocation, Run
from broker.demo.clouds.alibaba.region import Region
from broker.demo.clouds.model import Call, Parameters


def describe_results(region: Region, call: Call) -> Parameters:
    """What each run has written so far and how it ended, at most 50 a page; one that is not there has nothing."""
    now, said = region.settle(), call.parameters
    found: list[tuple[Invocation, Run]] = []
    for invocation in region.invocations.values():
        commands.refresh(region, invocation, now)
        if said.get("InvokeId") in (None, invocation.id) and said.get("CommandId") in (None, invocation.command.id):
            found += [(invocation, run) for run in invocation.runs if said.get("InstanceId") in (None, run.instance)]
    found = [pair for pair in found if said.get("InvokeRecordStatus") in (None, _record(pair[1]))]
    shown, told = paging.page(found, said, most=50)
    plain = said.get("ContentEncoding", "Base64") == "PlainText"
    results = [_result(invocation, run, plain=plain) for invocation, run in shown]
    return {"Invocation": {**told, "InvocationResults": {"InvocationResult": results}}}


def _result(invocation: Invocation, run: Run, *, plain: bool) -> Parameters:
    told: Parameters = {
        "InvokeId": invocation.id,
        "CommandId": invocation.command.id,
        "InstanceId": run.instance,
        "InvocationStatus": run.status,
        "InvokeRecordStatus": _record(run),
        "Output": _output(run, plain=plain),
        "Dropped": run.dropped,
        "Repeats": 1,
        "ErrorCode": run.error,
        "ErrorInfo": run.error_words,
        "Username": invocation.username,
        "StartTime": formats.told_exactly(run.begun_at),
        "FinishedTime": _when(run.ended_at),
        "StopTime": _when(run.ended_at if run.status == "Terminated" else None),
        "Tags": {"Tag": [{"TagKey": key, "TagValue": value} for key, value in invocation.tags.items()]},
    }
    return told if run.exit_code is None else {**told, "ExitCode": run.exit_code}


def _record(run: Run) -> str:
    words = {"Success": "Finished", "Terminated": "Stopped"}
    return words.get(run.status, "Failed") if run.is_over else "Running"


def _when(at: float | None) -> str:
    return "" if at is None else formats.told_exactly(at)


def _output(run: Run, *, plain: bool) -> str:
    kept = run.output[-MOST_OUTPUT:]
    return kept.decode(errors="replace") if plain else base64.b64encode(kept).decode()


def describe_invocations(region: Region, call: Call) -> Parameters:
    """The invocations with their runs, at most 50 a page."""
    now, said = region.settle(), call.parameters
    for invocation in region.invocations.values():
        commands.refresh(region, invocation, now)
    found = [
        one
        for one in region.invocations.values()
        if said.get("InvokeId") in (None, one.id)
        and said.get("CommandId") in (None, one.command.id)
        and said.get("CommandName") in (None, one.command.name)
        and said.get("CommandType") in (None, one.command.kind)
        and said.get("InvokeStatus") in (None, one.status)
        and said.get("InstanceId") in (None, *(run.instance for run in one.runs))
    ]
    shown, told = paging.page(found, said, most=50)
    plain = said.get("ContentEncoding", "Base64") == "PlainText"
    each = [_invocation(one, output=said.get("IncludeOutput", False), plain=plain) for one in shown]
    return {**told, "Invocations": {"Invocation": each}}


def _invocation(one: Invocation, *, output: bool, plain: bool) -> Parameters:
    return {
        "InvokeId": one.id,
        "CommandId": one.command.id,
        "CommandName": one.command.name,
        "CommandType": one.command.kind,
        "CommandContent": one.content if plain else base64.b64encode(one.content.encode()).decode(),
        "CreationTime": formats.told_exactly(one.created_at),
        "InvokeStatus": one.status,
        "InvocationStatus": one.status,
        "RepeatMode": "Once",
        "Timeout": one.timeout_s,
        "Username": one.username,
        "WorkingDir": one.directory,
        "InvokeInstances": {"InvokeInstance": [_run(run, output=output, plain=plain) for run in one.runs]},
    }


def _run(run: Run, *, output: bool, plain: bool) -> Parameters:
    told: Parameters = {
        "InstanceId": run.instance,
        "InvocationStatus": run.status,
        "InstanceInvokeStatus": _record(run),
        "StartTime": formats.told_exactly(run.begun_at),
        "FinishTime": _when(run.ended_at),
        "ErrorCode": run.error,
        "ErrorInfo": run.error_words,
        "Dropped": run.dropped,
    }
    told |= {"ExitCode": run.exit_code} if run.exit_code is not None else {}
    return {**told, "Output": _output(run, plain=plain)} if output else told
