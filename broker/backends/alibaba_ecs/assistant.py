"""The way onto hosts without SSH: Cloud Assistant's RunCommand (API reference, RunCommand, DescribeInvocationResults).

Its text is kept by the cloud, so what is secret is sealed for the host (`sealing.py`). A command is at most 24 KB in
Base64: a longer one is carried over in pieces. Its output is at most 24 KB.
"""

import asyncio
import base64
import binascii
import gzip
import secrets
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from broker.backends.alibaba_ecs.asking import Ask, items
from broker.backends.alibaba_ecs.sealing import FOLDER, OPEN, PUBLIC_KEY, seal
from broker.backends.ssh.options import reach_of
from broker.backends.ssh.shell import lines_of
from broker.backends.ssh.transport import HostUnreachable, Ran
from broker.domain.host_order import HostPlace
from broker.domain.ids import HostId, HostRef
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, Throttled
from broker.ports import Clock

_MOST_CONTENT: Final = 24 * 1024
_PIECE: Final = 15_000
"""Characters of a piece: with what is around it, in Base64, it fits."""
_LEAST_S: Final = 10
_MOST_S: Final = 86_400
_FIRST_LOOK_S: Final = 1.0
_LOOK_S: Final = 3.0
_KEY_S: Final = 60.0
_OVER: Final = frozenset(
    {"Success", "Failed", "Timeout", "Error", "Invalid", "Aborted", "Cancelled", "Terminated", "Stopped"}
)
_NEVER_RAN: Final = frozenset({"Error", "Invalid", "Aborted", "Cancelled"})

_ZIPPED: Final = "agentbroker-gzip\n"
_TOLD: Final = '/bin/sh "$f.sh" <&3\nc=$?\n'
_PACKED: Final = f"""\
/bin/sh "$f.sh" <&3 >"$f.out"
c=$?
if [ "$(wc -c <"$f.out")" -le 20000 ]; then cat "$f.out"
else printf '%s\\n' {_ZIPPED.strip()}; gzip -c "$f.out" | base64; fi
"""
"""A longer output is packed, so that what a script says at its end is not cut off."""
_MOST_OUTPUT: Final = 4 << 20


class Assistant:
    """A `Transport` over Cloud Assistant."""

    def __init__(self, ask: Ask, clock: Clock) -> None:
        """Nothing is asked yet."""
        self._ask = ask
        self._clock = clock
        self._keys: dict[HostId, str] = {}

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
        until = self._clock.monotonic() + limit_s
        user = reach_of(place).user
        name = f"run-{secrets.token_hex(8)}"
        sealed = ("", "")
        if stdin:
            sealed = await asyncio.to_thread(seal, await self._key(place, user, until), stdin)
        pieces = _pieces(name, script, sealed, packed=heard is None)
        for piece in pieces[:-1]:
            ran = await self._command(place, piece, user, until, None)
            if ran.code != 0:
                return ran
        ran = await self._command(place, pieces[-1], user, until, heard)
        if ran.code == 94:
            self._keys.pop(place.id, None)
            raise HostUnreachable(
                "KeyChanged", "the host has lost its key; it is asked for anew", Reason.SSH_UNREACHABLE
            )
        return _unpacked(ran)

    async def forget(self, host: HostId) -> None:
        """Another host with this id there will never be."""
        self._keys.pop(host, None)

    async def close(self) -> None:
        """There is nothing."""
        self._keys.clear()

    async def _key(self, place: HostPlace, user: str, until: float) -> str:
        if place.id not in self._keys:
            ran = await self._command(place, PUBLIC_KEY, user, min(until, self._clock.monotonic() + _KEY_S), None)
            if ran.code != 0 or "PUBLIC KEY" not in ran.output:
                message = f"no key on the host to seal with: exit code {ran.code}: {ran.output.strip()[-200:]}"
                raise BackendRejected("NoPublicKey", message, Reason.SETUP_FAILED)
            self._keys[place.id] = ran.output
        return self._keys[place.id]

    async def _command(
        self, place: HostPlace, script: str, user: str, until: float, heard: Callable[[str], None] | None
    ) -> Ran:
        left_s = until - self._clock.monotonic()
        request = {
            "Type": "RunShellScript",
            "Name": "agentbroker",
            "InstanceId": [place.ref],
            "CommandContent": base64.b64encode(script.encode()).decode(),
            "ContentEncoding": "Base64",
            "KeepCommand": False,
            "Timeout": min(_MOST_S, max(_LEAST_S, int(left_s))),
            "Username": user,
        }
        try:
            told = await self._ask("ecs:RunCommand", request)
        except BackendError as error:
            raise _away(error) from error
        return await self._end_of(_Invocation(place.ref, str(told.get("InvokeId") or ""), until), heard)

    async def _end_of(self, invocation: "_Invocation", heard: Callable[[str], None] | None) -> Ran:
        lines, pause_s = _Lines(heard), _FIRST_LOOK_S
        while True:
            await self._clock.sleep_until(self._clock.monotonic() + pause_s)
            pause_s = min(_LOOK_S, 1.5 * pause_s)
            result = await self._result(invocation)
            output = _decoded(str(result.get("Output") or ""))
            status = str(result.get("InvocationStatus") or result.get("InvokeRecordStatus") or "")
            lines.tell(output, over=status in _OVER)
            if status in _OVER:
                return _ran(result, status, output)
            if self._clock.monotonic() >= invocation.until:
                raise HostUnreachable("Timeout", f"Cloud Assistant: {status or 'no answer'}", Reason.SSH_UNREACHABLE)

    async def _result(self, invocation: "_Invocation") -> Mapping[str, Any]:
        request = {"InvokeId": invocation.id, "InstanceId": invocation.ref, "ContentEncoding": "Base64"}
        try:
            told = await self._ask("ecs:DescribeInvocationResults", request)
        except BackendError as error:
            if isinstance(error, Throttled) and self._clock.monotonic() < invocation.until:
                return {}
            raise _away(error) from error
        found = items(told.get("Invocation") or {}, ("InvocationResults", "InvocationResult"))
        return found[0] if found else {}


@dataclass(frozen=True, slots=True)
class _Invocation:
    ref: HostRef
    id: str
    until: float


class _Lines:
    """Tells each line once, as soon as it is whole."""

    def __init__(self, heard: Callable[[str], None] | None) -> None:
        self._heard = heard
        self._told = 0

    def tell(self, output: str, *, over: bool) -> None:
        if self._heard is None:
            return
        whole = output if over else output[: output.rfind("\n") + 1]
        for line in lines_of(whole[self._told :]):
            self._heard(line)
        self._told = max(self._told, len(whole))


def _pieces(name: str, script: str, sealed: tuple[str, str], *, packed: bool) -> list[str]:
    """The commands that carry a script over and run it, the last of them; `packed`: nobody reads along."""
    passphrase, secret = sealed
    text = base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()
    texts = {"script": text, **({"sealed": secret} if secret else {})}
    carried = [
        f"{FOLDER}printf %s '{text[n : n + _PIECE]}' >> \"$d/{name}.{kind}\"\n"
        for kind, text in texts.items()
        for n in range(0, len(text), _PIECE)
    ]
    begin = f'{FOLDER}f="$d/{name}"\n'
    opened = f"set -- '{passphrase}' \"$f\"\n{OPEN}" if secret else ': > "$f.stdin"\n'
    run = (
        'openssl base64 -d -A -in "$f.script" 2>/dev/null > "$f.gz" || base64 -d "$f.script" > "$f.gz" || exit 93\n'
        'gzip -dc "$f.gz" > "$f.sh" || exit 93\n'
        'exec 3< "$f.stdin"\nrm -f "$f.stdin" "$f.gz" "$f.script"\n'
        f'{_PACKED if packed else _TOLD}rm -f "$f".*\nexit $c\n'
    )
    inline = "".join(f"printf %s '{text}' > \"$f.{kind}\"\n" for kind, text in texts.items())
    whole = begin + inline + opened + run
    if len(base64.b64encode(whole.encode())) <= _MOST_CONTENT:
        return [whole]
    return [*carried, begin + opened + run]


def _ran(result: Mapping[str, Any], status: str, output: str) -> Ran:
    words = " ".join(str(result.get(name)) for name in ("ErrorCode", "ErrorInfo") if result.get(name))
    if status in _NEVER_RAN:
        raise HostUnreachable(status, f"Cloud Assistant: {words or status}", Reason.SSH_UNREACHABLE)
    code = result.get("ExitCode")
    over = status in {"Success", "Failed"} and code is not None
    return Ran(code=int(code) if over and code is not None else None, output=output, errors=words)


def _unpacked(ran: Ran) -> Ran:
    if not ran.output.startswith(_ZIPPED):
        return ran
    try:
        zipped = base64.b64decode(ran.output.removeprefix(_ZIPPED))
        output = zlib.decompressobj(wbits=31).decompress(zipped, _MOST_OUTPUT)
    except (ValueError, zlib.error):  # cut off all the same
        return replace(ran, output="")
    return replace(ran, output=output.decode(errors="replace"))


def _away(error: BackendError) -> BackendError:
    """Cloud Assistant does not answer for a host that has not booted: come again."""
    if isinstance(error, BackendRejected) and error.reason is Reason.ACCESS_DENIED:
        return error
    return HostUnreachable(error.code, error.message, Reason.SSH_UNREACHABLE)


def _decoded(output: str) -> str:
    try:
        return base64.b64decode(output).decode(errors="replace")
    except binascii.Error:
        return output
