"""Agents on hosts: gets hosts ready, starts agents there, watches and ends them. Shared by all that make hosts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from broker.backends.ssh import launching
from broker.backends.ssh.containers import container_of
from broker.backends.ssh.look_script import END, FIND, REMOVER, WIPE
from broker.backends.ssh.looking import where
from broker.backends.ssh.ownership import LAUNCH, Ownership, attempt_of, is_name, name_of, parse_ref, ref_of
from broker.backends.ssh.preparations import Preparations
from broker.backends.ssh.shell import lines_of, script_of
from broker.backends.ssh.transport import HostUnreachable, Transport
from broker.backends.ssh.trust import Trust
from broker.backends.ssh.watching import Pace, View, Watching
from broker.domain.host_order import HostPlace, Prepared, Preparing
from broker.domain.ids import AgentId, HostId, InstanceRef
from broker.domain.instance import Instance, InstanceState, LaunchKey, Listing
from broker.domain.reason import Reason
from broker.errors import BackendRejected, OutcomeUnknown
from broker.ports import Clock, LaunchSpec

_LIMIT_S: Final = 20.0
_GRACE_S: Final = 5
"""Between SIGTERM and SIGKILL."""
_UNSURE_S: Final = 20.0
"""So long after a launch whose answer nobody heard, "there is none" may still become untrue."""


class HostAgents:
    """The part of a `ports.HostBackend` that happens on its hosts. All methods may be repeated; `BackendError`s only.

    An agent's reference is `HOST/NAME-ATTEMPT`. A template with an image is a container, any other a process.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        ownership: Ownership,
        place_of: Callable[[str], HostPlace | None],
        transport: Transport,
        trust: Trust,
        pace: Pace | None = None,
    ) -> None:
        """Owns the transport. `place_of` answers None for a host that is gone, and with it all that ran there."""
        self._clock = clock
        self._ownership = ownership
        self._place_of = place_of
        self._transport = transport
        self._watching = Watching(clock, transport, ownership, pace or Pace())
        self._preparations = Preparations(clock, transport, trust, ownership.folder)
        self._unsure: dict[str, float] = {}

    async def prepare(self, place: HostPlace) -> Prepared | Preparing:
        """Gets a host ready beside the call. BackendRejected: it cannot become ready, with the reason."""
        return self._preparations.ask(place)

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """Starts the agent on `spec.place`. OutcomeUnknown if the way there broke; Throttled if nothing was sent."""
        place = spec.place or self._place_of(spec.key.host)
        if place is None:
            raise BackendRejected("HostGone", f"host {spec.key.host} is gone", Reason.HOST_VANISHED)
        script, stdin = launching.script_and_input(spec, place, self._ownership)
        launch = self._ownership.launch_id(spec.key)
        self._note_unsure(launch)
        try:
            ran = await self._transport.run(place, script, stdin=stdin, limit_s=launching.LIMIT_S)
        except HostUnreachable as error:
            raise launching.unheard(error) from error
        except BackendRejected:
            self._unsure.pop(launch, None)
            raise
        finally:
            self._watching.stir(place.id)
        failed = launching.failure(ran, spec)
        if not isinstance(failed, OutcomeUnknown):
            self._unsure.pop(launch, None)
        if failed is not None:
            raise failed
        return ref_of(place.id, name_of(spec.key, spec.name))

    async def locate(self, key: LaunchKey) -> InstanceRef | None:
        """The agent of this key on `key.host`; OutcomeUnknown while the host cannot say."""
        place = self._place_of(key.host)
        if place is None:
            return None
        launch = self._ownership.launch_id(key)
        script = script_of(FIND, **where(place, self._ownership), launch=launch, mark=f"{LAUNCH}={launch}")
        lines = lines_of(await self._run(place, script))
        suffix = container_of("", self._ownership)
        for line in lines:
            name = line[1:].removesuffix(suffix) if line[:1] == "%" else line[1:]
            if line[:1] in {"@", "%"} and is_name(name):
                return ref_of(place.id, name)
        broken = next((line for line in lines if line.startswith("!")), "")
        noted = self._unsure.get(launch)
        if noted is not None and self._clock.monotonic() - noted < _UNSURE_S:
            broken = broken or "its launch was not heard to the end, a moment ago"
        if broken or "=looked" not in lines:
            raise OutcomeUnknown("Unsure", f"host {key.host} cannot say yet whether it has the agent: {broken}")
        return None

    async def describe(self, refs: Sequence[InstanceRef]) -> Mapping[InstanceRef, Instance]:
        """One command a host, as often as the pace says. A host that does not answer leaves its agents as they were."""
        wanted = {ref: parsed for ref in refs if (parsed := parse_ref(ref)) is not None}
        places = {host: place for host, _ in wanted.values() if (place := self._place_of(host)) is not None}
        views = await self._watching.views(places.values())
        found = {ref: _seen(ref, name, views[host]) for ref, (host, name) in wanted.items() if host in views}
        return {ref: instance for ref, instance in found.items() if instance is not None}

    async def terminate(self, ref: InstanceRef) -> None:
        """Kills the agent with all its processes and deletes what it left, a step each call."""
        parsed = parse_ref(ref)
        place = self._place_of(parsed[0]) if parsed is not None else None
        if parsed is not None and place is not None:
            await self._end(place, [parsed[1]])

    async def list_owned(self, places: Sequence[HostPlace]) -> Listing:
        """All agents of ours on these hosts; incomplete if one of the hosts does not answer."""
        views = await self._watching.views(places, afresh=True)
        running = [view for view in views.values() if view.task is not None and not view.task.done()]
        known = [view.looked for view in views.values() if view.looked is not None and not view.away]
        complete = len(known) == len(views) and not running and not any(one.broken for one in known)
        instances = (instance for one in known for name, instance in one.instances.items() if name not in one.unsigned)
        return Listing(instances=tuple(instances), complete=complete)

    async def wipe(self, place: HostPlace) -> bool:
        """Ends all agents of ours on a host that stays, and deletes our files. True when nothing is left."""
        view = (await self._watching.views([place], afresh=True))[place.id]
        if view.away or view.looked is None:
            raise OutcomeUnknown("Unreachable", view.away or "the host has not answered", Reason.SSH_UNREACHABLE)
        if view.looked.instances:
            await self._end(place, list(view.looked.instances))
        if view.looked.broken:
            raise OutcomeUnknown("EngineBroken", view.looked.broken)
        there = {name: text for name, text in where(place, self._ownership).items() if name != "engine"}
        return "=wiped" in lines_of(await self._run(place, script_of(WIPE, **there)))

    async def forget(self, host: HostId) -> None:
        """Ends what goes on beside the calls for a host and lets go of its connection."""
        await self._preparations.forget(host)
        await self._watching.forget(host)
        await self._transport.forget(host)

    async def close(self) -> None:
        """Ends all that goes on beside the calls. Agents stay."""
        await self._preparations.close()
        await self._watching.close()
        await self._transport.close()

    async def _end(self, place: HostPlace, names: Sequence[str]) -> None:
        script = script_of(
            END,
            **where(place, self._ownership),
            names=" ".join(names),
            containers=" ".join(container_of(name, self._ownership) for name in names),
            grace=_GRACE_S,
            remover=REMOVER,
        )
        try:
            lines = lines_of(await self._run(place, script))
        finally:
            self._watching.stir(place.id)
        if "=ended" not in lines:
            raise OutcomeUnknown("Unfinished", "the host's shell did not come to its end")
        if words := "; ".join(line[1:] for line in lines if line.startswith(">")):
            raise OutcomeUnknown("EngineRefused", f"cannot remove the container: {words}")

    async def _run(self, place: HostPlace, script: str) -> str:
        try:
            return (await self._transport.run(place, script, limit_s=_LIMIT_S)).output
        except HostUnreachable as error:
            raise OutcomeUnknown(error.code, error.message, Reason.SSH_UNREACHABLE) from error

    def _note_unsure(self, launch: str) -> None:
        now = self._clock.monotonic()
        self._unsure = {other: noted for other, noted in self._unsure.items() if now - noted < _UNSURE_S}
        self._unsure[launch] = now


def _seen(ref: InstanceRef, name: str, view: View) -> Instance | None:
    """What is known of one agent; one of which the host could not say anything yet is taken to run."""
    known = view.looked.instances.get(name) if view.looked is not None else None
    if known is not None or view.is_sure:
        return known
    why = view.away or "it has not answered yet"
    message = f"nothing is known of it, the host cannot be asked: {why}"
    return Instance(
        ref=ref, state=InstanceState.RUNNING, agent_id=AgentId(""), attempt=attempt_of(name), message=message
    )
