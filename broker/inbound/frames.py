"""The frames of WebSocket, for both roles and without extensions (RFC 6455 section 5)."""

from collections.abc import Callable
from typing import Final, NamedTuple

from broker.inbound.blocks import Malformed

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
_FIN: Final = 0x80
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_CONTROL_MOST: Final = 125
_TWO_BYTES: Final = 126
"""What stands for the length where the length is in the two bytes that follow."""
_EIGHT_BYTES: Final = 127
_LONGEST_HEAD: Final = 14


class Frame(NamedTuple):
    """A whole message, fragments joined, or a control frame; its payload is unmasked. Text is not checked: no agent
    or controller sends it."""

    opcode: int
    payload: bytes


Mask = Callable[[bytearray, bytes], bytes]
"""As `masked`, but perhaps faster, and the payload may be used up."""


def masked(payload: bytes | bytearray, mask: bytes) -> bytes:
    """The payload with its mask put on, or taken off."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


class FrameReader:
    """Finds the frames in a stream."""

    __slots__ = ("_buffer", "_fragments", "_mask", "_masked", "_most", "_opcode", "_usual")

    def __init__(self, *, masked: bool, most: int, mask: Mask = masked) -> None:
        """`masked` for what a client sends, and only for that; `most` is the longest message in bytes."""
        self._masked = masked
        self._mask = mask
        self._usual = bytes([_FIN | BINARY, (_MASKED if masked else 0) | _TWO_BYTES])
        self._most = most
        self._buffer = bytearray()
        self._fragments = bytearray()
        self._opcode = CONTINUATION

    def feed(self, data: bytes | memoryview) -> list[Frame]:
        """What is whole now. Raises `Malformed`, for a message over the limit as soon as its length is known.

        Keeps at most one message, the head of a frame and what was fed last.
        """
        kept = self._buffer
        kept += data
        found: list[Frame] = []
        start = self._usual_ones(kept, found)
        while (head := self._head(start)) is not None:
            first, body, end = head
            if end > len(kept):
                break
            frame = self._joined(first, self._payload(body, end))
            if frame is not None:
                found.append(frame)
            start = self._usual_ones(kept, found, end)
        del kept[:start]
        return found

    def _usual_ones(self, kept: bytearray, found: list[Frame], start: int = 0) -> int:
        """Adds the whole messages of usual length at `start`: nearly all are, and the long way takes longer than the
        unmasking. Gives where the first other frame starts."""
        if self._opcode != CONTINUATION:
            return start
        usual, most, size, short = self._usual, self._most, len(kept), 8 if self._masked else 4
        while kept[start : start + 2] == usual and size - start > _LONGEST_HEAD:
            length = kept[start + 2] << 8 | kept[start + 3]
            body = start + short
            end = body + length
            if end > size or not _TWO_BYTES <= length <= most:
                break
            found.append(Frame(BINARY, self._payload(body, end)))
            start = end
        return start

    def _payload(self, body: int, end: int) -> bytes:
        payload = self._buffer[body:end]
        return self._mask(payload, bytes(self._buffer[body - 4 : body])) if self._masked else bytes(payload)

    def _head(self, start: int) -> tuple[int, int, int] | None:
        """The first byte of the frame at `start`, and where its payload starts and ends."""
        buffer = self._buffer
        if len(buffer) - start < 2:
            return None
        first, second = buffer[start], buffer[start + 1]
        self._check(first, second)
        short = second & 0x7F
        body = start + 2 + (0 if short < 126 else 2 if short == 126 else 8)
        if len(buffer) < body:
            return None
        size = short if short < 126 else int.from_bytes(buffer[start + 2 : body], "big")
        if size != short and size < (126 if short == 126 else 0x10000):
            raise Malformed("the length of a frame is written longer than need be")
        if not first & 0x08 and len(self._fragments) + size > self._most:
            raise Malformed(f"a message has more than {self._most} bytes")
        body += 4 if self._masked else 0
        return first, body, body + size

    def _check(self, first: int, second: int) -> None:
        opcode, final = first & 0x0F, first & _FIN
        if first & _RESERVED or opcode not in {CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG}:
            raise Malformed("a frame has bits of an extension that nobody has asked for")
        if bool(second & _MASKED) != self._masked:
            raise Malformed("a frame is masked and must not be, or is not and must be")
        if opcode >= CLOSE and (not final or second & 0x7F > _CONTROL_MOST):
            raise Malformed("a control frame is too long, or in pieces")
        if opcode < CLOSE and (opcode == CONTINUATION) != (self._opcode != CONTINUATION):
            raise Malformed("a fragment is where none can be, or a message where a fragment must be")

    def _joined(self, first: int, payload: bytes) -> Frame | None:
        opcode = first & 0x0F
        if opcode >= CLOSE or (opcode != CONTINUATION and first & _FIN):
            return Frame(opcode, payload)
        self._opcode = self._opcode or opcode
        self._fragments += payload
        if not first & _FIN:
            return None
        whole = Frame(self._opcode, bytes(self._fragments))
        self._opcode = CONTINUATION
        self._fragments.clear()
        return whole


def frame(opcode: int, payload: bytes, mask: bytes | None) -> bytes:
    """A frame that is a whole message, or a control frame. `mask`: four random bytes from a client, else None.

    Raises ValueError for a control frame of more than 125 bytes.
    """
    head = frame_head(opcode, len(payload), mask)
    return head + payload if mask is None else head + masked(payload, mask)


def frame_head(opcode: int, size: int, mask: bytes | None) -> bytes:
    """What stands before a payload of that size, which is masked if there is a mask. As `frame`."""
    if opcode >= CLOSE and size > _CONTROL_MOST:
        raise ValueError(f"a control frame holds at most {_CONTROL_MOST} bytes, not {size}")
    first, bit = _FIN | opcode, 0 if mask is None else _MASKED
    if size < _TWO_BYTES:
        head = bytes((first, bit | size))
    elif size < 0x10000:
        head = bytes((first, bit | _TWO_BYTES, size >> 8, size & 0xFF))
    else:
        head = bytes((first, bit | _EIGHT_BYTES)) + size.to_bytes(8, "big")
    return head if mask is None else head + mask


def close_payload(code: int, words: str = "") -> bytes:
    """The payload of a close frame: a code (RFC 6455 section 7.4) and words, cut where they are too long."""
    return code.to_bytes(2, "big") + words.encode()[: _CONTROL_MOST - 2].decode(errors="ignore").encode()
