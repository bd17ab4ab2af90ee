"""Whether the broker's credentials may do what the config needs: IAM says what it would decide, nothing is tried."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from broker.backends.aws_ecs.iam import Place, Statement, needed, roles
from broker.backends.aws_ecs.used import Used
from broker.doctor.aws_ask import DENIED, Cloud, Refused
from broker.doctor.report import Report, Skipped, Wrong

_SIMULATE: Final = "iam:SimulatePrincipalPolicy"
_PASS: Final = "iam:PassRole"  # noqa: S105 -- an action
_WHY: Final[Mapping[str, str]] = {
    "ecs:DeregisterTaskDefinition": "old revisions stay",
    "ecs:DescribeContainerInstances": "the room of the instances is not known",
    "ecs:ListContainerInstances": "the room of the instances is not known",
    "ecs:ListTaskDefinitions": "old revisions stay",
    "ecs:ListTasks": "orphans are not found",
    "ecs:TagResource": "no task can be started, since each is tagged",
    "ec2:DescribeSubnets": "subnets stand for zones",
    "logs:GetLogEvents": "the last lines of a task that failed are not shown",
}


async def check_rights(cloud: Cloud, used: Used, place: Place, arn: str) -> str:
    """All that the config needs is allowed, but roles: they are asked for one by one."""
    me = principal(used, arn)
    statements = [one for one in needed(used, place, doctor=False) if _PASS not in one.actions]
    denied = dict[str, str]()
    for statement in statements:
        denied |= await _denied(cloud, me, statement)
    if denied:
        told = "; ".join(
            f"{action} {how}" + (f" ({_WHY[action]})" if action in _WHY else "") for action, how in denied.items()
        )
        raise Wrong(told, f"allow it: agentbroker iam aws --backend {used.name} prints the policy")
    count = len({action for statement in statements for action in statement.actions})
    return f"{count} actions allowed"


async def check_roles(cloud: Cloud, used: Used, place: Place, arn: str, report: Report) -> None:
    """Each role that tasks are given may be passed; no check where there is none."""
    if roles(used):
        await report.check("roles", _roles(cloud, used, place, arn))


async def _roles(cloud: Cloud, used: Used, place: Place, arn: str) -> str:
    me = principal(used, arn)
    for role in roles(used):
        if (account := role.split(":")[4]) != place.account:
            raise Wrong(
                f"{role} is of account {account}, tasks run in {place.account}", f"look at {_key_of(used, role)}"
            )
    for statement in needed(used, place, doctor=False):
        if _PASS in statement.actions:
            for role in statement.resources:
                one = Statement(sid="", actions=statement.actions, resources=(role,), equal=statement.equal)
                if await _denied(cloud, me, one):
                    hint = f"allow {_PASS} on it: agentbroker iam aws --backend {used.name}"
                    raise Wrong(f"{role} may not be passed to tasks", hint)
    names = ", ".join(role.rpartition("/")[2] for role in roles(used))
    return f"{names} may be passed to tasks"


def _key_of(used: Used, role: str) -> str:
    for name, pool in used.pools.items():
        for key in ("execution_role_arn", "task_role_arn"):
            if getattr(pool, key) == role:
                return f"pools.{name}.{key}"
    found = [name for name, task in used.tasks.items() if role in {str(value) for value in task.task.values()}]
    return f"templates.{found[0]}.ecs" if found else "the config"


def principal(used: Used, arn: str) -> str:
    """Whose policies IAM is to look at: a session's are its role's. Skipped for whom IAM has none."""
    chain = used.options.assume_role_arn
    if chain:
        return chain[-1].role_arn
    head, mark, session = arn.partition(":assumed-role/")
    if mark:
        return f"{head.replace(':sts:', ':iam:')}:role/{session.partition('/')[0]}"
    if ":user/" not in arn:
        raise Skipped(f"not checkable for {arn}", "")
    return arn


async def _denied(cloud: Cloud, me: str, statement: Statement) -> dict[str, str]:
    asked: dict[str, Any] = {
        "PolicySourceArn": me,
        "ActionNames": list(statement.actions),
        "ResourceArns": [_example(resource) for resource in statement.resources],
        "ContextEntries": [
            {"ContextKeyName": key, "ContextKeyValues": [values[0]], "ContextKeyType": "string"}
            for key, values in statement.equal.items()
        ],
    }
    if statement.resources == ("*",):
        del asked["ResourceArns"]
    try:
        results: Sequence[Mapping[str, Any]] = await cloud.pages(_SIMULATE, "EvaluationResults", asked)
    except Refused as refused:
        if refused.code in DENIED:
            raise Skipped(f"not checkable: {_SIMULATE} is not allowed", refused.hint) from refused
        if refused.code in {"NoSuchEntity", "InvalidInput"}:
            raise Skipped(f"not checkable: {refused.message}", "") from refused
        raise
    return {
        str(one["EvalActionName"]): "is denied" if one["EvalDecision"] == "explicitDeny" else "is not allowed"
        for one in results
        if one["EvalDecision"] != "allowed"
    }


def _example(resource: str) -> str:
    """One resource that a pattern stands for: IAM decides about things, not about patterns."""
    return resource.replace("-*:*", "-doctor:1").replace(":*", ":1").replace("*", "doctor")
