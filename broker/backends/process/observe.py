"""What is to be seen of one agent process, from its directory and /proc."""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from broker.backends.process import procfs
from broker.backends.process.procfs import Census
from broker.backends.process.workplace import Workplace, parse_ref
from broker.domain.instance import Instance, InstanceState
from broker.domain.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the backend knows beside the files: whether it ends the agent, and what the last try to delete it met."""

    is_ending: bool
    wipe_error: BaseException | None
    boot_id: str


def observe(place: Workplace, known: Observation, census: Callable[[], Census]) -> Instance | None:
    """The instance as it is now; None if neither a directory nor a process of it exists.

    `census` is asked only where the files do not tell.
    """
    named = parse_ref(place.ref)
    if named is None:
        return None
    agent_id, attempt = named
    state = _state_of(place, known, census)
    if state is None:
        return None
    stopped = state is InstanceState.STOPPED
    code = place.exit_code() if stopped or known.is_ending else None
    message = f"cannot be deleted: {known.wipe_error}" if known.wipe_error else _ending_of(code) if stopped else ""
    return Instance(
        ref=place.ref,
        state=state,
        agent_id=agent_id,
        attempt=attempt,
        exit_code=code,
        reason=Reason.CONTAINER_EXITED if stopped else None,
        message=message,
        last_lines=place.last_lines(),
    )


def _state_of(place: Workplace, known: Observation, census: Callable[[], Census]) -> InstanceState | None:
    if not place.exists():
        if place.is_wiping():
            return InstanceState.STOPPING
        alive = place.ref in census().marked
        return None if not alive else InstanceState.STOPPING if known.is_ending else InstanceState.RUNNING
    if known.is_ending:
        return InstanceState.STOPPING
    written = place.state()
    if written is not None and written.boot_id == known.boot_id:
        leader = place.leader()
        if leader is not None and procfs.is_alive(leader):
            return InstanceState.RUNNING
        if place.exit_code() is None and place.ref in census().marked:
            # Without a leader: the wrapper is just beginning, or it alone was killed.
            return InstanceState.RUNNING if leader is not None else InstanceState.PENDING
    return InstanceState.STOPPED


def _ending_of(code: int | None) -> str:
    if code is None:
        return "the agent was killed with all its processes, or the machine was restarted"
    if code <= 128:
        return f"the agent ended by itself with exit code {code}"
    try:
        return f"the agent was ended by {signal.Signals(code - 128).name}"
    except ValueError:
        return f"the agent ended with exit code {code}"
