"""The gateway beside HAProxy and nginx on the same work: speed, memory, and what they could not do at all.

The gateway is the project's own, with its dialogue, its relays and a control plane that lets everybody in. HAProxy and
nginx know nothing of agents: they end TLS on both sides, or pass a WebSocket on. Each has one core, the load another.
"""

import asyncio
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from broker.inbound.identity import Identity
from tests.benchmarks.figures import Benchmark, Figure
from tests.benchmarks.gateway import sides, standing
from tests.benchmarks.gateway.load import Load, LoadFailed, Missing
from tests.benchmarks.gateway.pinned import load_average
from tests.benchmarks.gateway.profiles import WAYS, profile
from tests.benchmarks.gateway.rounds import Rounds, tls_work, websocket_work
from tests.benchmarks.gateway.sides import HAPROXY, NGINX, OURS, Side

CODEC = "gateway, WebSocket to TCP"
NO_TICKETS = f"{HAPROXY} without tickets"


class Stand:
    """The load and the files that all sides share; `side` starts one that ends with the context."""

    def __init__(self, directory: Path) -> None:
        """Raises `Missing`."""
        self.directory = directory
        identity = Identity.new()
        certificate, key = identity.certificate(datetime.now(UTC))
        self.certificate, self.key, self.pem = (directory / name for name in ("cert.pem", "key.pem", "both.pem"))
        self.certificate.write_bytes(certificate)
        self.key.write_bytes(key)
        self.pem.write_bytes(certificate + key)
        self.load = Load(directory, identity, self.certificate, self.key)
        self._made = 0

    def gateway(self, agents: str, controllers: str, *, profile: Path | None = None) -> Side:
        """The gateway between these transports."""
        self._made += 1
        directory = self.directory / f"gateway-{self._made}"
        return sides.gateway(self.load, directory, agents=agents, controllers=controllers, profile=profile)

    def haproxy(self, kind: str, *, tickets: bool = True) -> Side:
        """Raises `Missing`."""
        return sides.haproxy(self.load, self.directory, kind=kind, pem=self.pem, tickets=tickets)

    def nginx(self, kind: str) -> Side:
        """Raises `Missing`."""
        return sides.nginx(self.load, self.directory, kind=kind, certificate=self.certificate, key=self.key)


@contextmanager
def _running(*makes: Callable[[], Side]) -> Iterator[list[Side]]:
    """Those that can be had; says on stderr which cannot."""
    with ExitStack() as stack:
        found = []
        for make in makes:
            try:
                found.append(make())
                stack.callback(found[-1].close)
            except Missing as missing:
                print(missing, file=sys.stderr)
        yield found


def _tls(stand: Stand) -> Mapping[str, Figure]:
    rounds = Rounds()
    with _running(
        lambda: stand.gateway("jnlp4", "jnlp4"),
        lambda: stand.haproxy("tls"),
        lambda: stand.nginx("tls"),
        lambda: _renamed(stand.haproxy("tls", tickets=False)),
    ) as found:
        rounds.run(found, partial(tls_work, stand.load))
    if HAPROXY not in rounds.taken:
        return {}
    figure = partial(rounds.figure, of=OURS, to=HAPROXY, others=[NGINX])
    controls = [NGINX, NO_TICKETS]
    return {
        "bulk_tls_1_stream_vs_haproxy": figure("1_mb_per_s", target=">= 0.80, hoped 1.0", unit="MB/s"),
        "bulk_tls_16_streams_vs_haproxy": figure("16_mb_per_s", target=">= 0.85, hoped 1.0", unit="MB/s"),
        "cpu_s_per_gb_vs_haproxy": figure("1_cpu_s_per_gb", target="<= 1.30, hoped 1.00", unit="s/GB"),
        "cpu_s_per_gb_16_vs_haproxy": figure("16_cpu_s_per_gb", target="<= 1.30, hoped 1.00", unit="s/GB"),
        "cpu_s_per_gb_16x8k_vs_haproxy": figure("16x8k_cpu_s_per_gb", target="<= 1.30, hoped 1.00", unit="s/GB"),
        "setup_cpu_whole_dialogue_vs_haproxy_tls": rounds.figure(
            "setup_cpu_ms", OURS, HAPROXY, target="<= 1.9, hoped 1.4", unit="ms", others=controls
        ),
        "pingpong_p99_vs_haproxy": figure("p99_us", target="<= 1.40, hoped 1.00", unit="us"),
        "pingpong_p50_vs_haproxy": figure("p50_us", target="-", unit="us"),
    }


def _websocket(stand: Stand) -> Mapping[str, Figure]:
    rounds = Rounds()
    with _running(
        lambda: stand.gateway("ws", "ws"),
        lambda: _renamed(stand.gateway("ws", "jnlp4"), CODEC),
        lambda: stand.haproxy("ws"),
        lambda: stand.nginx("ws"),
    ) as found:
        rounds.run(found, partial(websocket_work, stand.load))
    told: dict[str, Figure] = {}
    if HAPROXY in rounds.taken:
        told["ws_cpu_s_per_gb_vs_haproxy"] = rounds.figure(
            "ws_cpu_s_per_gb", OURS, HAPROXY, target="<= 0.85, hoped 0.50", unit="s/GB", others=[NGINX]
        )
    if NGINX in rounds.taken:
        told["ws_tcp_codec_cpu_vs_nginx"] = rounds.figure(
            "ws_cpu_s_per_gb", CODEC, NGINX, target="<= 2.0", unit="s/GB", others=[]
        )
    return told


def _renamed(side: Side, name: str = NO_TICKETS) -> Side:
    side.name = name
    return side


def _memory(stand: Stand) -> Mapping[str, Figure]:
    """One after the other, each in a fresh process; then what only the gateway can do."""
    idle, after, told = {}, {}, {}
    for make in (lambda: stand.haproxy("tls"), lambda: stand.nginx("tls"), lambda: stand.gateway("jnlp4", "jnlp4")):
        with _running(make) as found:
            for side in found:
                idle[side.name], after[side.name] = standing.memory(stand.load, side, standing.AGENTS)
                if side.name == OURS:
                    told = _lasting(stand.load, side)
                stand.load.ask("drop")

    def figure(each: Mapping[str, float]) -> Figure:
        how = "; ".join(f"{name} {kib:.1f} KiB" for name, kib in each.items())
        words = f"{standing.AGENTS} agents, TLS on both sides, a fresh process; {how}; load average {load_average()}"
        return Figure(value=round(each[OURS], 1), unit="KiB", target="<= 40", how=words)

    return {"pss_kib_per_idle_agent": figure(idle), "pss_kib_per_agent_after_burst": figure(after), **told}


def _lasting(load: Load, side: Side) -> dict[str, Figure]:
    stormed = load.ask("storm")
    cut = standing.cut_by_kill(load, side)
    many = f"{standing.AGENTS} agents over TCP"
    storm = f"{many} cut at once, until all are back; {stormed['tries']:.0f} tries; load average {load_average()}"
    killed = f"{many}, eight of them with a stream, SIGKILL within it; all asked after"
    return {
        f"reconnect_storm_{standing.AGENTS}_s": Figure(
            value=round(stormed["seconds"], 2), unit="s", target="-", how=storm
        ),
        "sessions_cut_by_control_plane_kill": Figure(value=cut, unit="", target="0", how=killed),
    }


def _alerts(stand: Stand) -> Mapping[str, Figure]:
    counted: dict[str, int] = {}
    makes = (lambda: stand.gateway("jnlp4", "jnlp4"), lambda: stand.haproxy("tls"), lambda: stand.nginx("tls"))
    for make in makes:
        with _running(make) as found:
            for side in found:
                with suppress(LoadFailed):  # nginx may end nothing at all
                    counted[side.name] = standing.alerts(stand.load, side)
                stand.load.ask("drop")
    how = "100 sessions, half ended by agents, half by controllers; " + ", ".join(
        f"{name} {count}" for name, count in counted.items()
    )
    return {"tls_alerts_after_handshake": Figure(value=counted[OURS], unit="", target="0", how=how)}


PARTS: Final = {"tls": _tls, "websocket": _websocket, "memory": _memory, "alerts": _alerts}


def _measure(parts: Collection[str]) -> Mapping[str, Figure]:
    told: dict[str, Figure] = {}
    _with_stand(lambda stand: [told.update(PARTS[name](stand)) for name in parts])
    return told


def _profile(key: str) -> None:
    agents, controllers = WAYS[key]

    def work(stand: Stand) -> None:
        gateway = partial(stand.gateway, agents, controllers)
        profile(stand.load, key, lambda file: gateway(profile=file), stand.directory)

    _with_stand(work)


def _with_stand(work: Callable[[Stand], object]) -> None:
    """Nothing, and why on stderr, where this machine lacks what a stand needs."""
    with tempfile.TemporaryDirectory(prefix="agentbroker-bench-") as folder:
        try:
            stand = Stand(Path(folder))
        except Missing as missing:
            print(missing, file=sys.stderr)
            return
        try:
            work(stand)
        finally:
            stand.load.close()


def gateway(parts: Collection[str] = tuple(PARTS)) -> Benchmark:
    """Measures these parts."""
    return Benchmark(
        name="gateway",
        summary="the gateway beside HAProxy and nginx: speed, memory, set-ups",
        run=partial(asyncio.to_thread, _measure, parts),
        profiles={key: partial(asyncio.to_thread, _profile, key) for key in WAYS},
    )
