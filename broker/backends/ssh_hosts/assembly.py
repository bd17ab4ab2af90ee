"""Puts the backend together."""

from collections.abc import Callable

from broker.backends.ssh.agents import HostAgents
from broker.backends.ssh.over_ssh import SshTransport
from broker.backends.ssh.ownership import Ownership
from broker.backends.ssh.trust import HostKeys
from broker.backends.ssh.watching import Pace
from broker.backends.ssh_hosts.backend import SshHostsBackend
from broker.backends.ssh_hosts.machines import reach_of
from broker.backends.ssh_hosts.taken import Ledger
from broker.domain.host_order import HostPlace
from broker.ports import Clock, Memory


def open_ssh_hosts(
    *,
    installation: str,
    sign: Callable[[str], str],
    clock: Clock,
    memory: Memory,
    place_of: Callable[[str], HostPlace | None],
    pace: Pace | None = None,
) -> SshHostsBackend:
    """A new backend; nothing is connected yet."""
    trust = HostKeys(reach_of)
    agents = HostAgents(
        clock=clock,
        ownership=Ownership(installation, sign),
        place_of=place_of,
        transport=SshTransport(clock, trust, reach_of),
        trust=trust,
        pace=pace,
    )
    return SshHostsBackend(agents, Ledger(memory), place_of)
