"""The gateway process: owns every agent's connection, and needs the control plane only to let a new one in."""

import asyncio
import os
import resource
from dataclasses import replace
from socket import socket

from broker.gateway.door import Door
from broker.gateway.door_ws import WebSocketDoor
from broker.gateway.health import Health, HealthPages
from broker.gateway.identity import load_identity
from broker.gateway.link import Controllers, Draining, End, Hello
from broker.gateway.linkclient import ControlLink, LinkSource, new_id
from broker.gateway.listener import Listener, listen
from broker.gateway.live import LiveSessions
from broker.gateway.lookout import Lookout
from broker.gateway.memory import Trimmer
from broker.gateway.pages import AgentPages
from broker.gateway.port import Discovery, PortListener
from broker.gateway.reactor import LoopReactor
from broker.gateway.settings import GatewaySettings
from broker.gateway.sockets import process_started, this_host
from broker.gateway.upstream import Upstream
from broker.inbound.readiness import readiness
from broker.telemetry.events import (
    CONTROLLERS_REFUSED,
    GATEWAY_DRAIN_ENDED,
    GATEWAY_DRAINING,
    GATEWAY_STARTED,
    GATEWAY_STOPPED,
)
from broker.tls import Certificates, PemFiles
from broker.version import VERSION


class Gateway:
    """One gateway: listens from the moment it is made, serves while `run` runs."""

    def __init__(self, settings: GatewaySettings, generation: int = 0) -> None:
        """Raises `GatewayError` for an address that cannot be had, `TlsUnusable` or ValueError for other settings."""
        self.id = new_id()
        self._generation = generation
        self._drains = asyncio.Event()
        self._listeners: list[Listener] = []
        self._settings = settings = replace(settings, limits=settings.limits.within(_descriptors()))
        tls = _certificates(settings)
        self._live = LiveSessions((lambda: tls.current().expires) if tls else (lambda: None))
        self._lookout = Lookout(lambda: [live.relay for live in self._live], settings.presence)
        self._upstream = Upstream(settings)
        self._reactor = LoopReactor()
        readiness()  # its descriptor is there from the start, however few there may be later
        source = LinkSource(
            hello=self._hello, counts=self._live.counts, end=self._end, controllers=self._know_controllers
        )
        self._link = ControlLink(settings.control, source)
        door = Door(settings.limits, self._upstream, self._link, self._live, self._reactor, settings.presence)
        port = self._port(settings, door)
        pages = AgentPages(settings.limits, self._upstream, WebSocketDoor(settings.limits, door), port)
        health = HealthPages(settings.limits, self.health)
        sock = listen(settings.listen_host, settings.listen_port, shared=settings.shares_ports)
        self.address = _address(sock)
        context, limits, presence = tls.context if tls else None, settings.limits, settings.presence
        allowed = settings.allow_cidrs
        self._listeners.append(Listener(sock, context, limits, pages.serve, presence, self._live, allowed))
        self.http_address = ""
        if settings.http_port is not None:
            sock = listen(settings.http_host, settings.http_port)
            self.http_address = _address(sock)
            self._listeners.append(Listener(sock, None, limits, health.serve))

    def _port(self, settings: GatewaySettings, door: Door) -> Discovery | None:
        """Listens for agents over TCP, if it is to."""
        self.tcp_address = ""
        if settings.tcp_port is None or settings.identity is None:
            return None
        identity = load_identity(settings.identity)
        sock = listen(settings.tcp_host, settings.tcp_port, shared=settings.shares_ports)
        self.tcp_address = _address(sock)
        self._listeners.append(
            PortListener(sock, identity, settings.limits, door, settings.presence, self._live, settings.allow_cidrs)
        )
        host, port = sock.getsockname()[:2]
        told_host, told_port = settings.tcp_advertise or (host, port)
        return Discovery(
            (told_host, told_port or port), identity, self._link, self._upstream.facts, settings.limits.admit_s
        )

    def drain(self) -> None:
        """Accepts nobody any more; `run` returns when the last session has ended, or their time is over.

        Who has connected already may still come in. Safe to repeat.
        """
        self._drains.set()

    @property
    def draining(self) -> bool:
        """Whether it was told to drain."""
        return self._drains.is_set()

    def health(self) -> Health:
        """How it stands."""
        sessions = len(self._live) if self.draining else 0
        return Health(up=self._link.up, counts=self._live.counts(), accepting=int(not self.draining), draining=sessions)

    async def run(self) -> None:
        """Serves until it has drained or is cancelled; then all sessions end, with what is pending delivered."""
        GATEWAY_STARTED.emit(gateway=self.id, listen=self.address, pid=os.getpid())
        try:
            async with asyncio.TaskGroup() as group:
                others = [
                    group.create_task(self._link.run(), name="gateway:link"),
                    group.create_task(Trimmer(self._ended).run(), name="gateway:memory"),
                    group.create_task(self._lookout.run(), name="gateway:lookout"),
                ]
                listening = [group.create_task(each.run(), name="gateway:listener") for each in self._listeners]
                await self._drains.wait()
                await self._drained(listening)
                for task in [*others, *listening]:
                    task.cancel()
        finally:
            await self._end_all()
            GATEWAY_STOPPED.emit(gateway=self.id)

    async def _drained(self, listening: list[asyncio.Task[None]]) -> None:
        """Returns when the last session has ended, and at the latest after the time that they have."""
        GATEWAY_DRAINING.emit(gateway=self.id, pid=os.getpid(), sessions=len(self._live))
        self._link.tell(Draining())
        for listener in self._listeners:
            listener.stop()
        try:
            async with asyncio.timeout(self._settings.drain_timeout_s):
                await asyncio.wait(listening)
                await self._live.all_over()
        except TimeoutError:
            GATEWAY_DRAIN_ENDED.emit(gateway=self.id, pid=os.getpid(), sessions=len(self._live))

    async def _end_all(self) -> None:
        for live in self._live:
            live.relay.end()
        await self._live.all_over()  # each takes no longer than its grace
        self._reactor.close()

    def _ended(self) -> int:
        return self._live.ended + sum(listener.ended for listener in self._listeners)

    def _hello(self) -> Hello:
        pid = os.getpid()
        return Hello(
            gateway=self.id,
            pid=pid,
            started=process_started(pid) or 0,
            version=VERSION,
            listen=self.address,
            host=this_host(),
            accepting=not self.draining,
            generation=self._generation,
            sessions=tuple(live.linked() for live in self._live),
        )

    def _know_controllers(self, known: Controllers) -> None:
        try:
            self._upstream.replace(known.urls, known.paths, known.tcp, known.facts)
        except (ValueError, OSError) as error:  # those that it knew stay
            CONTROLLERS_REFUSED.emit(message=str(error))

    def _end(self, order: End) -> None:
        live = self._live.get(order.session)
        if live is not None:
            live.message = order.message
            live.relay.end()


def _address(sock: socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _certificates(settings: GatewaySettings) -> Certificates | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Certificates(PemFiles(certificate=settings.tls_cert, key=settings.tls_key), "gateway.tls")


def _descriptors() -> int:
    """Takes all that this user may have, and says how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
