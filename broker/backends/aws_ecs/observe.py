"""What is to be seen of one task: `Task` of DescribeTasks as an `Instance`.

States are those of the developer guide ("Task lifecycle"); stopped reasons and container reasons those of "Viewing
stopped task errors". A task whose agent container has ended has ended, though its network is still taken down.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from broker.backends.aws_ecs.errors import of_failure
from broker.backends.aws_ecs.ownership import Owned
from broker.domain.ids import InstanceRef
from broker.domain.instance import Instance, InstanceState, Interruption, Times
from broker.domain.reason import Reason

Task = Mapping[str, Any]

_STATES: Final[Mapping[str, InstanceState]] = {
    "PROVISIONING": InstanceState.PENDING,
    "PENDING": InstanceState.PENDING,
    "ACTIVATING": InstanceState.PENDING,
    "RUNNING": InstanceState.RUNNING,
    "DEACTIVATING": InstanceState.STOPPING,
    "STOPPING": InstanceState.STOPPING,
    "DEPROVISIONING": InstanceState.STOPPING,
    "STOPPED": InstanceState.STOPPED,
    "DELETED": InstanceState.STOPPED,
}
"""A state that is unknown is taken to run, so that nothing is ended for it."""

_TAKEN_BACK: Final = frozenset({"SpotInterruption", "TerminationNotice", "InfrastructureHealth"})
_NOTICE: Final = timedelta(minutes=2)
"""AWS, "Fargate Spot termination notices" and "Amazon EC2 Spot Instances": two minutes."""
_KILLED: Final = 137
_OUT_OF_MEMORY: Final = re.compile(r"OutOfMemory|out of memory", re.IGNORECASE)

_RATE: Final = r"toomanyrequests|429 too many requests|rate limit|rate exceeded"
_UNREACHED: Final = (
    r"i/o timeout|context deadline exceeded|handshake timeout|connection (refused|reset)|no such host|no route"
)
"""Of Go's net package, as containerd passes it on: the registry was not reached, and may be from elsewhere."""
_STOPPED: Final[tuple[tuple[str, Reason], ...]] = (
    (rf"CannotPull\w*Error.*({_RATE})", Reason.THROTTLED),
    (rf"CannotPull\w*Error.*({_UNREACHED})", Reason.NETWORK_UNAVAILABLE),
    (r"CannotPull\w*Error|image .*not found in .*registry|pull image manifest", Reason.IMAGE_PULL_FAILED),
    (r"unable to (pull|retrieve) (secrets?|ecr registry auth)", Reason.SECRETS_UNAVAILABLE),
    (r"failed to fetch secret|SecretsManager", Reason.SECRETS_UNAVAILABLE),
    (r"network interface|\bENI\b|InsufficientFreeAddresses", Reason.NETWORK_UNAVAILABLE),
    (r"unable to assume the role", Reason.INVALID_TEMPLATE),
    (r"spot task was interrupted|spot interruption", Reason.SPOT_INTERRUPTED),
    (r"^Host EC2 .*(terminated|stopped)", Reason.HOST_VANISHED),
    (r"CannotStartContainerError|CannotCreateContainerError.*(executable|no such file)", Reason.INVALID_TEMPLATE),
    (r"executable file not found|exec format error|no such file or directory: unknown", Reason.INVALID_TEMPLATE),
    (r"ResourceInitializationError|CannotCreate\w*Error|CannotInspect\w*Error", Reason.SETUP_FAILED),
    (r"RuntimeTimeoutError", Reason.SETUP_FAILED),
    (r"InternalError|DockerStateError", Reason.BACKEND_ERROR),
)  # fmt: skip
"""In the task's stopped reason or a container's reason, of a task that did not start. The first that fits counts."""


def instance_of(task: Task, owned: Owned, container: str = "") -> Instance:
    """One observation; `container` is the agent's, told by the task where nobody knows its name."""
    container = container or agent_name(task)
    seen = Instance(
        ref=InstanceRef(str(task["taskArn"])),
        state=state_of(task, container),
        agent_id=owned.agent_id,
        attempt=owned.attempt,
        interruption=interruption_of(task),
        times=times_of(task),
    )
    if seen.state is not InstanceState.STOPPED:
        return seen
    code, reason, message = ending_of(task, container)
    return replace(seen, exit_code=code, reason=reason, message=message)


def state_of(task: Task, container: str = "") -> InstanceState:
    """Ours for the task's own, and for what is told of its agent's container."""
    state = _STATES.get(str(task.get("lastStatus", "")), InstanceState.RUNNING)
    if state is InstanceState.STOPPED:
        return state
    if task.get("stopCode") == "TaskFailedToStart" or agent_of(task, container).get("lastStatus") == "STOPPED":
        return InstanceState.STOPPED
    if task.get("desiredStatus") == "STOPPED" and interruption_of(task) is None:
        return InstanceState.STOPPING
    return state


def is_over(task: Task) -> bool:
    """Whether nothing of it is left to end or to pay for."""
    return task.get("lastStatus") in {"STOPPED", "DELETED"}


def is_ending(task: Task) -> bool:
    """Whether it ends without being asked again."""
    return is_over(task) or task.get("desiredStatus") == "STOPPED"


def agent_of(task: Task, container: str = "") -> Task:
    """The agent's container in a task's own words; the first one without a name, empty if there is none yet."""
    containers: Sequence[Task] = task.get("containers") or ()
    named = [one for one in containers if one.get("name") == container] if container else containers
    return named[0] if named else {}


def agent_name(task: Task) -> str:
    """The agent's container, known again by what its launch has told it alone; empty if the task does not say."""
    overrides: Sequence[Task] = task.get("overrides", {}).get("containerOverrides") or ()
    return next((str(one.get("name")) for one in overrides if one.get("environment") or one.get("command")), "")


def interruption_of(task: Task) -> Interruption | None:
    """The cloud's notice that it takes the task back, while it still runs."""
    if task.get("stopCode") not in _TAKEN_BACK or is_over(task):
        return None
    told = _moment(task, "stoppingAt")
    if told is None:
        return None
    words = str(task.get("stoppedReason") or task["stopCode"])
    return Interruption(at=told + _NOTICE, message=words)


def with_notice(task: Task, before: Task | None, now: datetime) -> Task:
    """A task that is taken back, with the time at which that began: where AWS tells none, when it was first seen."""
    if task.get("stopCode") not in _TAKEN_BACK or task.get("stoppingAt") or is_over(task):
        return task
    return {**task, "stoppingAt": (before or {}).get("stoppingAt") or now}


def times_of(task: Task) -> Times:
    """When it came to each step, as far as it is told."""
    return Times(
        created=_moment(task, "createdAt"),
        pull_started=_moment(task, "pullStartedAt"),
        pull_stopped=_moment(task, "pullStoppedAt"),
        started=_moment(task, "startedAt"),
        stopping=_moment(task, "stoppingAt"),
        stopped=_moment(task, "stoppedAt"),
    )


def ending_of(task: Task, container: str = "") -> tuple[int | None, Reason, str]:
    """Exit code, reason and the cloud's words of a task that has ended."""
    agent = agent_of(task, container)
    code: int | None = agent.get("exitCode")
    told = _told(task, agent)
    reason = _reason(task, code, told)
    words = [str(task.get("stopCode") or ""), *told]
    if code == _KILLED and not _OUT_OF_MEMORY.search(" ".join(told)):
        words.append("killed by SIGKILL: out of memory, or stopped from outside")
    lived = _lived(task)
    if lived is not None:
        words.append(f"{lived:.0f} s after its start")
    return code, reason, "; ".join(word for word in words if word)


def _told(task: Task, agent: Task) -> list[str]:
    """The task's reason, the agent's container's, then those of other containers that failed."""
    others = [one for one in task.get("containers") or () if one is not agent]
    failed = [f"container {one.get('name')}: {_how(one)}" for one in others if one.get("reason") or one.get("exitCode")]
    found = (str(task.get("stoppedReason") or ""), str(agent.get("reason") or ""), *failed)
    return list(dict.fromkeys(word for word in found if word))


def _how(container: Task) -> str:
    code = f"exit code {container['exitCode']}" if container.get("exitCode") is not None else ""
    return ", ".join(part for part in (code, str(container.get("reason") or "")) if part)


def _reason(task: Task, code: int | None, told: Sequence[str]) -> Reason:
    stop, text = str(task.get("stopCode") or ""), "\n".join(told)
    if stop in _TAKEN_BACK:
        return Reason.SPOT_INTERRUPTED
    if stop == "UserInitiated":
        return Reason.INSTANCE_VANISHED
    if stop == "TaskFailedToStart" or (code is None and stop != "EssentialContainerExited"):
        failure = of_failure(str(task.get("stoppedReason") or ""), capacity=str(task.get("capacityProviderName") or ""))
        if failure.reason is not Reason.BACKEND_ERROR:
            return failure.reason
        return _why_not_run(text) or Reason.BACKEND_ERROR
    return (_why_not_run(text) if code is None else None) or Reason.CONTAINER_EXITED


def _why_not_run(text: str) -> Reason | None:
    return next((reason for words, reason in _STOPPED if re.search(words, text, re.IGNORECASE | re.DOTALL)), None)


def _lived(task: Task) -> float | None:
    begin = _moment(task, "startedAt")
    end = _moment(task, "executionStoppedAt") or _moment(task, "stoppedAt") or _moment(task, "stoppingAt")
    return max(0.0, (end - begin).total_seconds()) if begin and end else None


def _moment(task: Task, name: str) -> datetime | None:
    told = task.get(name)
    return told.astimezone(UTC) if isinstance(told, datetime) else None
