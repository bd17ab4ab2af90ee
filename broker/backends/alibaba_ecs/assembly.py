"""How the backend is put together of its parts."""

from collections.abc import Callable
from dataclasses import dataclass

from broker.backends.alibaba_ecs.assistant import Assistant
from broker.backends.alibaba_ecs.backend import AlibabaBackend, Parts
from broker.backends.alibaba_ecs.calls import Called, Calls
from broker.backends.alibaba_ecs.codes import NO_ADDRESSES
from broker.backends.alibaba_ecs.console import Consoles
from broker.backends.alibaba_ecs.deleting import Deleter, Releases
from broker.backends.alibaba_ecs.disks import Disks
from broker.backends.alibaba_ecs.entry import Entry, EntryTrust
from broker.backends.alibaba_ecs.keypair import KeyPairs
from broker.backends.alibaba_ecs.listing import Lister
from broker.backends.alibaba_ecs.making import Maker
from broker.backends.alibaba_ecs.market import Market
from broker.backends.alibaba_ecs.network import Network, NetworkOf
from broker.backends.alibaba_ecs.notes import Notes
from broker.backends.alibaba_ecs.offers import Offers
from broker.backends.alibaba_ecs.options import BackendOptions, PoolOptions
from broker.backends.alibaba_ecs.ownership import Ownership
from broker.backends.alibaba_ecs.rates import QUOTAS
from broker.backends.alibaba_ecs.session import Sessions
from broker.backends.alibaba_ecs.ticker import Ticker, Watching
from broker.backends.ssh.agents import HostAgents
from broker.backends.ssh.options import reach_of
from broker.backends.ssh.over_ssh import SshTransport
from broker.backends.ssh.ownership import Ownership as AgentOwnership
from broker.backends.ssh.transport import Transport
from broker.backends.ssh.trust import HostKeys
from broker.backends.throttle import shared
from broker.domain.host_order import HostPlace
from broker.domain.pool import BackendDefinition, Pool
from broker.domain.reason import Reason
from broker.errors import BackendError, BackendRejected, InsufficientCapacity
from broker.ports import Clock, Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the backend uses of the broker. `transport` takes the place of SSH and Cloud Assistant, for tests."""

    installation: str
    sign: Callable[[str], str]
    clock: Clock
    memory: Callable[[str], Memory]
    """By its key."""
    called: Called
    place_of: Callable[[str], HostPlace | None]
    transport: Transport | None = None


def open_alibaba(definition: BackendDefinition, around: Surroundings) -> AlibabaBackend:
    """A new backend; nothing is read or called yet."""
    options, clock = BackendOptions.of(definition), around.clock
    sessions = Sessions(options, clock, definition.name)
    buckets = shared(QUOTAS, sessions.whose, options.region, clock, options.api_rate)
    calls = Calls(sessions, buckets, definition.name, clock, around.called)
    network_of = NetworkOf.of(definition, around.installation, around.sign)
    network = Network(network_of, calls, _memory(around, definition, "network"), clock)
    market = Market(calls, _memory(around, definition, "market"), clock, options.region)
    notes = Notes(_memory(around, definition, "hosts"))
    ownership = Ownership(definition.name, around.installation, around.sign)
    ticker = Ticker(calls, ownership, notes, clock, Watching(poll_s=options.poll_interval))
    world = World(options, network, market, KeyPairs(calls, clock, definition.name))
    parts = Parts(
        calls=calls,
        notes=notes,
        maker=Maker(calls, ownership, notes, world, clock, options.auto_release),
        ticker=ticker,
        deleter=Deleter(calls, ticker, clock),
        releases=Releases(calls, clock, options.auto_release),
        lister=Lister(calls, ownership, notes, clock, ticker.instances),
        offers=world.offers,
        disks=Disks(calls),
        agents=_agents(around, calls),
        clock=clock,
    )
    return AlibabaBackend(parts, around.place_of)


class World:
    """What an order needs beside its pool: `making.Surroundings`."""

    def __init__(self, options: BackendOptions, network: Network, market: Market, pairs: KeyPairs) -> None:
        """Nothing is asked yet."""
        self._options = options
        self._network = network
        self._market = market
        self._pairs = pairs
        self.offers = Offers(market, self.completed)

    async def completed(self, pool: Pool) -> Pool:
        """What is missing is made where the backend may; else it is an error that names the keys.

        Types alone are only chosen, by `host_size`.
        """
        lacking = Network.lacks(pool)
        if not lacking:
            return pool
        if self._options.auto_network or lacking == ("instance_types",):
            return await self._network.complete(pool)
        keys = ", ".join(f"pools.{pool.name}.{key}" for key in lacking)
        message = f"{keys}: not set; set it, or the backend's auto_network"
        raise BackendRejected("Incomplete", message, Reason.NETWORK_UNAVAILABLE)

    async def vswitch(self, pool: Pool, zone: str) -> str:
        """One of the zone with addresses left; without a zone the pool's first."""
        options = PoolOptions.of(pool)
        zones = await self.offers.zones(options)
        if zone and zone not in zones:
            message = f"pools.{pool.name}.vswitches has none in {zone}"
            raise InsufficientCapacity("NoVSwitch", message)
        return self._market.roomiest(zones[zone] if zone else list(options.vswitches))

    async def key_pair(self, pool: Pool) -> str:
        """As `KeyPairs.of`."""
        return await self._pairs.of(pool)

    def doubt(self, vswitch: str, error: BackendError) -> None:
        """What was said of stock or the network may be wrong."""
        if isinstance(error, InsufficientCapacity):
            self._market.doubt(vswitch if error.code in NO_ADDRESSES else "")
        if error.reason is Reason.NETWORK_UNAVAILABLE or isinstance(error, InsufficientCapacity):
            self._network.doubt()


def _agents(around: Surroundings, calls: Calls) -> HostAgents:
    """What happens on hosts: over SSH or Cloud Assistant, as each pool says."""
    trust = EntryTrust(HostKeys(reach_of, Consoles(calls, around.clock).read))
    transport = around.transport or Entry(SshTransport(around.clock, trust), Assistant(calls, around.clock))
    return HostAgents(
        clock=around.clock,
        ownership=AgentOwnership(around.installation, around.sign),
        place_of=around.place_of,
        transport=transport,
        trust=trust,
    )


def _memory(around: Surroundings, definition: BackendDefinition, what: str) -> Memory:
    return around.memory(f"alibaba:{definition.name}:{what}")
