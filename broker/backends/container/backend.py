"""Agents as containers of one engine, docker or podman, over the Docker API.

Nothing is kept in memory that matters: a container's name is made of its launch, its labels say whose it is. A launch
is two calls, create and start, and each may be the last of a broker that dies: the next one finds what was made by its
name, and starts it if it never was.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final
from weakref import WeakValueDictionary

from aiodocker.containers import DockerContainer

from broker.backends.container.engine import Engine, Item
from broker.backends.container.errors import NameInUse, NoSuchContainer, NoSuchImage
from broker.backends.container.observe import FINAL, NEVER_STARTED, ending_of, instance_of, state_of, without_secret
from broker.backends.container.ownership import LAUNCH, Owned, Ownership
from broker.backends.container.pulls import Pulls
from broker.backends.container.request import ContainerOptions, create_body, image_of
from broker.domain.ids import InstanceRef
from broker.domain.instance import Instance, InstanceState, LaunchKey, Listing
from broker.domain.offer import Offer
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown
from broker.ports import Clock, LaunchSpec

_UNSURE_S: Final = 60.0
"""So long after a create whose answer nobody heard, "there is none" may still become untrue."""


class ContainerBackend:
    """A `ports.Backend` on one container engine."""

    def __init__(self, engine: Engine, ownership: Ownership, clock: Clock) -> None:
        """Owns the engine's connections."""
        self._engine = engine
        self._ownership = ownership
        self._clock = clock
        self._pulls = Pulls(engine, clock)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._unsure: dict[str, float] = {}
        self._ended: dict[str, Instance] = {}
        """By the container's id: what a look at an ended one has told, which does not change."""

    async def offers(self, pool: Pool) -> Sequence[Offer]:
        """The engine itself; how much it bears is for the pool's limits to say."""
        return (Offer(pool=pool.name),)

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """Makes and starts the container, or answers the one of this key; one that has ended is not started again."""
        name = self._ownership.name(spec.key, spec.name)
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:  # bounded: every call below is
            if not await self._create(spec, name):
                found = await self._look(spec.key, name)
                if state_word(found) not in NEVER_STARTED:
                    return name
            await self._start(name)
            return name

    async def locate(self, key: LaunchKey) -> InstanceRef | None:
        """The container of this key, started or not; OutcomeUnknown while one may still be in the making."""
        launch = self._ownership.launch_id(key)
        for container in await self._engine.list(f"{LAUNCH}={launch}"):
            if self._owner(container) is not None:
                return name_of(container)
        noted = self._unsure.get(launch)
        if noted is not None and self._clock.monotonic() - noted < _UNSURE_S:
            raise OutcomeUnknown("Unanswered", "the engine has not answered whether it makes the container")
        self._unsure.pop(launch, None)
        return None

    async def describe(self, refs: Sequence[InstanceRef]) -> Mapping[InstanceRef, Instance]:
        """One listing for all; of one that has ended, a look and its last lines, once."""
        if not refs:
            return {}
        wanted, found = set(refs), {}
        for container in await self._engine.list(self._ownership.filter, refs):
            ref, owner = name_of(container), self._owner(container)
            if ref in wanted and owner is not None:
                found[ref] = await self._observe(container, ref, owner)
        return {ref: instance for ref, instance in found.items() if instance is not None}

    async def terminate(self, ref: InstanceRef) -> None:
        """Kills and removes the container, if it is ours."""
        for container in await self._engine.list(self._ownership.filter, [ref]):
            if name_of(container) == ref and self._owner(container) is not None:
                await self._engine.remove(container.id)
                self._ended.pop(container.id, None)

    async def list_owned(self) -> Listing:
        """All containers that carry our signature."""
        owned = [(container, self._owner(container)) for container in await self._engine.list(self._ownership.filter)]
        self._forget_all_but({container.id for container, _ in owned})
        instances = tuple(instance_of(name_of(c), owner, str(c["State"])) for c, owner in owned if owner is not None)
        return Listing(instances=instances, complete=True)

    async def close(self) -> None:
        """Ends fetches of images and lets go of the connections."""
        await self._pulls.close()
        await self._engine.close()

    async def _create(self, spec: LaunchSpec, name: InstanceRef) -> bool:
        """Makes the container; False if there is one already, or may be."""
        options = ContainerOptions.of(spec.pool)
        body = create_body(spec, options, {**spec.template.tags, **self._ownership.labels(spec.key, name)})
        if options.pull == "always" and await self._engine.inspect(name) is None:
            await self._pulls.ensure(image_of(spec), spec.key.token)
        for _ in range(2):
            try:
                await self._create_once(spec.key, name, body)
                return True
            except NameInUse:
                return False
            except NoSuchImage as error:
                if options.pull == "never":
                    message = f"{error.message}, and pools.{spec.pool.name}.pull is never"
                    raise BackendRejected(error.code, message, Reason.IMAGE_PULL_FAILED) from error
                await self._pulls.ensure(image_of(spec), spec.key.token)
        raise BackendRejected("NoSuchImage", f"{image_of(spec)}: fetched, but not there", Reason.IMAGE_PULL_FAILED)

    async def _create_once(self, key: LaunchKey, name: InstanceRef, body: Mapping[str, object]) -> None:
        launch, now = self._ownership.launch_id(key), self._clock.monotonic()
        self._unsure = {other: noted for other, noted in self._unsure.items() if now - noted < _UNSURE_S}
        self._unsure[launch] = now
        try:
            await self._engine.create(name, body)
        except OutcomeUnknown as error:
            if not error.code.isdecimal():  # no answer at all
                raise
            if await self._engine.inspect(name) is not None:
                raise NameInUse(error.code, error.message) from error
            self._unsure.pop(launch, None)
            raise BackendRejected(error.code, error.message) from error
        except BackendError:
            self._unsure.pop(launch, None)
            raise
        self._unsure.pop(launch, None)

    async def _look(self, key: LaunchKey, name: InstanceRef) -> Item:
        """The container of this name, which must be ours; OutcomeUnknown while the engine is still making it."""
        found = await self._engine.inspect(name)
        if found is None:
            raise OutcomeUnknown("Unfinished", f"the name {name} is taken, and there is no such container yet")
        if self._ownership.of(name, found["Config"]["Labels"] or {}) is None:
            raise BackendRejected("NameTaken", f"a container {name} is there and does not carry our signature")
        return found

    async def _start(self, name: InstanceRef) -> None:
        """Starts it; one that cannot be started is removed, so that nothing was made."""
        try:
            await self._engine.start(name)
        except NoSuchContainer as error:
            raise OutcomeUnknown(error.code, error.message) from error  # removed by somebody between the calls
        except OutcomeUnknown as error:
            if not error.code.isdecimal() or state_word(await self._engine.inspect(name) or {}) not in NEVER_STARTED:
                raise
            await self._undo(name, error)
            raise BackendRejected(error.code, error.message) from error
        except (BackendRejected, InsufficientCapacity) as error:
            await self._undo(name, error)
            raise

    async def _undo(self, name: InstanceRef, cause: BackendError) -> None:
        try:
            await self._engine.remove(name)
        except BackendError as error:
            message = f"{cause.message}; and what was made cannot be removed: {error.message}"
            raise OutcomeUnknown(cause.code, message, cause.reason) from error

    async def _observe(self, container: DockerContainer, ref: InstanceRef, owner: Owned) -> Instance | None:
        if (known := self._ended.get(container.id)) is not None:
            return known
        seen = instance_of(ref, owner, str(container["State"]))
        if seen.state is not InstanceState.STOPPED:
            return seen
        told = await self._engine.inspect(container.id)
        if told is None:
            return None
        code, reason, message = ending_of(told)
        ended = Instance(
            ref=ref,
            state=state_of(state_word(told)),
            agent_id=owner.agent_id,
            attempt=owner.attempt,
            exit_code=code,
            reason=reason,
            message=message,
            last_lines=without_secret(await self._engine.last_lines(container.id), told),
        )
        if state_word(told) in FINAL:
            self._ended[container.id] = ended
        return ended

    def _owner(self, container: DockerContainer) -> Owned | None:
        return self._ownership.of(name_of(container), container["Labels"] or {})

    def _forget_all_but(self, ids: set[str]) -> None:
        self._ended = {container: seen for container, seen in self._ended.items() if container in ids}


def name_of(container: DockerContainer) -> InstanceRef:
    """A listed container's name; the engine puts a slash before it."""
    names = container["Names"] or [""]
    return InstanceRef(str(names[0]).removeprefix("/"))


def state_word(told: Item) -> str:
    """The engine's own word for a container's state, in lower case."""
    return str(told.get("State", {}).get("Status", "")).lower()
