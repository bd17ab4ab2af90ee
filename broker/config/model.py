"""The file as a whole, and the nouns `server` and `gateway`."""

import re
from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from broker.config.base import AgentUrl, Model, Text, Url
from broker.config.database import DatabaseModel
from broker.config.model_controllers import ControllerModel, CountLimits, TokenHash
from broker.config.model_policies import PolicyModel
from broker.config.model_pools import CURRENCY, BackendModel, PoolModel, TemplateModel
from broker.config.settings import Address, LogFormat, LogLevel
from broker.config.units import Duration, ListenAddress, SomeTime, describe, pattern_schema, problem

_CONTROL = r"(?:unix:.+|tls://.+:[0-9]{1,5})"


def _cidr(value: object) -> object:
    if isinstance(value, str):
        try:
            ip_network(value)
        except ValueError as error:
            raise problem("bad-network", str(error), "write it such as '10.20.0.0/16'") from error
    return value


def _control(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(_CONTROL, value):
        message = f"expected the address of the control link, got the text '{value}'"
        raise problem("bad-address", message, "write 'unix:/path/to/control.sock' or 'tls://HOST:PORT'")
    return value


def _worth(value: object) -> object:
    if isinstance(value, bool) or not (isinstance(value, str) or (isinstance(value, int | float) and value > 0)):
        raise problem("wrong-type", f"expected what a unit is worth, got {describe(value)}", "write a number above 0")
    return value


Worth = Annotated[object, BeforeValidator(_worth)]
Currencies = Annotated[
    dict[str, Worth],
    WithJsonSchema(
        {
            "type": "object",
            "properties": {"base": {"type": "string", "pattern": f"^{CURRENCY}$"}},
            "propertyNames": {"pattern": f"^{CURRENCY}$"},
            "additionalProperties": {"type": "number", "minimum": 1e-9, "maximum": 1e9},
        }
    ),
]
Control = Annotated[str, BeforeValidator(_control), pattern_schema(_CONTROL, "unix:/run/agentbroker/control.sock")]
Cidr = Annotated[str, BeforeValidator(_cidr)]


class ServerTls(Model):
    """PEM files of a listener of the control plane."""

    cert_file: Text = Field(description="Certificate chain, PEM.", examples=["/etc/agentbroker/tls.crt"])
    key_file: Text = Field(
        description="Private key, PEM; readable by the broker's user alone.", examples=["/etc/agentbroker/tls.key"]
    )
    client_ca_file: Text | None = Field(
        default=None,
        description="CA of clients; set, it demands a client certificate.",
        examples=["/etc/agentbroker/jenkins-ca.crt"],
    )


class HttpListener(Model):
    """Status page, API, metrics, health."""

    listen: ListenAddress = Field(default=Address("127.0.0.1", 7070), description="Address and port.")
    tls: ServerTls | None = Field(default=None, description="Certificate and key.")


class GrpcListener(Model):
    """What Jenkins calls."""

    listen: ListenAddress = Field(
        default=Address("127.0.0.1", 7071), description="Address and port; beyond loopback with tls."
    )
    tls: ServerTls | None = Field(default=None, description="Certificate and key; client_ca_file asks for mutual TLS.")


class LogModel(Model):
    """The broker's own log."""

    level: LogLevel = Field(default="info", description="The least level that is written.")
    format: LogFormat = Field(default="console", description="console for people, json for machines.")


class OperatorToken(Model):
    """A person or a program that uses the operators' API."""

    noun: ClassVar[str] = "a token"
    role: Literal["viewer", "operator"] = Field(default="viewer", description="viewer reads, operator changes.")
    token_sha256: TokenHash = Field(description="SHA-256 of the token, in hex.")


class Auth(Model):
    """Who may use the operators' API."""

    tokens: dict[str, OperatorToken] = Field(default={}, description="Tokens by the name of their owner.")


class ServerModel(Model):
    """What people, Jenkins and Prometheus talk to."""

    http: HttpListener = Field(default=HttpListener(), description="Status page, API, metrics, health.")
    grpc: GrpcListener = Field(default=GrpcListener(), description="What Jenkins calls.")
    public_url: Url | None = Field(
        default=None,
        description="Where people reach server.http, for links in Jenkins; default: its own URL if it is on loopback.",
        examples=["https://broker.ci.example.com"],
    )
    state_dir: Text = Field(
        default="/var/lib/agentbroker", description="Database and work directories: survives a restart."
    )
    keys_dir: Text | None = Field(
        default=None,
        description="Broker key and gateway identity; default: keys in state_dir.",
        examples=["/etc/agentbroker/keys"],
    )
    database: DatabaseModel | None = Field(
        default=None, description="A PostgreSQL database; default: SQLite, broker.db in state_dir."
    )
    keep_history: Duration = Field(
        default=timedelta(days=14),
        description="How long an agent that is gone is kept with its history; until then its name is not used again.",
    )
    shutdown_grace: Duration = Field(
        default=timedelta(seconds=30), description="How long a stop waits for calls in flight."
    )
    log: LogModel = Field(default=LogModel(), description="The broker's own log.")
    auth: Auth = Field(default=Auth(), description="Operators' tokens.")
    limits: CountLimits = Field(default=CountLimits(), description="Caps over everything.")


class WebSocketListener(Model):
    """Agents over WebSocket."""

    listen: ListenAddress = Field(default=Address("127.0.0.1", 7073), description="Address and port.")
    advertise: AgentUrl | None = Field(
        default=None,
        description="The URL that agents are given; default: ws:// and listen.",
        examples=["wss://agents.ci.example.com"],
    )


class TcpListener(Model):
    """Agents over TCP."""

    listen: ListenAddress = Field(default=Address("127.0.0.1", 7072), description="Address and port.")
    advertise: ListenAddress | None = Field(
        default=None,
        description="HOST:PORT that agents are given; default: listen.",
        examples=["agents.ci.example.com:7072"],
    )


class GatewayTls(Model):
    """PEM files of the gateway."""

    cert_file: Text = Field(description="Certificate chain, PEM.", examples=["/etc/agentbroker/agents.crt"])
    key_file: Text = Field(
        description="Private key, PEM; readable by the gateway's user alone.", examples=["/etc/agentbroker/agents.key"]
    )
    ca_file: Text | None = Field(
        default=None,
        description="CAs that agents of the gateway are told to trust, if their own do not do.",
        examples=["/etc/agentbroker/ca.crt"],
    )


class ControlTls(Model):
    """PEM files of the control link over TCP; each end has its own."""

    cert_file: Text = Field(
        description="This end's certificate: the gateway's carries the DNS name agentbroker-gateway, "
        "the control plane's the host of gateway.control.",
        examples=["/etc/agentbroker/link.crt"],
    )
    key_file: Text = Field(description="Its private key, PEM.", examples=["/etc/agentbroker/link.key"])
    ca_file: Text = Field(
        description="The CA of the other end's certificate, best one for this link alone.",
        examples=["/etc/agentbroker/link-ca.crt"],
    )


class GatewayHttp(Model):
    """Health and metrics of a gateway that is a unit of its own."""

    listen: ListenAddress = Field(description="Address and port.")


class Ping(Model):
    """How a dead connection is noticed."""

    interval: SomeTime = Field(default=timedelta(seconds=20), description="Time between two pings.")
    timeout: SomeTime = Field(default=timedelta(seconds=60), description="Silence after which a session is lost.")


class GatewayModel(Model):
    """Where agents connect; never to Jenkins."""

    websocket: WebSocketListener = Field(default=WebSocketListener(), description="Agents over WebSocket.")
    tcp: TcpListener | None = Field(default=None, description="Agents over TCP.")
    tls: GatewayTls | None = Field(default=None, description="Certificate and key of the gateway.")
    control: Control | None = Field(
        default=None, description="The control link: unix:PATH (default: control.sock in state_dir) or tls://HOST:PORT."
    )
    control_tls: ControlTls | None = Field(
        default=None, description="Certificates of a control link over TCP; tls:// needs them."
    )
    http: GatewayHttp | None = Field(
        default=None, description="Health and metrics of a gateway that is a unit of its own."
    )
    prefer: Literal["websocket", "tcp"] = Field(default="websocket", description="What agents use that could use both.")
    processes: Annotated[int, Field(ge=1, le=64)] = Field(
        default=1, description="Gateway processes on one port; each uses one core at most."
    )
    allow_cidrs: list[Cidr] | None = Field(
        default=None, description="Networks that agents may come from; default: all.", examples=[["10.20.0.0/16"]]
    )
    drain_timeout: SomeTime = Field(
        default=timedelta(hours=6), description="How long an old gateway keeps its sessions."
    )
    ping: Ping = Field(default=Ping(), description="How a dead connection is noticed.")


def _no_boolean(value: object) -> object:
    """Python takes true for 1, nobody else does."""
    if isinstance(value, bool):
        raise problem("unknown-value", f"{describe(value)} is not a value of 'version'", "write 'version: 1'")
    return value


class BrokerFile(Model):
    """`broker.yaml`."""

    noun: ClassVar[str] = "the file"
    version: Annotated[Literal[1], BeforeValidator(_no_boolean)] = Field(description="Version of the format.")
    server: ServerModel = Field(default=ServerModel(), description="What people, Jenkins and Prometheus talk to.")
    currencies: Currencies = Field(
        default={},
        description="The base currency, and what one of another is worth.",
        examples=[{"base": "USD", "CNY": 0.14}],
    )
    controllers: dict[str, ControllerModel] = Field(default={}, description="The Jenkinses that talk to this broker.")
    gateway: GatewayModel = Field(default=GatewayModel(), description="Where agents connect.")
    backends: dict[str, BackendModel] = Field(default={}, description="Cloud accounts with region and credentials.")
    templates: dict[str, TemplateModel] = Field(default={}, description="What an agent is.")
    pools: dict[str, PoolModel] = Field(default={}, description="Where agents may run.")
    policies: dict[str, PolicyModel] = Field(default={}, description="Which label runs where, and how.")
