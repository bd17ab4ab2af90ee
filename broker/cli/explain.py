"""`agentbroker explain`: why it is so, and what to type next."""

from datetime import datetime
from typing import Any

import click

from broker.cli.options import Session, asks_broker
from broker.cli.output import age, clock_time, emit_one, emit_table, first_line, say, seconds_since


@click.command("explain")
@click.argument("what", nargs=-1, required=True, metavar="WHAT...")
@click.option("--controller", metavar="NAME", help="For a label: the controller whose build it is of.")
@asks_broker
def explain(session: Session, what: tuple[str, ...], controller: str | None) -> None:
    """Say why an agent waits, a pool rests, or a label finds nothing.

    WHAT is an agent's name, a build's URL, or: policy NAME, pool NAME, label EXPR, reason CODE.

    \b
    agentbroker explain linux-7f3k2
    agentbroker explain https://ci.example.com/job/app/812/
    agentbroker explain label 'linux && gpu'
    """
    found = session.client.get("explain", what=" ".join(what), controller=controller)
    emit_one(session.output, found, "id", _print)


def _print(found: dict[str, Any]) -> None:
    agent = found["agent"]
    if agent is not None:
        _print_agent(agent)
    say(found["summary"])
    if found["lines"]:
        rows = [(f"  {line['name']}", line["state"], first_line(line["text"])) for line in found["lines"]]
        emit_table(("", "", ""), rows, with_heads=False)
    if found["hint"]:
        say(f"hint: {found['hint']}")
    for number, command in enumerate(found["commands"]):
        say(f"{'try: ' if number == 0 else '     '}{command}")


def _print_agent(agent: dict[str, Any]) -> None:
    head = [agent["id"], agent["controller"], f"job {agent['job']}" if agent["job"] else ""]
    head += [f"label `{agent['labels']}`" if agent["labels"] else "", f"policy {agent['policy']}"]
    say("   ".join(part for part in (*head, _asked_for(agent), _result(agent)) if part))
    rows = []
    for step in agent["timeline"]:
        why = ": ".join(part for part in (step["reason"], first_line(step["message"])) if part)
        lasted = f"{step['lasted_s']:.1f} s" if step["lasted_s"] is not None and step["lasted_s"] < 60 else ""
        lasted = lasted or (age(step["lasted_s"]) if step["lasted_s"] is not None else "")
        if step["event"] == "placed":
            why = _chosen(step)
        rows.append((f"  {clock_time(step['at'], tenths=True)}", step["event"], step["pool"] or "", lasted, why))
        rows += [("", "", one["pool"], "", f"not now: {_against(one)}") for one in step.get("not_chosen", ())]
    emit_table(("", "", "", "", ""), rows, with_heads=False)


def _chosen(step: dict[str, Any]) -> str:
    parts = [step.get("chosen_because") or ""]
    parts.append(f"fallback for {step['fallback_for']}" if step.get("fallback_for") else "")
    said = ", ".join(part for part in parts if part)
    return f"chosen ({said})" if said else "chosen"


def _against(one: dict[str, Any]) -> str:
    """Why a pool was not chosen: one that merely was not needed has no code that matters."""
    told = first_line(one["message"])
    return told if one["reason"] == "Superseded" else f"{one['reason']}: {told}"


def _asked_for(agent: dict[str, Any]) -> str:
    """Why there is such an agent where no build asked for it."""
    if agent["cause"] == "warm":
        return "kept warm"
    if agent["cause"] != "manual":
        return ""
    return f"launched by {agent['requested_by']}" if agent["requested_by"] else "launched by hand"


def _result(agent: dict[str, Any]) -> str:
    if agent["phase"] == "gone":
        return f"GONE ({agent['outcome']})"
    online = agent["online_at"]
    took = seconds_since(agent["created_at"], datetime.fromisoformat(online)) if online else None
    return str(agent["phase"]).upper() + (f" in {took:.1f} s" if took is not None else "")
