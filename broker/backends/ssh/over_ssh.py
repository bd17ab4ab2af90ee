"""The `Transport` over SSH."""

import asyncio
import base64
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import asyncssh

from broker.backends.ssh.connections import Connections, Kept
from broker.backends.ssh.errors import FAILURES, classify
from broker.backends.ssh.options import Reach, reach_of
from broker.backends.ssh.transport import HostUnreachable, Ran
from broker.backends.ssh.trust import Trust
from broker.domain.host_order import HostPlace
from broker.domain.ids import HostId
from broker.domain.reason import Reason
from broker.errors import BackendRejected
from broker.ports import Clock

_OUTPUT: Final = 4 << 20
_ERRORS: Final = 4 << 10
_CHUNK: Final = 1 << 16
_SCRIPT: Final = 90_000
"""Linux takes 128 KiB in one argument (execve(2), MAX_ARG_STRLEN), and base64 is a third longer."""
_CONSOLE_S: Final = 20.0
"""For a backend that asks its cloud for the keys on a console."""


class SshTransport:
    """Runs scripts on hosts over one kept connection each.

    The user's login shell, whatever it is, sees a few fixed words and the script in base64.
    """

    def __init__(
        self, clock: Clock, trust: Trust, reach: Callable[[HostPlace], Reach] = reach_of, *, idle_s: float = 60.0
    ) -> None:
        """`reach` says how each host is reached."""
        self._trust = trust
        self._reach_of = reach
        self._connections = Connections(clock, trust, reach, idle_s=idle_s)

    async def run(
        self,
        place: HostPlace,
        script: str,
        *,
        stdin: bytes = b"",
        limit_s: float,
        heard: Callable[[str], None] | None = None,
    ) -> Ran:
        """See `Transport.run`."""
        reach = self._reach_of(place)
        try:
            async with asyncio.timeout(limit_s + 2 * reach.connect_s + _CONSOLE_S):
                kept = await self._connections.take(place)
                try:
                    async with kept.room, asyncio.timeout(limit_s):
                        return await _run(kept, command_of(script), stdin, heard)
                except FAILURES as error:
                    if not isinstance(error, asyncssh.ChannelOpenError):
                        self._connections.drop(place.id, kept)
                    raise classify(error, reach) from error
                finally:
                    self._connections.give_back(kept)
        except TimeoutError as error:
            message = f"{reach.address} port {reach.port}: no end after {limit_s:.0f} s"
            raise HostUnreachable("Timeout", message, Reason.SSH_UNREACHABLE) from error

    async def forget(self, host: HostId) -> None:
        """See `Transport.forget`."""
        self._connections.forget(host)
        self._trust.forget(host)

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._connections.close()


def command_of(script: str) -> str:
    """What sshd gives to the user's login shell: the same to sh, bash, csh and fish.

    BackendRejected if it is too long.
    """
    content = script.encode()
    if len(content) > _SCRIPT:
        raise BackendRejected(
            "ScriptTooLong", f"a host is to be told {len(content)} bytes at once, {_SCRIPT} is the most"
        )
    return f"exec /bin/sh -c 'eval \"$(echo {base64.b64encode(content).decode()} | base64 -d)\"'"


async def _run(kept: Kept, command: str, stdin: bytes, heard: Callable[[str], None] | None) -> Ran:
    process = await kept.link.create_process(command, encoding=None)
    try:
        with suppress(BrokenPipeError):  # it has ended without reading all of it; its output says why
            process.stdin.write(stdin)
            await process.stdin.drain()
            process.stdin.write_eof()
        output, lines = bytearray(), _Lines(heard)
        while chunk := await process.stdout.read(_CHUNK):
            output += chunk[: _OUTPUT - len(output)]
            lines.add(chunk)
        errors = await process.stderr.read(_ERRORS)
        await process.wait_closed()
    finally:
        process.close()
    status = process.exit_status
    if status is None and process.exit_signal is None:
        raise asyncssh.ConnectionLost("the connection broke before the end")
    return Ran(
        code=status if status is not None and status >= 0 else None,
        output=output.decode(errors="replace"),
        errors=errors.decode(errors="replace").strip(),
    )


class _Lines:
    """Tells each line when it is whole."""

    def __init__(self, heard: Callable[[str], None] | None) -> None:
        self._heard = heard
        self._rest = b""

    def add(self, chunk: bytes) -> None:
        if self._heard is None:
            return
        *lines, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest[-_CHUNK:]
        for line in lines:
            self._heard(line.decode(errors="replace"))
