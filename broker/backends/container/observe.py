"""What is to be seen of one container."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from broker.backends.container.ownership import Owned
from broker.domain.ids import InstanceRef
from broker.domain.instance import Instance, InstanceState
from broker.domain.reason import Reason

_STATES: Final[Mapping[str, InstanceState]] = {
    "created": InstanceState.PENDING,
    "configured": InstanceState.PENDING,
    "initialized": InstanceState.PENDING,
    "restarting": InstanceState.PENDING,
    "running": InstanceState.RUNNING,
    "paused": InstanceState.RUNNING,
    "stopping": InstanceState.STOPPING,
    "removing": InstanceState.STOPPING,
    "stopped": InstanceState.STOPPED,
    "exited": InstanceState.STOPPED,
    "dead": InstanceState.STOPPED,
}
"""Docker's states and podman's; one that is unknown is taken to run, so that nothing is ended for it."""

NEVER_STARTED: Final = frozenset({"created", "configured"})
FINAL: Final = frozenset({"exited", "dead"})
"""States that a container leaves only by being removed, or started again."""

_KILLED: Final = 137
_MIB: Final = 1 << 20
_LINE_LENGTH: Final = 400


def state_of(word: str) -> InstanceState:
    """Ours for an engine's word."""
    return _STATES.get(word.lower(), InstanceState.RUNNING)


def instance_of(ref: InstanceRef, owned: Owned, word: str) -> Instance:
    """A container of a listing."""
    return Instance(ref=ref, state=state_of(word), agent_id=owned.agent_id, attempt=owned.attempt)


def ending_of(told: Mapping[str, Any]) -> tuple[int | None, Reason, str]:
    """Exit code, reason and words for a container that has ended, looked at alone."""
    state = told.get("State", {})
    code = state.get("ExitCode")
    words = _how(state, code, told.get("HostConfig", {}).get("Memory") or 0)
    lived = _lived(state)
    message = f"{words} {lived:.0f} s after its start" if lived is not None else words
    return code, Reason.CONTAINER_EXITED, ": ".join(part for part in (message, state.get("Error")) if part)


def without_secret(lines: tuple[str, ...], told: Mapping[str, Any]) -> tuple[str, ...]:
    """The lines, less what the container was given as its secret; then cut, so that no half of it is left."""
    given = dict(entry.partition("=")[::2] for entry in told.get("Config", {}).get("Env") or ())
    secrets = [given[name] for name in ("JENKINS_SECRET", "SLAVE_NODE_SECRET") if given.get(name)]
    words = list(told.get("Config", {}).get("Cmd") or ())
    secrets += [words[n + 1] for n, word in enumerate(words[:-1]) if word == "-secret"]
    for secret in secrets:
        lines = tuple(line.replace(secret, "***") for line in lines)
    return tuple(line[:_LINE_LENGTH] for line in lines)


def _how(state: Mapping[str, Any], code: int | None, limit: int) -> str:
    """podman never sets OOMKilled; there the kernel's signal and a limit to run into are all that is known."""
    bound = f", its limit is {limit // _MIB} MiB" if limit else ""
    if state.get("OOMKilled"):
        return f"killed (out of memory{bound})"
    if code == _KILLED and limit:
        return f"killed (out of memory{bound}; or by a person)"
    if code == _KILLED:
        return "killed by SIGKILL: by a person, or the machine is out of memory"
    return "ended by itself"


def _lived(state: Mapping[str, Any]) -> float | None:
    begin, end = (_time(state.get(name)) for name in ("StartedAt", "FinishedAt"))
    return max(0.0, (end - begin).total_seconds()) if begin and end else None


def _time(text: object) -> datetime | None:
    """An engine's time, which has nanoseconds; None for the year 1, which is "never"."""
    try:
        time = datetime.fromisoformat(str(text)[:19])
    except ValueError:
        return None
    return time if time.year > 1 else None
