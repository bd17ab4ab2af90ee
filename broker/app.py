"""The composition root: opens, wires, runs and closes the control plane; it alone names concrete classes."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

from broker.admission import Admission
from broker.backends.metered import MeteredBackend
from broker.backends.registry import BackendContext, open_backend
from broker.clock import SystemClock
from broker.config.settings import Config, Listener
from broker.domain.definitions import Definitions
from broker.domain.ids import BackendName, ControllerName, PoolName
from broker.errors import BrokerError
from broker.gateway.control import ControlServer
from broker.intake import Intake
from broker.keys import Keyring, open_keyring
from broker.ports import Backend, Clock
from broker.reconcile.context import Context
from broker.reconcile.loop import AgentQueue, Loop, Pace
from broker.reconcile.presence import Presence
from broker.reconcile.standstill import last_alive
from broker.rpc.server import TlsFiles
from broker.rpc.server import serving as serving_rpc
from broker.rpc.service import AgentsService
from broker.store.agents import Agents
from broker.store.cooldowns import Cooldowns
from broker.store.engine import Database, open_database, sole_owner
from broker.store.history import History
from broker.telemetry import events
from broker.telemetry.lag import watch_event_loop
from broker.telemetry.metrics import Metrics
from broker.telemetry.readings import PoolState, Readings, count_agents
from broker.version import VERSION
from broker.web.app import Check, create_app
from broker.web.app import serving as serving_http

_STORE_SILENT: Final = timedelta(seconds=30)


class TlsUnusable(BrokerError):
    """The certificate or the key of a listener cannot be read, or they are none, or not a pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """A running control plane, with the ports that it listens on."""

    ctx: Context
    intake: Intake
    control: ControlServer
    grpc_port: int
    http_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What a test or a benchmark puts in the place of the real parts."""

    clock: Clock = field(default_factory=SystemClock)
    backends: Mapping[BackendName, Backend] | None = None
    pace: Pace = field(default_factory=Pace)


@asynccontextmanager
async def running_broker(config: Config, wiring: Wiring | None = None) -> AsyncIterator[Broker]:
    """Runs the control plane within the block; the gateway is another process.

    Raises `BrokerError`s that name place and fix: ports in use, a state directory or key that cannot be used, a
    database of a newer version. Leaving the block stops taking calls, ends running ones, and leaves agents alone.
    """
    wiring = wiring or Wiring()
    async with AsyncExitStack() as stack:
        metrics = Metrics(wiring.clock)
        metrics.define(config.definitions)
        database = await open_database(config.server.state_dir / "broker.db", metrics)
        stack.push_async_callback(database.close)
        stack.enter_context(sole_owner(config.server.state_dir))
        ctx, queue, control = await _wire(config, wiring, database, metrics, stack)
        intake = Intake(ctx)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        looping = group.create_task(Loop(ctx, queue, wiring.pace).run(), name="reconcile")
        stack.callback(looping.cancel)
        lag = group.create_task(watch_event_loop(metrics.event_loop_was_late), name="event-loop-lag")
        stack.callback(lag.cancel)
        grpc_port = await stack.enter_async_context(_serving_rpc(config, ctx, intake))
        http_port = await stack.enter_async_context(_serving_http(config, ctx, control))
        events.BROKER_STARTED.emit(
            version=VERSION, grpc=f"{config.server.grpc.listen.host}:{grpc_port}", revision=ctx.definitions.revision
        )
        yield Broker(ctx=ctx, intake=intake, control=control, grpc_port=grpc_port, http_port=http_port)
        events.BROKER_STOPPED.emit()


async def _wire(
    config: Config, wiring: Wiring, database: Database, metrics: Metrics, stack: AsyncExitStack
) -> tuple[Context, AgentQueue, ControlServer]:
    clock, queue = wiring.clock, AgentQueue(wiring.clock)
    agents, presence = Agents(database), Presence(clock)
    keyring = await _open_keys(config, database)
    backends = wiring.backends
    if backends is None:
        backends = _open_backends(config, database.installation, keyring, clock)
    for backend in backends.values():
        stack.push_async_callback(backend.close)
    admission = Admission(agents, presence, keyring, lambda: ctx.definitions)
    control = ControlServer(control_path(config), admission, queue, clock)
    await control.start()
    stack.push_async_callback(control.close)
    ctx = Context(
        database=database,
        agents=agents,
        cooldowns=Cooldowns(database),
        history=History(database, clock),
        definitions=config.definitions,
        backends={name: MeteredBackend(name, backend, metrics) for name, backend in backends.items()},
        sessions=control,
        presence=presence,
        clock=clock,
        keyring=keyring,
        metrics=metrics,
        nudge=queue,
        gateway_url=lambda controller: f"{config.gateway.agent_url}/c/{controller}/",
    )
    return ctx, queue, control


async def _open_keys(config: Config, database: Database) -> Keyring:
    known = await database.recall("broker_key")
    keyring = open_keyring(config.server.keys_dir, known)
    if known is None:
        await database.remember("broker_key", keyring.fingerprint)
    return keyring


def control_path(config: Config) -> Path:
    """The control link's socket."""
    return Path(config.gateway.control.removeprefix("unix:"))


def _open_backends(config: Config, installation: str, keyring: Keyring, clock: Clock) -> dict[BackendName, Backend]:
    definitions = config.definitions

    def controller_url(name: ControllerName) -> str | None:
        found = definitions.controllers.get(name)
        return found.url if found else None

    context = BackendContext(
        state_dir=config.server.state_dir,
        installation=installation,
        sign=keyring.sign,
        clock=clock,
        controller_url=controller_url,
    )
    used = {pool.backend for pool in definitions.pools.values()}
    return {name: open_backend(b, context) for name, b in definitions.backends.items() if name in used}


@asynccontextmanager
async def _serving_rpc(config: Config, ctx: Context, intake: Intake) -> AsyncIterator[int]:
    listener = config.server.grpc
    tls = None
    if listener.tls is not None and tls_context(listener, "server.grpc.tls"):
        tls = TlsFiles(certificate=listener.tls.cert_file.read_bytes(), key=listener.tls.key_file.read_bytes())
    service, grace_s = AgentsService(intake, ctx), config.server.shutdown_grace.total_seconds()

    def definitions() -> Definitions:
        return ctx.definitions

    async with serving_rpc(str(listener.listen), service, definitions, ctx.metrics, tls, grace_s) as port:
        yield port


@asynccontextmanager
async def _serving_http(config: Config, ctx: Context, control: ControlServer) -> AsyncIterator[int]:
    async def readiness() -> Sequence[Check]:
        alive, gateways = await last_alive(ctx.database), len(control.linked_gateways())
        writes = alive is not None and ctx.clock.now() - alive < _STORE_SILENT
        return (
            Check(name="store", ok=writes, detail="" if writes else f"nothing was written for {_STORE_SILENT}"),
            Check(name="gateway", ok=gateways > 0, detail=f"{gateways} linked" if gateways else "no gateway is linked"),
        )

    async def read() -> Readings:
        return Readings(
            agents=count_agents(await ctx.agents.live()),
            pools=dict.fromkeys(await _resting_pools(ctx), PoolState.COOLDOWN),
            gateway=control.counts(),
        )

    listener = config.server.http
    context = tls_context(listener, "server.http.tls")
    app = create_app(ctx.metrics, readiness, read)
    async with serving_http(app, listener.listen.host, listener.listen.port, context) as port:
        yield port


def tls_context(listener: Listener, key: str) -> ssl.SSLContext | None:
    """The server's side of TLS, None for a plain listener; `TlsUnusable` names the config's key and both files."""
    if listener.tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(listener.tls.cert_file, listener.tls.key_file)
    except (OSError, ssl.SSLError) as error:
        files = f"{listener.tls.cert_file} and {listener.tls.key_file}"
        raise TlsUnusable(f"{key}: {files} cannot be used: {error.strerror or error}") from error
    return context


async def _resting_pools(ctx: Context) -> list[PoolName]:
    now = ctx.clock.now()
    return [pool for pool, rest in (await ctx.cooldowns.read()).items() if rest.until is not None and rest.until > now]
