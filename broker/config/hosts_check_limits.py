"""Numbers and times of hosts beside one another, and templates that are larger than every host."""

from broker.config.diagnostics import Note
from broker.config.hosts_uses import ALIBABA, Hosts
from broker.config.model_alibaba_parts import HostSize
from broker.config.model_pools import PoolModel, TemplateModel
from broker.config.units import format_duration, format_size

Size = tuple[float | None, int | None]
"""vCPU and MiB; None is not known."""


def check(hosts: Hosts) -> None:
    """Reports numbers that cannot be met, and agents that fit nowhere."""
    for name, pool in hosts.pools.items():
        _fewest(hosts, name, pool)
        _uses(hosts, name, pool)
        _reached(hosts, name, pool)
    _too_large(hosts)
    _boot(hosts)


def _fewest(hosts: Hosts, name: str, pool: PoolModel) -> None:
    fewest, most = pool.limits.min_hosts or 0, pool.limits.hosts
    span = hosts.value("pools", name, "limits", "min_hosts")
    if most is not None and fewest > most:
        message = f"pool '{name}' keeps {fewest} hosts but is limited to {most}"
        note = Note("note", f"'limits.hosts' is {most} at {hosts.key('pools', name, 'limits', 'hosts')}")
        hosts.error("min-over-limit", span, message, "lower min_hosts or raise limits.hosts", note)
    elif pool.hosts is not None and fewest > len(pool.hosts):
        message = f"pool '{name}' keeps {fewest} hosts and names {_machines(len(pool.hosts))}"
        hosts.error("min-over-limit", span, message, "lower min_hosts, or add machines to 'hosts'")


def _machines(count: int) -> str:
    return "1 machine" if count == 1 else f"{count} machines"


def _uses(hosts: Hosts, name: str, pool: PoolModel) -> None:
    most, at_once = (pool.host.max_uses if pool.host else None) or 0, pool.agents_per_host or 1
    if 0 < most < at_once:
        message = f"a host of pool '{name}' takes {most} agents in its life, so never {at_once} at once"
        note = Note("note", f"'agents_per_host' is {at_once} at {hosts.key('pools', name, 'agents_per_host')}")
        span = hosts.value("pools", name, "host", "max_uses")
        hosts.warning("uses-under-slots", span, message, "raise host.max_uses or lower agents_per_host", note)


def _reached(hosts: Hosts, name: str, pool: PoolModel) -> None:
    """A cap on agents that the hosts can never hold."""
    most, each, agents = pool.limits.hosts, pool.agents_per_host, pool.limits.agents
    if pool.hosts is not None:
        slots = [machine.slots or each for machine in pool.hosts.values()]
        whole = [slot for slot in slots if slot is not None]
        room = sum(sorted(whole)[-most:] if most else whole) if len(whole) == len(slots) else None
    else:
        room = most * each if most and each else None
    if room is not None and agents is not None and room < agents:
        message = f"pool '{name}' is limited to {agents} agents, and its hosts hold {room} at most"
        help_ = f"write 'agents: {room}' or remove it, or let there be more hosts"
        hosts.warning("unreachable-limit", hosts.value("pools", name, "limits", "agents"), message, help_)


def _sizes(hosts: Hosts, name: str, pool: PoolModel) -> list[Size]:
    """The sizes that a host may have; empty if one of them is not known."""
    if hosts.kinds[name] == ALIBABA:
        size = pool.host_size or HostSize()
        return [] if pool.instance_types else [(size.cpu, size.memory)]
    return [(machine.cpu, machine.memory) for machine in (pool.hosts or {}).values()]


def _too_large(hosts: Hosts) -> None:
    for use in hosts.uses:
        template = hosts.templates.get(use.template)
        sizes = _sizes(hosts, use.pool, hosts.pools[use.pool])
        if template is None or not sizes or any(_fits(template, size) for size in sizes):
            continue
        wanted = [f"{template.cpu:g} vCPU"] if template.cpu is not None else []
        wanted += [format_size(template.memory)] if template.memory is not None else []
        largest = ", ".join(_told(size) for size in dict.fromkeys(sizes))
        message = f"an agent of template '{use.template}' ({' and '.join(wanted)}) fits on no host of pool '{use.pool}'"
        notes = Note("note", f"its hosts have {largest}"), hosts.used_by(use.template, {use.pool})
        key = "host_size" if hosts.kinds[use.pool] == ALIBABA else "hosts"
        help_ = f"let '{key}' of the pool be larger, or let template '{use.template}' ask for less"
        hosts.error("no-room", hosts.key("pools", use.pool, key), message, help_, *notes)


def _fits(template: TemplateModel, size: Size) -> bool:
    pairs = ((template.cpu, size[0]), (template.memory, size[1]))
    return all(need is None or has is None or need <= has for need, has in pairs)


def _told(size: Size) -> str:
    parts = [f"{size[0]:g} vCPU"] if size[0] is not None else []
    return " and ".join([*parts, *([format_size(size[1])] if size[1] is not None else [])])


def _boot(hosts: Hosts) -> None:
    """Agents that give up before the host that is made for them must be there."""
    for use in hosts.uses:
        policy, pool = hosts.file.policies[use.policy], hosts.pools[use.pool]
        path = ("pools", use.pool, "host", "boot_timeout")
        if not hosts.said(*path) or pool.host is None or pool.host.boot_timeout <= policy.timeouts.boot:
            continue
        mine, theirs = format_duration(pool.host.boot_timeout), format_duration(policy.timeouts.boot)
        message = f"hosts of pool '{use.pool}' may take {mine} to boot, agents of policy '{use.policy}' wait {theirs}"
        at = ("policies", use.policy, "timeouts", "boot")
        where = f"at {hosts.key(*at)}" if hosts.said(*at) else "by default"
        note = Note("note", f"'timeouts.boot' is {theirs} {where}")
        hosts.warning("boot-too-short", hosts.value(*path), message, "raise timeouts.boot of the policy", note)
