"""Two thousand agents: what one costs in memory, how soon all are back, who survives a killed control plane."""

import signal
import time
from typing import Final

from tests.benchmarks.gateway.load import Load
from tests.benchmarks.gateway.sides import Side

AGENTS: Final = 2000
_WARM: Final = 16
_BURST: Final = 300
_STREAMS: Final = 8
_QUIET_S: Final = 1.0


def memory(load: Load, side: Side, agents: int) -> tuple[float, float]:
    """KiB of an idle agent, before and after 300 of them sent and got 1 MiB; the first ones are the base.

    The agents stay.
    """
    load.ask(side.target)
    load.ask(f"open {_WARM} 16")
    time.sleep(_QUIET_S)
    base = side.pss_kib()
    load.ask(f"open {agents - _WARM} 16")
    time.sleep(_QUIET_S)
    idle = side.pss_kib()
    load.ask(f"both {min(_BURST, agents)} 1024")
    time.sleep(_QUIET_S)
    each = 1 / (agents - _WARM)
    return (idle - base) * each, (side.pss_kib() - base) * each


def cut_by_kill(load: Load, side: Side) -> int:
    """How many agents, among them eight with a stream of 1 GiB, do not survive a SIGKILL of the control plane."""
    agents = int(load.ask("alive")["alive"])
    load.tell(f"bulk {_STREAMS} 128 65536 read")
    time.sleep(0.2)
    plane = side.also[0]
    plane.send_signal(signal.SIGKILL)
    plane.wait()
    streams = load.answer()
    alive = int(load.ask("alive")["alive"])
    return agents - alive + int(streams["failed"])


def alerts(load: Load, side: Side) -> int:
    """TLS alerts that agents and controllers got when either of them ended fifty sessions."""
    load.ask(side.target)
    load.ask("alerts")
    for who in ("agents", "controllers"):
        load.ask("open 50 16")
        load.ask(f"end {who}")
    return int(load.ask("alerts")["alerts"])
