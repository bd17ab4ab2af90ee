"""What is to be seen of the agents on one host, out of what `LOOK` printed."""

import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from broker.backends.ssh.look_script import FORMAT, LOOK
from broker.backends.ssh.options import runner_of
from broker.backends.ssh.ownership import INSTALLATION, Ownership, attempt_of, is_name, ref_of
from broker.backends.ssh.shell import lines_of, script_of
from broker.domain.host_order import HostPlace
from broker.domain.ids import AgentId, InstanceRef
from broker.domain.instance import Instance, InstanceState
from broker.domain.reason import Reason

_STATES: Final[Mapping[str, InstanceState]] = {
    "made": InstanceState.PENDING,
    "running": InstanceState.RUNNING,
    "ending": InstanceState.STOPPING,
    "wiping": InstanceState.STOPPING,
    "ended": InstanceState.STOPPED,
}
_OF_CONTAINERS: Final[Mapping[str, InstanceState]] = {
    "created": InstanceState.PENDING,
    "configured": InstanceState.PENDING,
    "initialized": InstanceState.PENDING,
    "restarting": InstanceState.PENDING,
    "stopping": InstanceState.STOPPING,
    "removing": InstanceState.STOPPING,
    "stopped": InstanceState.STOPPED,
    "exited": InstanceState.STOPPED,
    "dead": InstanceState.STOPPED,
}
"""Docker's words and podman's; one that is unknown is taken to run, so that nothing is ended for it."""
_KILLED: Final = 137
_MIB: Final = 1 << 20
_LINES: Final = 20
_LINE: Final = 400
_MOST: Final = 1000
"""So many agents no host has: one that tells of more is not believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """All agents of ours on a host by their names. `broken`: the engine did not say which containers there are."""

    instances: Mapping[str, Instance]
    unsigned: frozenset[str] = frozenset()
    """Those without our signature: somebody has changed their marks."""
    broken: str = ""


@dataclass(slots=True)
class _Entry:
    name: str
    marks: dict[str, str] = field(default_factory=dict)
    state: str = "running"
    code: int | None = None
    lines: list[str] = field(default_factory=list)
    told: list[Any] | None = None


def look_script(place: HostPlace, ownership: Ownership) -> str:
    """See `LOOK`."""
    return script_of(
        LOOK,
        **where(place, ownership),
        label=f"{INSTALLATION}={ownership.installation}",
        format=FORMAT,
    )


def where(place: HostPlace, ownership: Ownership) -> dict[str, str]:
    """Our directory and the engine there: as they were when it was prepared, whatever the config says since."""
    base = place.facts.get("base", "")
    work = base.rpartition("/")[0] or runner_of(place.pool).work_dir
    return {"work": work, "folder": ownership.folder, "engine": place.facts.get("engine", "")}


def understand(output: str, place: HostPlace, ownership: Ownership) -> Looked | None:
    """None if it was not printed to its end, or nobody can understand it."""
    try:
        return _understand(output, place, ownership)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _understand(output: str, place: HostPlace, ownership: Ownership) -> Looked | None:
    entries: list[_Entry] = []
    broken, whole = "", False
    for line in lines_of(output):
        kind, rest = line[:1], line[1:]
        if kind == "@":
            entries.append(_Entry(rest))
        elif kind == "%":
            entries.append(_container(rest, ownership))
        elif line == "=looked":
            whole = True
        elif kind == "!":
            broken = rest.partition(" ")[2][:_LINE]
        elif entries:
            _add(entries[-1], kind, rest)
    if not whole or len(entries) > _MOST:
        return None
    found = [(one, _instance(one, place, ownership)) for one in entries if is_name(one.name)]
    return Looked(
        instances={one.name: instance for one, (instance, _) in found},
        unsigned=frozenset(one.name for one, (_, signed) in found if not signed),
        broken=broken,
    )


def _add(entry: _Entry, kind: str, rest: str) -> None:
    if kind == "=":
        name, _, value = rest.partition("=")
        entry.marks[name] = value
    elif kind == "#":
        entry.state, _, code = rest.partition(" ")
        entry.code = int(code) if code.isdecimal() else None
    elif kind == "|":
        entry.lines.append(rest)


def _container(line: str, ownership: Ownership) -> _Entry:
    told = list(json.loads(line))
    name = str(told[1]).removeprefix("/").removesuffix(f"-{ownership.folder[:8]}")
    return _Entry(name, marks=dict(told[8] or {}), told=told)


def _instance(entry: _Entry, place: HostPlace, ownership: Ownership) -> tuple[Instance, bool]:
    """What it is, and whether it carries our signature."""
    owned = ownership.of(entry.name, place.id, entry.marks)
    ref = ref_of(place.id, entry.name)
    agent_id, attempt = (owned.agent_id, owned.attempt) if owned else (AgentId(""), attempt_of(entry.name))
    if entry.told is not None:
        return _of_container(entry, ref, agent_id, attempt), owned is not None
    state = _STATES.get(entry.state, InstanceState.RUNNING)
    stopped = state is InstanceState.STOPPED
    words = " ".join(entry.lines) if entry.state == "wiping" else ""
    instance = Instance(
        ref=ref,
        state=state,
        agent_id=agent_id,
        attempt=attempt,
        exit_code=entry.code,
        reason=Reason.CONTAINER_EXITED if stopped else None,
        message=_ending_of(entry.code) if stopped else f"cannot be deleted: {words}" if words else "",
        last_lines=_last(entry.lines) if stopped else (),
    )
    return instance, owned is not None


def _of_container(entry: _Entry, ref: InstanceRef, agent_id: AgentId, attempt: int) -> Instance:
    assert entry.told is not None
    word, _, code, killed, limit, began, ended, error, _, env, arguments = entry.told
    state = _OF_CONTAINERS.get(str(word).lower(), InstanceState.RUNNING)
    if state is not InstanceState.STOPPED:
        return Instance(ref=ref, state=state, agent_id=agent_id, attempt=attempt)
    how = _how(bool(killed), code, int(limit or 0))
    lived = _lived(began, ended)
    words = f"{how} {lived:.0f} s after its start" if lived is not None else how
    return Instance(
        ref=ref,
        state=state,
        agent_id=agent_id,
        attempt=attempt,
        exit_code=int(code) if code is not None else None,
        reason=Reason.CONTAINER_EXITED,
        message=": ".join(part for part in (words, str(error or "")[:_LINE]) if part),
        last_lines=_last(_without_secret(entry.lines, env or (), arguments or ())),
    )


def _without_secret(lines: Sequence[str], env: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """The lines, less what the container was given as its secret."""
    given = dict(entry.partition("=")[::2] for entry in env)
    secrets = [given[name] for name in ("JENKINS_SECRET", "SLAVE_NODE_SECRET") if given.get(name)]
    secrets += [arguments[n + 1] for n, word in enumerate(arguments[:-1]) if word == "-secret"]
    shown = list(lines)
    for secret in secrets:
        shown = [line.replace(secret, "***") for line in shown]
    return shown


def _last(lines: Sequence[str]) -> tuple[str, ...]:
    while lines and not lines[-1]:
        lines = lines[:-1]
    return tuple(line[:_LINE] for line in lines[-_LINES:])


def _how(killed: bool, code: object, limit: int) -> str:
    """podman does not always tell who has killed; there the code and a limit to run into are all that is known."""
    bound = f", its limit is {limit // _MIB} MiB" if limit else ""
    if killed:
        return f"killed (out of memory{bound})"
    if code == _KILLED and limit:
        return f"killed (out of memory{bound}; or by a person)"
    if code == _KILLED:
        return "killed by SIGKILL: by a person, or the host is out of memory"
    return "ended by itself"


def _ending_of(code: int | None) -> str:
    if code is None:
        return "the agent was killed with all its processes, or the host was restarted"
    if code <= 128:
        return f"the agent ended by itself with exit code {code}"
    try:
        return f"the agent was ended by {signal.Signals(code - 128).name}"
    except ValueError:
        return f"the agent ended with exit code {code}"


def _lived(began: object, ended: object) -> float | None:
    begin, end = _time(began), _time(ended)
    return max(0.0, (end - begin).total_seconds()) if begin and end else None


def _time(text: object) -> datetime | None:
    """An engine's time, which has nanoseconds; None for the year 1, which is "never"."""
    try:
        time = datetime.fromisoformat(str(text)[:19])
    except ValueError:
        return None
    return time if time.year > 1 else None
