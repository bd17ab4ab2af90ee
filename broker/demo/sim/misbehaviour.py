"""What a simulated agent or controller does wrong, and where in its dialogue."""

import asyncio
import ctypes
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from broker.demo.sim.wire import Wire
from broker.inbound.blocks import block

_SO_ATTACH_FILTER: Final = 26  # asm-generic/socket.h
_RETURN_NOTHING: Final = struct.pack("HBBI", 0x06, 0, 0, 0)  # linux/filter.h: BPF_RET | BPF_K, keep 0 bytes
BIG: Final = 0xFFFF


class Kind(StrEnum):
    """The kinds of wrong; who is meant, an agent or a controller, decides what each means."""

    SLOW = "slow"
    """An agent sends a byte at a time; a controller thinks for long."""
    SILENT = "silent"
    """Says nothing more from a step on; leaves when the other side does."""
    DUPLICATE = "duplicate"
    """An agent connects a second time while it is there; a controller has every name there already."""
    WRONG_SECRET = "wrong_secret"  # noqa: S105
    """An agent shows another secret; a controller knows another one."""
    HALF_OPEN = "half_open"
    """Vanishes from a step on: its kernel answers nothing either, and nobody is told."""
    BIG_HEADER = "big_header"
    """Sends headers of 64 KiB."""
    CLOSE_NOTIFY = "close_notify"
    """Ends its sessions as TLS has it, which neither agent.jar nor a controller notices."""
    NO_ACK = "no_ack"
    """Never acknowledges the protocol."""
    REFUSES = "refuses"
    """A controller takes nobody, with a text."""


class Step(IntEnum):
    """How far a dialogue has come, on the side that misbehaves. WebSocket knows CONNECTED, CUT, SHOWN and ACCEPTED."""

    CONNECTED = 0
    CUT = 1
    """Nine bytes are sent: one less than the server reads first."""
    NAMED = 2
    """Protocol and ACK are sent."""
    SECURED = 3
    """TLS is up."""
    SHOWN = 4
    """An agent's headers are sent, or a controller has read them."""
    ACCEPTED = 5
    """The session is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """One kind of wrong, and its particulars."""

    kind: Kind
    step: Step = Step.ACCEPTED
    """From where on, for those that are silent, half-open or controllers that are slow. A slow agent is slow from the
    start, or from SECURED on."""
    pause_s: float = 1.0
    """Between the bytes of a slow agent; before the answer of a slow controller; until the end by close_notify."""
    text: str = ""
    """Of a refusal."""


class Script:
    """A behaviour as it is played on one connection; None is good behaviour."""

    __slots__ = ("_behaviour",)

    def __init__(self, behaviour: Behaviour | None) -> None:
        """Takes what is to be played."""
        self._behaviour = behaviour

    def is_(self, kind: Kind) -> bool:
        """Whether this kind of wrong is played."""
        return self._behaviour is not None and self._behaviour.kind is kind

    @property
    def pause_s(self) -> float:
        """Of the behaviour; 0 without one."""
        return self._behaviour.pause_s if self._behaviour is not None else 0.0

    @property
    def text(self) -> str:
        """Of the behaviour."""
        return self._behaviour.text if self._behaviour is not None else ""

    def slow_from(self, step: Step) -> bool:
        """Whether an agent slows down at this step."""
        if self._behaviour is None or not self.is_(Kind.SLOW):
            return False
        return step is (Step.SECURED if self._behaviour.step is Step.SECURED else Step.CONNECTED)

    def cuts(self) -> bool:
        """Whether only nine bytes are to be sent."""
        return self._behaviour is not None and self._behaviour.step is Step.CUT and self._stops()

    async def at(self, step: Step, wire: Wire) -> None:
        """Is called when a step is reached; returns at once where nothing is wrong with it.

        A silent one raises EOFError when the other side has left; a vanished one waits until it is cancelled.
        """
        if self._behaviour is None or self._behaviour.step is not step or not self._stops():
            return
        if self._behaviour.kind is Kind.SILENT:
            await wire.left()
        vanish(wire.sock)
        await asyncio.Event().wait()

    def _stops(self) -> bool:
        return self.is_(Kind.SILENT) or self.is_(Kind.HALF_OPEN)


def vanish(sock: socket.socket) -> None:
    """From now on this connection's kernel drops all that comes in: for the other side, the machine is gone.

    The socket must stay open as long as this is to be seen; its close sends a reset.
    """
    instructions = ctypes.create_string_buffer(_RETURN_NOTHING, len(_RETURN_NOTHING))
    program = struct.pack("HP", 1, ctypes.addressof(instructions))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def big_block() -> bytes:
    """Headers that are correct, but for having 64 KiB."""
    frame = '{"Node-Name":""}'
    return block(f'{{"Node-Name":"{"x" * (BIG - len(frame))}"}}'.encode())


async def end_by_close_notify(wire: Wire, pause_s: float) -> None:
    """Ends a session after a while as TLS has it; one without TLS with a FIN alone. Raises OSError."""
    await asyncio.sleep(pause_s)
    await wire.say_close_notify()
    wire.end()
