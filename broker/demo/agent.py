"""A simulated Jenkins agent: the arguments, the handshake and the retry rules of agent.jar, and builds that only wait.

`python -m broker.demo.agent -url U -secret @FILE -name N -webSocket -workDir D …` stands in for `java -jar agent.jar`
with the same arguments; without -webSocket it speaks JNLP4-connect. Beyond those it knows `-startDelay SECONDS`, which
plays the start of a slow machine.
A build is the text `run ID SECONDS`; the agent waits that long and answers `done ID`.
Imports as little as it can: it is started by the dozen.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from broker.demo.channel import Address, Channel, Closed, Refused, connect, get
from broker.inbound.capability import USUAL

LAUNCH_LOG: Final = "AGENTBROKER_LAUNCH_LOG"
"""Environment variable: the file to which every agent appends a line at its start, so that launches can be counted."""

_FLAGS: Final = frozenset(
    {"-webSocket", "-noReconnect", "-noKeepAlive", "-failIfWorkDirIsMissing", "-noCertificateCheck", "-noreconnect"}
)
if TYPE_CHECKING:
    from broker.demo.port_channel import PortChannel

    Line = Channel | PortChannel
T = TypeVar("T")
_PORT_RETRY_S: Final = 10.0
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def retry_waits() -> Iterator[float]:
    """Seconds between the attempts of one step: 1, 3, 7, then 10 for ever (remoting's ExponentialRetry)."""
    yield from (1.0, 3.0, 7.0)
    while True:
        yield 10.0


def parse(arguments: list[str]) -> dict[str, str]:
    """Options by name without the hyphen; a flag's value is empty. An argument `@FILE` is read from that file."""
    options: dict[str, str] = {}
    rest = iter(arguments)
    for option in rest:
        value = "" if option in _FLAGS else next(rest, "")
        options[option.lstrip("-")] = Path(value[1:]).read_text().strip() if value.startswith("@") else value
    return options


def seconds(text: str) -> float:
    """A duration such as 30s, 10m or 1h in seconds; a bare number counts seconds."""
    unit = _UNITS.get(text[-1:].lower())
    return float(text[:-1]) * unit if unit else float(text)


class Agent:
    """One agent process: connects, runs what it is told, comes back when the connection ends."""

    def __init__(self, options: dict[str, str]) -> None:
        """Takes the parsed options; raises KeyError if url, secret or name is missing."""
        self._url = options["url"]
        self._address = Address(self._url)
        self._websocket = "webSocket" in options
        self._identity = {
            "Node-Name": options["name"],
            "Secret-Key": options["secret"],
            "X-Remoting-Capability": USUAL,
        }
        self._give_up_s = seconds(options["noReconnectAfter"]) if "noReconnectAfter" in options else None
        self._once = "noReconnect" in options or "noreconnect" in options

    def run(self) -> int:
        """Serves until it must give up, or is told to leave; returns the exit code."""
        try:
            return self._serve()
        except Refused as over:
            _say(f"Leaving: {over}")
            return 1

    def _serve(self) -> int:
        while (channel := self._connected()) is not None:
            _say("Connected")
            serve(channel)
            _say("Terminated")
            if self._once:
                return 0
            if not self._websocket:
                time.sleep(_PORT_RETRY_S)
        return 1

    def _connected(self) -> "Line | None":
        """The next connection, however long it takes; None when it is time to give up."""
        deadline = time.monotonic() + self._give_up_s if self._give_up_s is not None else None
        if not self._websocket:
            return _retried(self._by_port, deadline, repeat(_PORT_RETRY_S))
        if not _retried(self._login_answers, deadline):
            return None
        return _retried(self._upgrade, deadline)

    def _login_answers(self) -> bool:
        try:
            status = get(self._address, "login")
        except (OSError, Closed) as error:
            _say(f"Failed to reach {self._address.authority}: {error}")
            return False
        if status != 200:
            _say(f"{self._address.path}login answered {status}")
        return status == 200

    def _by_port(self) -> "Line | None":
        from broker.demo.port_channel import connect_by_port  # noqa: PLC0415  # slow, and seldom needed

        mine = self._identity
        name, secret, cookie = mine["Node-Name"], mine["Secret-Key"], mine.get("Connection-Cookie", "")
        try:
            return self._remember(connect_by_port(self._address, self._url, name=name, secret=secret, cookie=cookie))
        except (OSError, Closed, Refused, ValueError) as error:
            _say(f"Failed to connect: {error}")
            return None

    def _upgrade(self) -> "Line | None":
        try:
            return self._remember(connect(self._address, self._identity))
        except (OSError, Closed, Refused) as error:
            if isinstance(error, Refused) and error.over:
                raise
            _say(f"Failed to connect: {error}")
            return None

    def _remember(self, channel: "Line") -> "Line":
        cookie = channel.headers.get("connection-cookie")
        self._identity.pop("Connection-Cookie", None)
        if cookie:
            self._identity["Connection-Cookie"] = cookie
        return channel


def _retried(step: Callable[[], T], deadline: float | None, waits: Iterable[float] | None = None) -> T | None:
    for wait_s in waits or retry_waits():
        result = step()
        if result:
            return result
        if deadline is not None and time.monotonic() > deadline:
            _say("Giving up: not connected for too long")
            return None
        _say(f"Waiting {wait_s:g} seconds before retry")
        time.sleep(wait_s)
    return None


def serve(channel: "Line") -> None:
    """Runs builds until the connection ends; answers pings all the while. One build at a time, the next ones wait."""
    due: list[tuple[float, str]] = []
    try:
        while True:
            try:
                command = channel.receive(due[0][0] if due else None).decode().split()
            except TimeoutError:
                _, build = due.pop(0)
                _say(f"Build {build} done")
                channel.send(f"done {build}".encode())
                continue
            if command[:1] == ["run"] and len(command) == 3:
                _say(f"Build {command[1]} runs for {command[2]} seconds")
                start = due[-1][0] if due else time.monotonic()
                due.append((start + float(command[2]), command[1]))
    except (Closed, OSError):
        return
    finally:
        channel.close()


def _say(text: str) -> None:
    print(f"INFO: {text}", flush=True)


def _count_launch(name: str) -> None:
    log = os.environ.get(LAUNCH_LOG)
    if log:
        with Path(log).open("a") as file:  # O_APPEND: lines of many agents do not mix
            file.write(f"{name} {os.getpid()} {time.time():.3f}\n")


def main() -> int:
    """Runs one agent with the arguments of the command line."""
    options = parse(sys.argv[1:])
    missing = [option for option in ("url", "secret", "name") if option not in options]
    if missing:
        print(f"missing argument -{missing[0]}", file=sys.stderr)
        return 2
    _count_launch(options["name"])
    time.sleep(float(options.get("startDelay", "0")))
    return Agent(options).run()


if __name__ == "__main__":
    sys.exit(main())
