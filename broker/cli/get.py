"""`agentbroker get`: tables of agents, hosts, pools, policies and controllers."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import click

from broker.cli.exits import WRONG_USAGE, CliError
from broker.cli.options import Session, asks_broker
from broker.cli.output import age, emit_json, emit_line, emit_table, first_line, joined, of_cap, seconds_since

_WATCH_S: Final = 2.0
Item = dict[str, Any]
Row = Callable[[Item], Sequence[str]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A table: its heads and cells, and those that are added by `-o wide`."""

    heads: Sequence[str]
    row: Row
    wide_heads: Sequence[str]
    wide_row: Row


def _agent(item: Item) -> Sequence[str]:
    attempt = f"{item['attempt']}/{item['attempts_allowed']}" if item["attempt"] else "-"
    why = ": ".join(part for part in (item["reason"], first_line(item["message"])) if part)
    names = (item["id"], item["controller"], item["policy"], item["phase"], item["pool"] or "-")
    return (*names, attempt, age(item["age_s"]), why)


def _agent_wide(item: Item) -> Sequence[str]:
    cause = f"{item['cause']} ({item['requested_by']})" if item["requested_by"] else item["cause"]
    return (item["goal"], "yes" if item["busy"] else "no", item["labels"] or "-", item["job"] or "-", cause)


def _host(item: Item) -> Sequence[str]:
    why = item["doing"] or ": ".join(part for part in (item["reason"], first_line(item["message"])) if part)
    agents = of_cap(len(item["agents"]), item["slots"])
    return (item["id"], item["pool"], item["phase"], item["type"] or "-", agents, age(item["age_s"]), why)


def _host_wide(item: Item) -> Sequence[str]:
    names = (item["ref"] or "-", item["address"] or "-", item["zone"] or "-", item["capacity"] or "-")
    return (*names, str(item["uses"]), item["asked_by"] or "-")


def _limit(item: Item, name: str) -> str:
    limit = {limit["name"]: limit for limit in item["limits"]}[name]
    return of_cap(limit["used"], limit["cap"])


def _pool(item: Item) -> Sequence[str]:
    why = ": ".join(part for part in (item["reason"], first_line(item["message"])) if part)
    agents, pending = _limit(item, "agents"), _limit(item, "pending")
    return (item["id"], item["backend"], item["state"], agents, pending, str(item["agents"]["busy"]), why)


def _pool_wide(item: Item) -> Sequence[str]:
    return (item["type"], _limit(item, "cpu_milli"), _limit(item, "memory_mib"), joined(item["policies"]))


def _policy(item: Item) -> Sequence[str]:
    counts = item["agents"]
    numbers = (str(counts["waiting"]), str(counts["starting"]), str(counts["online"]))
    return (
        item["id"],
        joined(item["labels"]),
        *numbers,
        _limit(item, "agents"),
        joined(p["pool"] for p in item["pools"]),
    )


def _policy_wide(item: Item) -> Sequence[str]:
    warm = f"{item['warm']}/{item['warm_wanted']}" if item["warm_wanted"] else "-"
    return (item["strategy"], item["template"], str(item["priority"]), joined(item["controllers"], "all"), warm)


def _controller(item: Item) -> Sequence[str]:
    heard = age(seconds_since(item["last_heard_at"], datetime.now(tz=UTC)))
    row = (item["id"], item["link"], heard, _limit(item, "agents"), joined(item["policies"]))
    return (*row, item.get("remark", ""))  # a broker of an older version says none


def _controller_wide(item: Item) -> Sequence[str]:
    since = age(seconds_since(item["connected_since"], datetime.now(tz=UTC)))
    return (item["url"], since, item.get("version") or "-")


KINDS: Final[Mapping[str, Kind]] = {
    "agents": Kind(
        ("ID", "CONTROLLER", "POLICY", "PHASE", "POOL", "ATTEMPT", "AGE", "WHY"),
        _agent,
        ("GOAL", "BUSY", "LABELS", "JOB", "CAUSE"),
        _agent_wide,
    ),
    "hosts": Kind(
        ("ID", "POOL", "PHASE", "TYPE", "AGENTS", "AGE", "DOING"),
        _host,
        ("REF", "ADDRESS", "ZONE", "CAPACITY", "USES", "ASKED_BY"),
        _host_wide,
    ),
    "pools": Kind(
        ("ID", "BACKEND", "STATE", "AGENTS", "PENDING", "BUSY", "WHY"),
        _pool,
        ("TYPE", "CPU", "MEMORY", "POLICIES"),
        _pool_wide,
    ),
    "policies": Kind(
        ("ID", "LABELS", "WAITING", "STARTING", "ONLINE", "AGENTS", "POOLS"),
        _policy,
        ("STRATEGY", "TEMPLATE", "PRIORITY", "CONTROLLERS", "WARM"),
        _policy_wide,
    ),
    "controllers": Kind(
        ("ID", "LINK", "HEARD", "AGENTS", "POLICIES", "REMARK"),
        _controller,
        ("URL", "CONNECTED", "VERSION"),
        _controller_wide,
    ),
}
_ASKED_OF_THE_BROKER: Final = frozenset({"phase", "policy", "pool", "controller"})


@click.command("get")
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.option("-w", "--watch", is_flag=True, help="Go on: a line for each that changes, until Ctrl-C.")
@click.option("--where", multiple=True, metavar="KEY=VALUE", help="Only those; repeat it for more than one key.")
@click.option("--sort", metavar="KEY", help="By a key of the JSON, or by age: the oldest first.")
@click.option("--all", "gone", is_flag=True, help="Agents that are gone, too.")
@asks_broker
def get(session: Session, kind: str, watch: bool, where: tuple[str, ...], sort: str | None, gone: bool) -> None:
    """Show agents, hosts, pools, policies or controllers.

    \b
    agentbroker get agents --where phase=booting --sort age
    agentbroker get pools -o wide
    agentbroker get agents -w
    """
    wanted = dict(_pair(text) for text in where)

    def read() -> list[Item]:
        items = [i for i in _items(session, kind, wanted, gone=gone) if all(_is(i, k, v) for k, v in wanted.items())]
        return _sorted(items, sort)

    items = read()
    _show(session.output, kind, items, with_heads=True)
    while watch:
        time.sleep(_WATCH_S)
        before, items = {item["id"]: _lasting(item) for item in items}, read()
        changed = [item for item in items if before.get(item["id"]) != _lasting(item)]
        _show("jsonl" if session.output == "json" else session.output, kind, changed, with_heads=False)
        for name in before.keys() - {item["id"] for item in items}:
            click.echo(f"{name} is no longer among them", err=True)


def _lasting(item: Item) -> Item:
    return {key: value for key, value in item.items() if key not in {"age_s", "last_heard_at"}}


def _items(session: Session, kind: str, wanted: Mapping[str, str], *, gone: bool) -> list[Item]:
    if kind != "agents":
        found: list[Item] = session.client.get(kind)["items"]
        return found
    query: dict[str, Any] = {key: wanted[key] for key in _ASKED_OF_THE_BROKER & wanted.keys()}
    query |= {"all": "1"} if gone else {}
    items, after = list[Item](), None
    while True:
        part = session.client.get(kind, **query, after=after)
        items += part["items"]
        after = part["next"]
        if after is None:
            return items


def _pair(text: str) -> tuple[str, str]:
    key, found, value = text.partition("=")
    if not found or not key:
        raise click.UsageError(f"--where {text!r}: write KEY=VALUE, such as --where phase=booting")
    return key, value


def _is(item: Item, key: str, value: str) -> bool:
    if key not in item:
        raise CliError(WRONG_USAGE, f"--where: there is no key {key!r}", f"use one of: {', '.join(_plain(item))}")
    found = item[key]
    told = {None: "", True: "true", False: "false"}.get(found, str(found)) if not isinstance(found, list) else ""
    return told == value


def _plain(item: Item) -> list[str]:
    return [key for key, value in item.items() if not isinstance(value, dict | list)]


def _sorted(items: list[Item], key: str | None) -> list[Item]:
    if key is None or not items:
        return items
    if key == "age" and "created_at" in items[0]:
        return sorted(items, key=lambda item: str(item["created_at"]))
    if key not in _plain(items[0]):
        raise CliError(WRONG_USAGE, f"--sort: there is no key {key!r}", f"use one of: {', '.join(_plain(items[0]))}")
    return sorted(items, key=lambda item: (item[key] is not None, item[key]))


def _cells(output: str, kind: str, item: Item) -> Sequence[str]:
    table = KINDS[kind]
    return (*table.row(item), *table.wide_row(item)) if output == "wide" else table.row(item)


def _show(output: str, kind: str, items: list[Item], *, with_heads: bool) -> None:
    match output:
        case "json":
            emit_json({"api": "v1", "items": items})
        case "jsonl":
            for item in items:
                emit_line(item)
        case "name":
            for item in items:
                click.echo(item["id"])
        case _:
            if not items and with_heads:
                click.echo(f"no {kind}", err=True)
            elif items:
                table = KINDS[kind]
                heads = (*table.heads, *table.wide_heads) if output == "wide" else table.heads
                emit_table(heads, [_cells(output, kind, item) for item in items], with_heads=with_heads)
