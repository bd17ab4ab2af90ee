"""`agentbroker status`: the broker in a few lines."""

from datetime import UTC, datetime
from typing import Any, Final

import click

from broker.cli.options import Session, asks_broker
from broker.cli.output import age, emit_one, of_cap, say, seconds_since

_STARTING: Final = ("launching", "booting", "connecting")


@click.command("status")
@asks_broker
def status(session: Session) -> None:
    """Say how the broker, its controllers and its pools stand.

    \b
    agentbroker status
    agentbroker status -o json | jq .agents
    agentbroker --url https://broker.example.com --token-file ~/.agentbroker status
    """
    found = session.client.get("status")
    emit_one(session.output, found, "version", _print)


def _print(found: dict[str, Any]) -> None:
    now = datetime.now(tz=UTC)
    wrong = [f"{part['name']}: {part['detail']}" for part in found["parts"] if not part["ok"]]
    ready = "ready" if found["ready"] else f"not ready ({'; '.join(wrong)})"
    say(f"agentbroker {found['version']}   up {age(found['up_s'])}   config {_config(found, now)}   {ready}")
    controllers = "   ".join(_controller(c, now) for c in found["controllers"]) or "none"
    say(f"controllers   {controllers}")
    counts = found["agents"]
    waits = age(seconds_since(counts["oldest_waiting_at"], now))
    oldest = f" (oldest {waits})" if counts["oldest_waiting_at"] and counts["waiting"] else ""
    start = f"p95 start {found['start_p95_s']:.0f} s (15 min)" if found["start_p95_s"] is not None else ""
    of_phase = (
        {phase: counts[phase] for phase in _STARTING} if "launching" in counts else {"starting": counts["starting"]}
    )
    starting = "".join(f"{number} {phase}, " for phase, number in of_phase.items() if number)
    say(f"requests      {starting}{counts['waiting']} waiting{oldest}   {start}".rstrip())
    idle = counts["online"] - min(counts["busy"], counts["online"])
    draining = counts.get("draining", counts["ending"])
    others = {"terminating": counts["ending"] - draining, "reconnecting": counts["reconnecting"]}
    rest = "".join(f", {number} {phase}" for phase, number in others.items() if number)
    say(f"agents        {counts['busy']} busy, {idle} idle, {draining} draining{rest}{_cost(found)}")
    say(f"pools         {'   '.join(_pool(pool, now) for pool in found['pools']) or 'none'}")
    for warning in found["warnings"]:
        say(f"! {warning['message']}   {warning['command']}")


def _config(found: dict[str, Any], now: datetime) -> str:
    if "config" not in found:  # a broker of an older version
        return str(found["revision"])
    loaded = f"loaded {age(seconds_since(found['config_loaded_at'], now))} ago"
    return f"{found['config']} ({found['revision']}, {loaded})".lstrip()


def _cost(found: dict[str, Any]) -> str:
    cost = found.get("cost_per_hour")  # a broker of an older version says none
    return f"         est. {cost:.2f} {found['currency']}/h".replace(" /h", "/h") if cost is not None else ""


def _controller(found: dict[str, Any], now: datetime) -> str:
    heard = age(seconds_since(found["last_heard_at"], now))
    match found["link"]:
        case "connected":
            return f"{found['id']} ✔ {heard} ago"
        case "never":
            return f"{found['id']} ✖ never heard"
        case link:
            return f"{found['id']} ✖ {link}, heard {heard} ago"


def _pool(found: dict[str, Any], now: datetime) -> str:
    limits = {limit["name"]: limit for limit in found["limits"]}["agents"]
    left = seconds_since(found["until"], now)
    end = f", {age(-left)} left" if left is not None else ""
    why = f" ({found['reason']}{end})" if found["reason"] else ""
    return f"{found['id']} {found['state']} {of_cap(limits['used'], limits['cap'])}{why}"
