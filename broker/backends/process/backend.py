"""Agents as processes of this machine: each in its own session and directory, known by pid and start time (D17).

Nothing is kept in memory that matters: a restarted broker reads the directories and /proc. There is no isolation: a
build may do to the machine, to other agents and to the broker what the broker's user may do.
"""

import asyncio
import errno
import functools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from broker.backends.process import command, procfs
from broker.backends.process.jars import AgentJars
from broker.backends.process.observe import Observation, observe
from broker.backends.process.procfs import Census
from broker.backends.process.workplace import State, Workplace, all_refs, parse_ref, ref_of, remove_unfinished
from broker.domain.ids import BackendName, InstanceRef
from broker.domain.instance import Instance, LaunchKey, Listing
from broker.domain.offer import Offer
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity, OutcomeUnknown
from broker.ports import Clock, LaunchSpec

T = TypeVar("T")

_CLAIM_S: Final = 5.0

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
_NOT_OURS: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG})


class ProcessBackend:
    """A `ports.Backend` on the machine at hand.

    One thread does all the work on files and processes, so that calls cannot overlap and the loop is never blocked;
    a second one deletes, which may take long.
    """

    def __init__(
        self,
        name: BackendName,
        *,
        root: Path,
        installation: str,
        jars: AgentJars,
        clock: Clock,
        grace_s: float = 5.0,
    ) -> None:
        """Keeps everything under `root`; `grace_s` is the time between SIGTERM and SIGKILL."""
        self._root = root.absolute()
        self._installation = installation
        self._jars = jars
        self._clock = clock
        self._grace_s = grace_s
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"backend-{name}")
        self._wiper = ThreadPoolExecutor(1, thread_name_prefix=f"wipe-{name}")
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._ending: dict[InstanceRef, float] = {}
        self._wipes: dict[InstanceRef, Future[None]] = {}
        self._tidied = False

    async def offers(self, pool: Pool) -> Sequence[Offer]:
        """The machine itself; how much it bears is for the pool's limits to say."""
        return (Offer(pool=pool.name),)

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """Starts the agent, or answers the one of this key. Needs the controller only if it must fetch its jar."""
        if (running := await self._run(functools.partial(self._find, spec.key))) is not None:
            return running
        options = command.ProcessOptions.of(spec.pool)
        program = options.find_program(spec.pool)
        if options.command:
            words = [program, *options.command[1:]]
        else:
            temporary = Workplace(self._root, ref_of(spec.key)).temporary
            words = [program, f"-Djava.io.tmpdir={temporary}", "-jar", str(await self._jar(options, spec))]
        return await self._run(functools.partial(self._start, spec, words))

    async def locate(self, key: LaunchKey) -> InstanceRef | None:
        """The agent of this key. None is final: what was about to start can no longer."""
        return await self._run(functools.partial(self._find, key))

    async def describe(self, refs: Sequence[InstanceRef]) -> Mapping[InstanceRef, Instance]:
        """Reads the directories; also goes on with what `terminate` began."""
        return await self._run(functools.partial(self._describe, refs)) if refs else {}

    async def terminate(self, ref: InstanceRef) -> None:
        """Asks every process of the agent to end, after the grace ends them, and with none left deletes the directory.

        Each call goes one step, as each `describe` does.
        """
        await self._run(functools.partial(self._end, ref))

    async def list_owned(self) -> Listing:
        """Every directory and every process with our markers."""
        return await self._run(self._list)

    async def close(self) -> None:
        """Ends the threads; a deletion that has begun is finished first. The agents run on."""
        await asyncio.to_thread(self._worker.shutdown, cancel_futures=True)
        await asyncio.to_thread(self._wiper.shutdown, cancel_futures=True)
        for child in self._children.values():
            child.returncode = child.poll() or 0  # it is not waited for any more, and says no word about that
        self._children.clear()

    async def _jar(self, options: command.ProcessOptions, spec: LaunchSpec) -> Path:
        if options.agent_jar is None:
            return await self._jars.path(spec.controller)
        if not await asyncio.to_thread(options.agent_jar.is_file):
            message = f"no file {options.agent_jar}: see pools.{spec.pool.name}.agent_jar"
            raise BackendRejected("AgentJarNotFound", message, Reason.SETUP_FAILED)
        return options.agent_jar

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, work)
        except OSError as error:
            raise _classify(error) from error

    # in the worker thread

    def _find(self, key: LaunchKey) -> InstanceRef | None:
        self._tidy()
        place = Workplace(self._root, ref_of(key))
        if parse_ref(place.ref) is None:
            raise BackendRejected("InvalidKey", f"{key.agent_id!r} is no agent id")
        if not place.exists():
            marked = place.ref in self._census().marked
            return place.ref if marked or place.is_wiping() else None
        state = place.state()
        if state is not None and state.token != key.token:
            message = f"attempt {key.attempt} of agent {key.agent_id} was launched with another token"
            raise BackendRejected("TokenMismatch", message)
        if state is None or place.is_claimed() or place.ref in self._census().marked:
            return place.ref
        place.wipe()  # its wrapper, should it still come, finds no place to note itself and ends
        return None

    def _start(self, spec: LaunchSpec, words: list[str]) -> InstanceRef:
        if (running := self._find(spec.key)) is not None:
            return running
        state = State(
            agent_id=spec.key.agent_id,
            attempt=spec.key.attempt,
            token=spec.key.token,
            installation=self._installation,
            boot_id=procfs.boot_id(),
        )
        place = Workplace(self._root, ref_of(spec.key))
        arguments = [*words, *command.agent_arguments(spec, place)]
        environment = command.agent_environment(os.environ, spec, place, self._installation)
        place.create(state, spec.secret)
        try:
            self._fork(place, arguments, environment)
        except (OSError, BackendError):
            place.wipe()
            raise
        return place.ref

    def _fork(self, place: Workplace, arguments: list[str], environment: dict[str, str]) -> None:
        """Starts the wrapper and waits, a few ms, until it has noted itself: from then on any broker finds it."""
        with place.log_file.open("ab") as log:
            child = subprocess.Popen(
                ["/bin/sh", "-c", command.WRAPPER, "agentbroker-agent", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=place.remote,
                env=environment,
                start_new_session=True,
            )
        self._children[child.pid] = child
        end = time.monotonic() + _CLAIM_S
        while not place.is_claimed() and time.monotonic() < end:
            if child.poll() is not None and not place.is_claimed():
                told = " ".join(place.last_lines()) or f"it ended with code {child.returncode}"
                raise BackendRejected("NotStarted", f"the agent's wrapper did not begin: {told}", Reason.SETUP_FAILED)
            time.sleep(0.001)

    def _describe(self, refs: Sequence[InstanceRef]) -> dict[InstanceRef, Instance]:
        self._reap()
        census = _Lazy(self._census)
        for ref in [ref for ref in refs if ref in self._ending]:
            self._push(ref, census())
        found = {ref: self._observe(ref, census) for ref in refs}
        return {ref: instance for ref, instance in found.items() if instance is not None}

    def _list(self) -> Listing:
        self._tidy()
        self._reap()
        census = _Lazy(self._census)
        refs = {*filter(self._is_ours, all_refs(self._root)), *(InstanceRef(ref) for ref in census().marked)}
        found = (self._observe(ref, census) for ref in sorted(refs))
        return Listing(instances=tuple(i for i in found if i is not None), complete=True)

    def _is_ours(self, ref: InstanceRef) -> bool:
        """Not the directory of another installation: after a loss of the database nothing of the old one is ended."""
        state = Workplace(self._root, ref).state()
        return state is None or state.installation == self._installation

    def _end(self, ref: InstanceRef) -> None:
        if parse_ref(ref) is None:
            return
        self._reap()
        self._ending.setdefault(ref, self._clock.monotonic())
        self._push(ref, self._census())

    def _push(self, ref: InstanceRef, census: Census) -> None:
        """One step towards the end: a signal, or with nobody left the deletion."""
        place = Workplace(self._root, ref)
        state = place.state()
        leader = place.leader() if state is not None and state.boot_id == procfs.boot_id() else None
        if targets := census.of(ref, leader):
            graceful = self._clock.monotonic() - self._ending[ref] < self._grace_s
            for process in targets:
                procfs.send(process, signal.SIGTERM if graceful else signal.SIGKILL)
        elif place.exists() or place.is_wiping():
            if ref not in self._wipes or self._wipes[ref].done():
                self._wipes[ref] = self._wiper.submit(place.wipe)
        else:
            self._ending.pop(ref, None)
            self._wipes.pop(ref, None)

    def _observe(self, ref: InstanceRef, census: Callable[[], Census]) -> Instance | None:
        wipe = self._wipes.get(ref)
        error = wipe.exception() if wipe is not None and wipe.done() else None
        seen = Observation(is_ending=ref in self._ending, wipe_error=error, boot_id=procfs.boot_id())
        return observe(Workplace(self._root, ref), seen, census)

    def _census(self) -> Census:
        return procfs.take_census(self._installation)

    def _reap(self) -> None:
        """Waits for children that have ended, without waiting."""
        self._children = {pid: child for pid, child in self._children.items() if child.poll() is None}

    def _tidy(self) -> None:
        """Once: what a broker that was killed left half made."""
        if not self._tidied:
            remove_unfinished(self._root)
            self._tidied = True


class _Lazy:
    """A census taken when first asked for, and then kept."""

    def __init__(self, take: Callable[[], Census]) -> None:
        self._take = take
        self._taken: Census | None = None

    def __call__(self) -> Census:
        if self._taken is None:
            self._taken = self._take()
        return self._taken


def _classify(error: OSError) -> BackendError:
    """A launch that fails deletes what it had made, so these made nothing; with any other it is worth a look."""
    code = errno.errorcode.get(error.errno or 0, "OSError")
    message = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
    if error.errno in _NO_ROOM:
        return InsufficientCapacity(code, message)
    if error.errno in _NOT_OURS:
        message += ": the broker's user must be able to write there"
        return BackendRejected(code, message, Reason.SETUP_FAILED)
    return OutcomeUnknown(code, message)
