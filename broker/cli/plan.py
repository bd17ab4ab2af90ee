"""`agentbroker plan`: where agents would go; nothing is launched."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from broker.cli.exits import CANNOT_BE_PLACED, WRONG_USAGE, CliError
from broker.cli.lengths import seconds_of
from broker.cli.options import Session, asks_broker
from broker.cli.output import emit_one, emit_table, first_line, say

_TIME: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


@click.command("plan")
@click.argument("expression", metavar="[LABEL]", required=False)
@click.option("--label", metavar="EXPR", help="The same as LABEL.")
@click.option("--policy", metavar="NAME", help="The policy itself.")
@click.option("-n", "--count", type=click.IntRange(1, 10_000), default=1, show_default=True, help="How many agents.")
@click.option("--job", default="", metavar="NAME", help="The job whose builds they are for.")
@click.option("--controller", metavar="NAME", help="Whose; default: the first that may use the policy.")
@click.option("--at", metavar="TIME", help="Such as 20:30 (UTC), +2h or 2026-11-23T20:30:00Z; as things stand now.")
@click.option("--config", "file", metavar="FILE", help="Under this file, which is not loaded.")
@asks_broker
@click.pass_context
def plan(  # noqa: PLR0913, PLR0917 - one a flag
    ctx: click.Context,
    session: Session,
    expression: str | None,
    label: str | None,
    policy: str | None,
    count: int,
    job: str,
    controller: str | None,
    at: str | None,
    file: str | None,
) -> None:
    """Say where so many agents would go now, and why not elsewhere. Nothing is launched.

    \b
    agentbroker plan 'linux && docker' -n 8
    agentbroker plan --policy linux -n 40 --at 20:30
    agentbroker plan linux --config broker-new.yaml

    Exit codes: 3 the file is invalid, 6 not all of them can be placed.
    """
    if expression is not None and label is not None:
        raise click.UsageError("say the label once: as LABEL or with --label")
    text = expression if expression is not None else label
    if text is None and policy is None:
        raise click.UsageError("say which agents: a label expression, or --policy NAME")
    asked = {"label": text, "policy": policy, "n": count, "job": job or None, "controller": controller}
    moment = _moment(at) if at else None
    try:
        if file is not None:
            from broker.cli.plan_under import plan_under

            found = plan_under(session, file, asked, moment)
        else:
            found = session.client.get("plan", **asked, at=moment.isoformat() if moment else None)
    except CliError as error:
        if error.kind == "no_matching_policy":
            error.code = CANNOT_BE_PLACED
        raise
    emit_one(session.output, found, "policy", _print)
    ctx.exit(CANNOT_BE_PLACED if found["waiting"] else 0)


def _print(found: dict[str, Any]) -> None:
    say(first_line(found["summary"], 400))
    rows = [(f"  {pool['pool']}", pool["state"], first_line(pool["text"])) for pool in found["pools"]]
    if rows:
        emit_table(("", "", ""), rows, with_heads=False)
    say("nothing was launched")


def _moment(text: str) -> datetime:
    now = datetime.now(tz=UTC)
    if text.startswith("+"):
        return now + timedelta(seconds=seconds_of(text[1:], "--at"))
    if found := _TIME.fullmatch(text):
        at = now.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
        return at if at >= now else at + timedelta(days=1)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        step = "write it such as 20:30 (UTC), +2h or 2026-11-23T20:30:00Z"
        raise CliError(WRONG_USAGE, f"--at {text!r} is no time", step) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
