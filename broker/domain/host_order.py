"""What is asked of those who make hosts, and what they answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from broker.domain.ids import ControllerName, HostId, HostRef, PolicyName
from broker.domain.offer import Offering
from broker.domain.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlace:
    """A host of ours as those see it who go there; `Host` says what each is."""

    id: HostId
    pool: Pool
    ref: HostRef
    address: str
    host_key: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOrder:
    """Hosts that one call is to make: of one pool and one offering, for one controller and policy.

    The same token again is the same order with the same hosts in the same order, whatever happened in between.
    """

    token: str
    pool: Pool
    offering: Offering
    hosts: tuple[HostId, ...]
    """At least one, at most `HostBackend.most_hosts_at_once`."""
    controller: ControllerName = ControllerName("")
    policy: PolicyName = PolicyName("")
    job: str = ""
    build_url: str = ""
    """With the job for tags; both empty where the hosts are for more than one build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparing:
    """A host is not ready yet. `step` is what is being done, in words, such as "init script, 40 s"."""

    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A host is ready for agents."""

    host_key: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
