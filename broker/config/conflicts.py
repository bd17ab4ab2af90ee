"""Values that are sound alone and cannot be meant together."""

from collections.abc import Iterable, Mapping
from typing import Final

from broker.config.diagnostics import Diagnostics, Note, Span
from broker.config.model import BrokerFile, GatewayModel
from broker.config.model_policies import PolicyModel
from broker.config.model_pools import PoolModel, TemplateModel
from broker.config.nodes import Node
from broker.config.settings import Address

_MAY_USE_LOCALHOST: Final = "only 'process' pools, and 'container' pools on the host's network, may use localhost"


def check(root: Node, file: BrokerFile, pool_types: Mapping[str, str], diagnostics: Diagnostics) -> None:
    """Reports every one; `root` has inheritance resolved, `pool_types` is the type of each pool's backend."""
    for name, template in file.templates.items():
        _executors(root, name, template, diagnostics)
        _tags(root, name, template, diagnostics)
    for name, policy in file.policies.items():
        _timeouts(root, name, policy, diagnostics)
        _weights(root, name, policy, diagnostics)
        _warm(root, name, policy, diagnostics)
        _room(root, name, policy, file, diagnostics)
    far = [name for name, pool in file.pools.items() if name in pool_types and not _is_near(pool, pool_types[name])]
    if far:
        _advertised(root, file.gateway, far, diagnostics)


def _executors(root: Node, name: str, template: TemplateModel, diagnostics: Diagnostics) -> None:
    """More builds at once than it may run in all: the surplus could never be given away."""
    most = template.retention.max_uses
    if template.abstract or not template.executors > most > 0:
        return
    path = ("templates", name, "retention", "max_uses")
    where = f"is {most} at {root.key(*path)}" if root.has(*path) else f"is {most} by default"
    message = f"template '{name}' has {template.executors} executors, but its agents end after {_times(most)}"
    note = Note("note", f"'retention.max_uses' {where}")
    help_ = Note("help", "raise retention.max_uses (0 is without limit), or use one executor")
    span = root.at("templates", name, "executors").span
    if not diagnostics.has_error_at(span):
        diagnostics.error("executors-over-uses", span, message, note, help_)


def _tags(root: Node, name: str, template: TemplateModel, diagnostics: Diagnostics) -> None:
    """Tags by which the broker knows what it has made."""
    for key in template.tags:
        span = root.key("templates", name, "tags", key)
        if (key == "managed-by" or key.startswith("agentbroker.")) and not diagnostics.has_error_at(span):
            message = f"template '{name}' has the tag '{key}', which the broker sets itself"
            diagnostics.error("tag-reserved", span, message, Note("help", "choose another name"))


def _times(uses: int) -> str:
    return "1 build" if uses == 1 else f"{uses} builds"


def _timeouts(root: Node, name: str, policy: PolicyModel, diagnostics: Diagnostics) -> None:
    """A launch that may take longer than the whole wait."""
    limits = policy.timeouts
    if limits.on_timeout == "fail" and limits.launch > limits.queue:
        path = ("policies", name, "timeouts")
        message = f"policy '{name}' lets a launch take longer than a request may wait"
        note = Note("note", f"'queue' is at {root.key(*path, 'queue')}")
        diagnostics.error("launch-over-queue", root.at(*path, "launch").span, message, note)


def _weights(root: Node, name: str, policy: PolicyModel, diagnostics: Diagnostics) -> None:
    """Weights of which none lets a pool be chosen."""
    if policy.strategy != "weighted" or any(use.weight for use in policy.pools):
        return
    spans = [root.at("policies", name, "pools", n, "weight").span for n in range(len(policy.pools))]
    others = zip(policy.pools[1:], spans[1:], strict=True)
    notes = [Note("note", f"'{use.pool}' has weight 0 at {span}") for use, span in others]
    message = f"every pool of policy '{name}' has weight 0, so none can be chosen"
    help_ = Note("help", "give at least one pool a weight above 0, or use 'strategy: ordered'")
    diagnostics.error("zero-weights", spans[0], message, *notes, help_)


def _warm(root: Node, name: str, policy: PolicyModel, diagnostics: Diagnostics) -> None:
    """More idle agents than there may be agents."""
    most = policy.limits.agents
    if most is None:
        return
    kept: Iterable[tuple[int, Span]] = (
        (policy.warm.min_idle, root.at("policies", name, "warm", "min_idle").span),
        *(
            (change.min_idle, root.at("policies", name, "warm", "schedule", n, "min_idle").span)
            for n, change in enumerate(policy.warm.schedule)
        ),
    )
    for number, span in kept:
        if number > most:
            message = f"policy '{name}' keeps {number} idle agents warm but is limited to {most}"
            note = Note("note", f"'limits.agents' is {most} at {root.key('policies', name, 'limits')}")
            help_ = Note("help", "lower min_idle or raise limits.agents")
            diagnostics.error("warm-over-limit", span, message, note, help_)


def _room(root: Node, name: str, policy: PolicyModel, file: BrokerFile, diagnostics: Diagnostics) -> None:
    """A policy of which no pool may ever hold one agent."""
    called = policy.template or "default"
    template = file.templates.get(called)
    if template is None:
        return
    notes = []
    for used in [use.pool for use in policy.pools] + [step.pool for step in policy.fallback]:
        if (pool := file.pools.get(used)) is None:
            return
        wanted = (("cpu", template.cpu, pool.limits.cpu), ("memory", template.memory, pool.limits.memory))
        short = [key for key, need, most in wanted if need is not None and most is not None and need > most]
        if not short:
            return
        nodes = [(key, root.at("pools", used, "limits", key)) for key in short]
        notes += [Note("note", f"'limits.{key}' of pool '{used}' is {node.data} at {node.span}") for key, node in nodes]
    message = f"no pool of policy '{name}' can hold even one agent of template '{called}'"
    help_ = Note("help", f"raise a pool's limit, or let template '{called}' ask for less")
    diagnostics.error("no-room", root.key("policies", name, "pools"), message, *notes, help_)


def _is_near(pool: PoolModel, kind: str) -> bool:
    """Whether its agents run where `localhost` is the broker, or do not need the gateway."""
    on_host = kind == "container" and getattr(pool, "network", None) == "host"
    return kind == "process" or on_host or pool.abstract or pool.connect == "direct"


def _advertised(root: Node, gateway: GatewayModel, far: list[str], diagnostics: Diagnostics) -> None:
    """An address for agents that means their own machine to them."""
    said = {
        "websocket": _host(gateway.websocket.advertise),
        "tcp": gateway.tcp.advertise.host if gateway.tcp and gateway.tcp.advertise else None,
    }
    for listener, host in said.items():
        if host is not None and _means_here(host):
            span = root.at("gateway", listener, "advertise").span
            message = f"agents in {_pools(far)} cannot reach the broker at '{host}'"
            help_ = f"advertise a name or address that resolves inside their VPC; {_MAY_USE_LOCALHOST}"
            diagnostics.error("unreachable-advertise", span, message, Note("help", help_))
    host = gateway.websocket.listen.host
    if said["websocket"] is None and _means_here(host) and not diagnostics.errors:
        message = f"agents in {_pools(far)} cannot reach the broker at '{host}', which they are told by default"
        help_ = f"set gateway.websocket.advertise to a URL that they can reach; {_MAY_USE_LOCALHOST}"
        diagnostics.warning("unreachable-advertise", root.key("pools", far[0]), message, Note("help", help_))


def _pools(names: list[str]) -> str:
    return f"pools {', '.join(repr(name) for name in names)}" if len(names) > 1 else f"pool '{names[0]}'"


def _means_here(host: str) -> bool:
    address = Address(host, 0)
    return address.is_loopback or address.is_wildcard


def _host(url: str | None) -> str | None:
    """The host of a URL."""
    if url is None:
        return None
    authority = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    host = authority.rpartition(":")[0] if authority.rpartition(":")[2].isdecimal() else authority
    return host.strip("[]")
