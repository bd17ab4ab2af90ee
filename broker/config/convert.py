"""From the file's models to what the broker works with."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from broker.config import convert_alibaba, convert_ecs, convert_hosts
from broker.config.convert_policies import DEFAULT_TEMPLATE, to_policy
from broker.config.currencies import Currencies
from broker.config.database import DatabaseModel
from broker.config.model import (
    BrokerFile,
    ControlTls,
    GatewayModel,
    GatewayTls,
    ServerModel,
    ServerTls,
)
from broker.config.model_controllers import ControllerModel, CountLimits
from broker.config.model_pools import BACKEND_KEYS, POOL_KEYS, BackendModel, Cost, DirectModel, PoolModel, TemplateModel
from broker.config.mounts import to_mount
from broker.config.settings import (
    Address,
    DatabaseSettings,
    GatewaySettings,
    Listener,
    LogSettings,
    ServerSettings,
    TlsFiles,
)
from broker.config.units import milli, read_rate
from broker.domain.definitions import Controller, Definitions, Rate
from broker.domain.ids import BackendName, ControllerName, PolicyName, PoolName, TemplateName
from broker.domain.money import Price
from broker.domain.operators import Operator, Role
from broker.domain.policy import AgentLimits
from broker.domain.pool import BackendDefinition, Cooldown, Direct, Pool, PoolLimits
from broker.domain.resources import Resources
from broker.domain.template import Inject, Retention, Template


def to_server(server: ServerModel, base: Path) -> ServerSettings:
    """The control plane's settings; relative file names start at `base`."""
    state_dir = base / server.state_dir
    scheme, listen = "https" if server.http.tls else "http", server.http.listen
    return ServerSettings(
        http=Listener(listen=server.http.listen, tls=_tls(server.http.tls, base)),
        grpc=Listener(listen=server.grpc.listen, tls=_tls(server.grpc.tls, base)),
        public_url=(server.public_url or (f"{scheme}://{listen}" if listen.is_loopback else "")).rstrip("/"),
        state_dir=state_dir,
        keys_dir=base / server.keys_dir if server.keys_dir else state_dir / "keys",
        shutdown_grace=server.shutdown_grace,
        log=LogSettings(level=server.log.level, format=server.log.format),
        database=_database(server.database, base),
        keep_history=server.keep_history,
    )


def _database(database: DatabaseModel | None, base: Path) -> DatabaseSettings | None:
    if database is None:
        return None
    file = base / database.password_file if database.password_file else None
    return DatabaseSettings(url=database.url, password_file=file)


def to_gateway(gateway: GatewayModel, server: ServerSettings, base: Path) -> GatewaySettings:
    """The gateway's settings; the control link defaults to a socket in the control plane's state directory."""
    scheme = "wss" if gateway.tls else "ws"
    websocket = gateway.websocket
    control = gateway.control or f"unix:{server.state_dir / 'control.sock'}"
    if control.startswith("unix:"):
        control = f"unix:{base / control.removeprefix('unix:')}"
    return GatewaySettings(
        websocket=websocket.listen,
        advertise=(websocket.advertise or f"{scheme}://{_reachable(websocket.listen)}").rstrip("/"),
        tls=_tls(gateway.tls, base),
        control=control,
        control_tls=_link_tls(gateway.control_tls, base),
        http=gateway.http.listen if gateway.http else None,
        processes=gateway.processes,
        ping_interval=gateway.ping.interval,
        ping_timeout=gateway.ping.timeout,
        drain_timeout=gateway.drain_timeout,
        tcp=gateway.tcp.listen if gateway.tcp else None,
        tcp_advertise=(gateway.tcp.advertise or _reachable(gateway.tcp.listen)) if gateway.tcp else None,
        prefer=gateway.prefer,
        identity=server.keys_dir / "gateway-identity.pem",
        allow_cidrs=tuple(gateway.allow_cidrs or ()),
    )


def _reachable(address: Address) -> Address:
    """An address to connect to: loopback stands in for "every address"."""
    if not address.is_wildcard:
        return address
    return Address("::1" if ":" in address.host else "127.0.0.1", address.port)


def _tls(tls: ServerTls | GatewayTls | None, base: Path) -> TlsFiles | None:
    if tls is None:
        return None
    client_ca = tls.client_ca_file if isinstance(tls, ServerTls) else None
    ca = tls.ca_file if isinstance(tls, GatewayTls) else None
    return TlsFiles(
        cert_file=base / tls.cert_file,
        key_file=base / tls.key_file,
        client_ca_file=base / client_ca if client_ca else None,
        ca_file=base / ca if ca else None,
    )


def _link_tls(tls: ControlTls | None, base: Path) -> TlsFiles | None:
    if tls is None:
        return None
    return TlsFiles(cert_file=base / tls.cert_file, key_file=base / tls.key_file, client_ca_file=base / tls.ca_file)


def to_definitions(file: BrokerFile, pool_types: Mapping[str, str], base: Path) -> Definitions:
    """The core's view of a file whose names are known to fit; abstract templates and pools are left out."""
    templates = {name: _template(name, t) for name, t in file.templates.items() if not t.abstract}
    templates.setdefault(DEFAULT_TEMPLATE, Template(name=TemplateName(DEFAULT_TEMPLATE)))
    pools = {name: p for name, p in file.pools.items() if not p.abstract}
    backends: dict[str, str] = {name: b.type for name, b in file.backends.items()}
    backends |= {p.backend: pool_types[name] for name, p in pools.items()}
    currencies = Currencies(file.currencies)
    return Definitions(
        revision=revision(file),
        controllers={ControllerName(name): _controller(name, c, base) for name, c in file.controllers.items()},
        backends={BackendName(name): _backend(name, kind, file, base) for name, kind in backends.items()},
        templates={TemplateName(name): t for name, t in templates.items()},
        pools={PoolName(name): _pool(name, p, pool_types[name], base, currencies) for name, p in pools.items()},
        policies={PolicyName(name): to_policy(name, p, currencies) for name, p in file.policies.items()},
        limits=_limits(file.server.limits),
        currency=currencies.base,
        operators=tuple(
            Operator(name=name, role=Role(token.role), token_sha256=token.token_sha256)
            for name, token in file.server.auth.tokens.items()
        ),
    )


def revision(file: BrokerFile) -> str:
    """A short hash of everything that the file says or leaves to defaults; comments and order of maps do not count.

    The order of policies does: the first that fits gets the job.
    """
    content = file.model_dump(mode="json", by_alias=True)
    content["policies"] = list(content["policies"].items())
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _limits(limits: CountLimits) -> AgentLimits:
    return AgentLimits(agents=limits.agents, pending=limits.pending)


def _controller(name: str, controller: ControllerModel, base: Path) -> Controller:
    return Controller(
        name=ControllerName(name),
        url=controller.url.rstrip("/") + "/",
        token_sha256=tuple(controller.token_sha256),
        limits=_limits(controller.limits),
        labels=None if controller.labels is None else tuple(controller.labels),
        rate=_rate(controller.rate),
        path=f"/{path}/" if (path := (controller.path or "").strip("/")) else controller.path or "",
        agents_by_tcp=controller.agents == "tcp",
        instance_identity=controller.instance_identity or "",
        agent_address=(found.host, found.port) if (found := controller.agent_address) else None,
        ca_file=str(base / controller.ca_file) if controller.ca_file else "",
    )


def _rate(text: str | None) -> Rate | None:
    if text is None:
        return None
    count, per = read_rate(text)
    return Rate(count=count, per=per)


def _backend(name: str, kind: str, file: BrokerFile, base: Path) -> BackendDefinition:
    model = file.backends.get(name)
    options: dict[str, object] = {}
    if model is not None:
        options = _backend_options(model, kind, base)
    return BackendDefinition(name=BackendName(name), type=kind, options=options)


def _backend_options(model: BackendModel, kind: str, base: Path) -> dict[str, object]:
    if kind == "aws-ecs":
        return convert_ecs.backend_options(model, base)
    if kind == "alibaba-ecs":
        return convert_alibaba.backend_options(model, base)
    return model.model_dump(include=set(BACKEND_KEYS[kind]), exclude_none=True)


def _template(name: str, template: TemplateModel) -> Template:
    return Template(
        name=TemplateName(name),
        image=template.image,
        resources=Resources(cpu_milli=milli(template.cpu) or 0, memory_mib=template.memory or 0),
        executors=template.executors,
        remote_fs=template.remote_fs or "",
        retention=Retention(
            max_uses=template.retention.max_uses,
            idle_timeout=template.retention.idle_timeout,
            max_lifetime=template.retention.max_lifetime,
        ),
        env=dict(template.env),
        inject=Inject(template.inject),
        user=template.user or "",
        read_only=template.read_only,
        mounts=tuple(to_mount(text) for text in template.mounts),
        tags=dict(template.tags),
        unique_remote_fs=template.unique_remote_fs,
        options=convert_ecs.template_options(template),
    )


def _pool(name: str, pool: PoolModel, kind: str, base: Path, currencies: Currencies) -> Pool:
    limits = pool.limits
    return Pool(
        name=PoolName(name),
        backend=BackendName(pool.backend),
        limits=PoolLimits(
            agents=limits.agents,
            pending=limits.pending,
            cpu_milli=milli(limits.cpu),
            memory_mib=limits.memory,
        ),
        cooldown=Cooldown(
            after_failures=pool.cooldown.after_failures, within=pool.cooldown.within, rest=pool.cooldown.rest
        ),
        options=_pool_options(pool, kind, base),
        direct=_direct(pool),
        cost=_price(pool.cost, currencies),
        hosts=convert_hosts.rules(pool, kind),
    )


def _pool_options(pool: PoolModel, kind: str, base: Path) -> dict[str, object]:
    if kind == "aws-ecs":
        return convert_ecs.pool_options(pool)
    if kind == "alibaba-ecs":
        return convert_alibaba.pool_options(pool, base)
    if kind == "ssh-hosts":
        return convert_hosts.pool_options(pool, kind, base)
    options = pool.model_dump(include=set(POOL_KEYS[kind]), exclude_none=True, by_alias=True)
    if pool.agent_jar:
        options["agent_jar"] = str(base / pool.agent_jar)
    return options


def _price(cost: Cost | None, currencies: Currencies) -> Price | None:
    if cost is None:
        return None
    return Price(
        cpu_hour=currencies.micros(cost.cpu_hour or 0, cost.currency),
        memory_gib_hour=currencies.micros(cost.memory_gib_hour or 0, cost.currency),
        host_hour=currencies.micros(cost.host_hour or 0, cost.currency),
        currency=cost.currency or currencies.base,
    )


def _direct(pool: PoolModel) -> Direct | None:
    if pool.connect != "direct":
        return None
    said = pool.direct or DirectModel()
    return Direct(
        url=said.url.rstrip("/") + "/" if said.url else "",
        tunnel=said.tunnel or "",
        websocket=said.websocket,
        instance_identity=said.instance_identity or "",
    )
