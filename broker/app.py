"""The composition root: opens, wires, runs and closes the control plane; it alone names concrete classes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from broker.admission import Admission, KeptCookies
from broker.backends.metered import metered
from broker.backends.registry import TELLS_ITS_CALLS, BackendContext, open_backend
from broker.clock import SystemClock
from broker.config.settings import Config
from broker.domain.definitions import Definitions
from broker.domain.ids import BackendName, ControllerName
from broker.domain.pool import BackendDefinition
from broker.errors import StoreUnavailable
from broker.gateway.control import ControlServer
from broker.gateway.keeping import Keeping
from broker.gateway.linktls import control_at
from broker.incidents import Incidents
from broker.intake import Intake
from broker.introductions import Introductions
from broker.jenkins_files import JenkinsFiles
from broker.keys import Keyring, open_keyring
from broker.ports import Backend, Clock
from broker.reconcile.context import Context
from broker.reconcile.loop import AgentQueue, Loop, Pace
from broker.reconcile.presence import Presence
from broker.reconcile.standstill import last_alive
from broker.reload import Reloader
from broker.rpc.fairness import Fairness
from broker.rpc.interceptors import Guard
from broker.rpc.probe import what_is_wrong
from broker.rpc.server import serving as serving_rpc
from broker.rpc.service import AgentsService
from broker.store.agents import Agents
from broker.store.cookies import SealedCookies
from broker.store.cooldowns import Cooldowns
from broker.store.engine import Database, open_store
from broker.store.history import History
from broker.store.kept import KeptText
from broker.telemetry import events
from broker.telemetry.lag import watch_event_loop
from broker.telemetry.metrics import Metrics
from broker.telemetry.readings import Readings
from broker.tls import Certificates, PemFiles, authorities_in
from broker.version import VERSION
from broker.views.pages import Pages
from broker.views.readings import readings
from broker.web.api.app import mount as mount_api
from broker.web.api.handlers import Handlers
from broker.web.app import Check, create_app
from broker.web.app import serving as serving_http
from broker.web.jenkins import jenkins_routes

_STORE_SILENT: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """A running control plane, with the ports that it listens on."""

    ctx: Context
    intake: Intake
    control: ControlServer
    reloader: Reloader
    grpc_port: int
    http_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What a test or a benchmark puts in the place of the real parts."""

    clock: Clock = field(default_factory=SystemClock)
    backends: Mapping[BackendName, Backend] | None = None
    pace: Pace = field(default_factory=Pace)
    around_database: Callable[[Database], Database] = lambda database: database
    around_backend: Callable[[Backend], Backend] = lambda backend: backend


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
        metrics.config_reloaded(ok=True)
        certificates = open_certificates(config)
        opened = await stack.enter_async_context(open_store(config.server, metrics))
        database = wiring.around_database(opened)
        ctx, queue, control, reloader, introductions = await _wire(config, wiring, database, metrics, stack)
        intake, loop = Intake(ctx), Loop(ctx, queue, wiring.pace)
        await loop.prepare()
        incidents = Incidents(reloader)
        await incidents.recall()
        group = await stack.enter_async_context(asyncio.TaskGroup())
        lag = watch_event_loop(metrics.event_loop_was_late)
        beside = {"reload:tidy": reloader.run(), "incidents": incidents.run(), "introductions": introductions.run()}
        for name, work in {**beside, "event-loop-lag": lag}.items():
            stack.callback(group.create_task(work, name=name).cancel)
        pages = _PublicPages(reloader)
        grpc_port = await stack.enter_async_context(_serving_rpc(config, ctx, intake, certificates, pages))
        http_port = pages.http_port = await stack.enter_async_context(
            _serving_http(incidents, control, certificates, grpc_port)
        )
        looping = group.create_task(loop.run(), name="reconcile")  # last: its first looks, at all agents, take a while
        stack.callback(looping.cancel)
        events.BROKER_STARTED.emit(
            version=VERSION, grpc=f"{config.server.grpc.listen.host}:{grpc_port}", revision=ctx.definitions.revision
        )
        yield Broker(
            ctx=ctx, intake=intake, control=control, reloader=reloader, grpc_port=grpc_port, http_port=http_port
        )
        events.BROKER_STOPPED.emit()


async def _wire(
    config: Config, wiring: Wiring, database: Database, metrics: Metrics, stack: AsyncExitStack
) -> tuple[Context, AgentQueue, ControlServer, Reloader, Introductions]:
    clock, queue = wiring.clock, AgentQueue(wiring.clock)
    agents, presence = Agents(database), Presence(clock)
    keyring = await _open_keys(config, database)
    admission = Admission(agents, presence, keyring, lambda: ctx.definitions)
    at = control_at(config.gateway.control, config.gateway.control_tls)
    keeping = Keeping(gateways=KeptText(database, "gateways"), cookies=KeptCookies(SealedCookies(database), keyring))
    control = ControlServer(at, admission, queue, clock, keeping)
    await control.start()
    stack.push_async_callback(control.close)
    ctx = Context(
        database=database,
        agents=agents,
        cooldowns=Cooldowns(database),
        history=History(database, clock),
        definitions=config.definitions,
        backends={},
        sessions=control,
        presence=presence,
        clock=clock,
        keyring=keyring,
        metrics=metrics,
        nudge=queue,
        host_work=queue.host_work,
        keep_history=config.server.keep_history,
        gateway_url=lambda controller: reloader.config.gateway.agent_url + ctx.definitions.gateway_path(controller),
        agents_use_websocket=lambda: reloader.config.gateway.agents_use_websocket,
        authorities=authorities_in(config.gateway.tls.ca_file if config.gateway.tls else None),
    )
    introductions = Introductions(
        presence, clock, KeptText(database, "identities"), lambda: ctx.definitions, control.tell_controllers
    )
    await introductions.recall()
    ctx.introduced = introductions.said
    opening = _opener(wiring, ctx, config.server.state_dir)
    reloader = Reloader(config, ctx, opening, applies=[lambda _: introductions.tell()])
    stack.push_async_callback(reloader.close)
    used = {pool.backend for pool in config.definitions.pools.values()}
    ctx.backends = {name: opening(b) for name, b in config.definitions.backends.items() if name in used}
    return ctx, queue, control, reloader, introductions


async def _open_keys(config: Config, database: Database) -> Keyring:
    known = await database.recall("broker_key")
    keyring = open_keyring(config.server.keys_dir, known)
    if known is None:
        await database.remember("broker_key", keyring.fingerprint)
    return keyring


def _opener(wiring: Wiring, ctx: Context, state_dir: Path) -> Callable[[BackendDefinition], Backend]:
    """What opens a backend, at the start or for a reload."""

    def controller_url(name: ControllerName) -> str | None:
        found = ctx.definitions.controllers.get(name)
        return found.url if found else None

    context = BackendContext(
        state_dir=state_dir,
        installation=ctx.database.installation,
        sign=ctx.keyring.sign,
        clock=ctx.clock,
        controller_url=controller_url,
        called=ctx.metrics.backend_called,
        place_of=ctx.place_of,
        memory=lambda key: KeptText(ctx.database, f"backend:{key}"),
    )

    def opening(definition: BackendDefinition) -> Backend:
        given = wiring.backends.get(definition.name) if wiring.backends is not None else None
        backend = given or open_backend(definition, context)
        tells = given is None and definition.type in TELLS_ITS_CALLS
        return metered(definition.name, wiring.around_backend(backend), ctx.metrics, tells=tells)

    return opening


@dataclass(slots=True)
class _PublicPages:
    """Where people read, by the config in force; nowhere while the port that the system chooses is not known."""

    reloader: Reloader
    http_port: int = 0

    def __call__(self) -> Pages:
        url = self.reloader.config.server.public_url
        if not url.endswith(":0"):
            return Pages(url)
        return Pages(f"{url.removesuffix('0')}{self.http_port}") if self.http_port else Pages()


@asynccontextmanager
async def _serving_rpc(
    config: Config,
    ctx: Context,
    intake: Intake,
    certificates: Mapping[str, Certificates],
    pages: Callable[[], Pages],
) -> AsyncIterator[int]:
    def definitions() -> Definitions:
        return ctx.definitions

    guard = Guard(definitions, ctx.metrics, Fairness(definitions, ctx.clock))
    service, grace_s = AgentsService(intake, ctx, pages=pages), config.server.shutdown_grace.total_seconds()
    listen, tls = str(config.server.grpc.listen), certificates.get("server.grpc.tls")
    async with serving_rpc(listen, service, guard, tls, grace_s) as port:
        yield port


@asynccontextmanager
async def _serving_http(
    incidents: Incidents, control: ControlServer, certificates: Mapping[str, Certificates], grpc_port: int
) -> AsyncIterator[int]:
    config, ctx = incidents.reloader.config, incidents.reloader.ctx

    async def readiness() -> Sequence[Check]:
        gateways = sum(gateway.accepting for gateway in control.linked_gateways())
        wrong = await what_is_wrong(config.server.grpc.listen.host, grpc_port)
        return (
            await _store_check(ctx),
            Check(name="rpc", ok=not wrong, detail=wrong),
            Check(name="gateway", ok=gateways > 0, detail=f"{gateways} linked" if gateways else "no gateway is linked"),
            *(_certificate_check(key, one, ctx.clock) for key, one in certificates.items()),
        )

    async def read() -> Readings:
        expiries = {key: one.current().expires for key, one in certificates.items()}
        return replace(await readings(ctx), gateway=control.counts(), certificates=expiries)

    listen, tls = config.server.http.listen, certificates.get("server.http.tls")
    app = create_app(ctx.metrics, readiness, read)
    app.add_routes(jenkins_routes(JenkinsFiles()))
    handlers = Handlers(ctx, readiness, control.linked_gateways, incidents.reloader, incidents)
    mount_api(app, handlers, ctx, loopback=listen.is_loopback)
    async with serving_http(app, listen.host, listen.port, tls.context if tls else None) as port:
        yield port


def open_certificates(config: Config) -> dict[str, Certificates]:
    """The certificates of the listeners that speak TLS, by their key in the config. Raises `TlsUnusable`."""
    listeners = {"server.grpc.tls": config.server.grpc, "server.http.tls": config.server.http}
    files = {key: listener.tls for key, listener in listeners.items() if listener.tls is not None}
    return {
        key: Certificates(PemFiles(certificate=f.cert_file, key=f.key_file, client_ca=f.client_ca_file), key)
        for key, f in files.items()
    }


async def _store_check(ctx: Context) -> Check:
    try:
        alive = await last_alive(ctx.database)
    except StoreUnavailable as error:
        return Check(name="store", ok=False, detail=str(error))
    silent = alive is None or ctx.clock.now() - alive >= _STORE_SILENT
    wrong = ctx.database.failing or (f"nothing was written for {_STORE_SILENT}" if silent else "")
    return Check(name="store", ok=not wrong, detail=wrong)


def _certificate_check(key: str, certificates: Certificates, clock: Clock) -> Check:
    expires = certificates.current().expires
    ok = expires > clock.now()
    detail = f"the certificate {'expires' if ok else 'has expired'} at {expires:%F %H:%M} UTC"
    return Check(name=key, ok=ok, detail=detail)
