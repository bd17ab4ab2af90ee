"""Where agents may run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from broker.domain.host import HostRules
from broker.domain.ids import BackendName, PoolName
from broker.domain.money import Price


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLimits:
    """Caps of a pool; None is without limit. `pending` counts agents launched and not yet online."""

    agents: int | None = None
    pending: int | None = None
    cpu_milli: int | None = None
    memory_mib: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooldown:
    """The breaker: after so many failures within a time, the pool is left alone for a time.

    What is `out_of_stock` is left alone by itself, at once: a zone, a type, or what is paid for in one way.
    """

    after_failures: int = 5
    within: timedelta = timedelta(minutes=2)
    rest: timedelta = timedelta(minutes=5)
    out_of_stock: timedelta = timedelta(minutes=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Direct:
    """How a pool's agents reach Jenkins itself. Empty is the controller's own URL, and TCP as it discovers it.

    `tunnel` is HOST:PORT, HOST: or :PORT of the agent port as they reach it. With `instance_identity`, in base64, they
    ask no URL: they dial `tunnel`, which is whole then, and take only a controller with that key.
    """

    url: str = ""
    tunnel: str = ""
    websocket: bool = False
    instance_identity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A backend with its limits. `options` holds the backend's own keys as the config gives them, already checked.

    `direct` is None where agents connect through the gateway, `cost` where nobody said what it costs.
    """

    name: PoolName
    backend: BackendName
    limits: PoolLimits = PoolLimits()
    cooldown: Cooldown = Cooldown()
    options: Mapping[str, object] = field(default_factory=dict)
    direct: Direct | None = None
    cost: Price | None = None
    hosts: HostRules | None = None
    """Of a pool whose agents are on hosts of ours; None where they are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendDefinition:
    """One account and region (or this machine). `type` is a key of the backends' registry, such as `process`."""

    name: BackendName
    type: str
    options: Mapping[str, object] = field(default_factory=dict)
