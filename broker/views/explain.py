"""Why it is so: pure answers to `explain`, from a snapshot; the reader's words are chosen here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from broker.domain.agent import Agent
from broker.domain.ids import PoolName
from broker.domain.labels import LabelExpression, atoms
from broker.domain.lengths import short
from broker.domain.lifecycle import Goal, Phase
from broker.domain.policy import Policy
from broker.domain.reason import REASONS, Reason
from broker.domain.unserved import advice, compared, head, overrides_in, serves
from broker.views.snapshot import Snapshot, count
from broker.views.words import Words

MOST_LINES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that bears on the question: its name, how it stands in a word or two, and the rest."""

    name: str
    state: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An answer: one sentence, the reason if there is one, what bears on it, and what to type next."""

    about: str
    name: str
    summary: str
    reason: Reason | None = None
    hint: str = ""
    lines: tuple[Line, ...] = ()
    commands: tuple[str, ...] = ()
    agent: Agent | None = None


def of_agent(agent: Agent, snapshot: Snapshot, words: Words) -> Explanation:
    """Where an agent stands and why it is not further."""
    waits = agent.phase is Phase.REQUESTED and agent.goal is Goal.ONLINE
    position = snapshot.position(agent)
    lines = [
        Line(name=r.pool, state=r.reason, text=words.rejection(r).message)
        for r in (snapshot.refusals_of(agent) if waits else ())
    ]
    why = agent.why
    told = words.line(why, agent.message)
    place = f" in pool {agent.pool}" if agent.pool and not waits else ""
    line = f", {_ordinal(position)} in line of policy {agent.policy}" if position else ""
    since = short(snapshot.now - agent.phase_since)
    lasting = "" if agent.phase is Phase.GONE else f" for {since}"
    summary = f"{agent.name} is {agent.phase}{place}{lasting}{line}" + (f": {told}" if told else "")
    return Explanation(
        about="agent",
        name=agent.name,
        summary=summary,
        reason=why,
        hint=words.hint(why, agent.message),
        lines=tuple(lines),
        commands=_commands_of(agent, lines),
        agent=agent,
    )


def of_pool(name: PoolName, snapshot: Snapshot, words: Words) -> Explanation:
    """How a pool stands, what it holds of its limits, and who uses it."""
    pool, rest = snapshot.definitions.pools[name], snapshot.resting(name)
    counts = count(a for a in snapshot.agents if a.pool == name)
    held = f"{counts.total} of {pool.limits.agents}" if pool.limits.agents is not None else f"{counts.total}"
    users = [p.name for p in snapshot.definitions.policies.values() if name in p.chain]
    lines = [Line(name="agents", state=held, text=f"{counts.busy} busy")]
    if pool.limits.pending is not None:
        starting = sum(counts.by_phase.get(p, 0) for p in (Phase.LAUNCHING, Phase.BOOTING, Phase.CONNECTING))
        lines.append(Line(name="starting", state=f"{starting} of {pool.limits.pending}"))
    lines.append(Line(name="policies", state=str(len(users)), text=", ".join(users)))
    full = pool.limits.agents is not None and counts.total >= pool.limits.agents
    reason = Reason.POOL_COOLING_DOWN if rest else Reason.POOL_AT_LIMIT if full else None
    summary = f"pool {name} is ready: {held} agents"
    if rest is not None:
        lines.insert(0, Line(name="failed", state=rest.why or "", text=words.message(rest.why, rest.message)))
        summary = f"pool {name} is cooling down, {_until(rest.until, snapshot.now)}: its launches failed"
    elif full:
        summary = f"pool {name} is at its limit ({held} agents)"
    return Explanation(
        about="pool",
        name=name,
        summary=summary,
        reason=reason,
        hint=REASONS[reason].hint if reason else "",
        lines=tuple(lines),
        commands=(f"agentbroker events --pool {name} --since 1h", f"agentbroker get agents --where pool={name}"),
    )


def of_policy(policy: Policy, snapshot: Snapshot, words: Words) -> Explanation:
    """Who waits for a policy, and how each of its pools stands."""
    counts = count(a for a in snapshot.agents if a.policy == policy.name)
    waiting = snapshot.waiting(policy.name)
    first = waiting[0] if waiting else None
    refused = {r.pool: r for r in snapshot.refusals(policy)}
    lines = []
    for pool in policy.chain:
        refusal = refused.get(pool)
        if refusal is None:
            lines.append(Line(name=pool, state="ready"))
        else:
            lines.append(Line(name=pool, state=refusal.reason, text=words.rejection(refusal).message))
    oldest = f" (oldest {short(snapshot.now - first.requested_at)})" if first else ""
    starting = sum(counts.by_phase.get(p, 0) for p in (Phase.LAUNCHING, Phase.BOOTING, Phase.CONNECTING))
    online = counts.by_phase.get(Phase.ONLINE, 0)
    commands = [f"agentbroker explain {first.name}"] if first else []
    commands += [f"agentbroker explain pool {name}" for name in refused]
    return Explanation(
        about="policy",
        name=policy.name,
        summary=f"policy {policy.name}: {len(waiting)} waiting{oldest}, {starting} starting, {online} online",
        reason=first.why if first else None,
        hint=words.hint(first.why, first.message) if first else "",
        lines=tuple(lines),
        commands=tuple(commands[:3]) or (f"agentbroker get agents --where policy={policy.name}",),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a policy's labels fit an expression: what it has of it, lacks, and carries although it must not."""

    policy: Policy
    matches: bool
    has: tuple[str, ...]
    lacks: tuple[str, ...]
    unwanted: tuple[str, ...]


def fits(expression: LabelExpression | None, policies: Sequence[Policy]) -> list[Fit]:
    """Every policy by an expression, those that match first, then the nearest; None is a job without a label."""
    found = [_fit(expression, policy) for policy in policies]
    return sorted(found, key=lambda f: (not f.matches, len(f.lacks) + len(f.unwanted), -len(f.has)))


def _fit(expression: LabelExpression | None, policy: Policy) -> Fit:
    if expression is None:
        return Fit(policy=policy, matches=policy.accept_unlabelled, has=(), lacks=(), unwanted=())
    labels, asked = frozenset(policy.labels), overrides_in(expression)
    wanted, against = atoms(expression) - asked, atoms(expression, wanted=False) - asked
    return Fit(
        policy=policy,
        matches=serves(policy, expression),
        has=tuple(sorted(wanted & labels)),
        lacks=tuple(sorted(wanted - labels)),
        unwanted=tuple(sorted(against & labels)),
    )


def of_label(text: str, expression: LabelExpression | None, policies: Sequence[Policy]) -> Explanation:
    """Which policy a build of this label gets, or which ones are nearest and what they lack."""
    ordered = fits(expression, policies)
    lines = tuple(
        Line(name=f.policy.name, state="serves it" if f.matches else "no", text=_fit_text(f)) for f in ordered
    )
    takers = [f.policy.name for f in ordered if f.matches]
    shown = text or "no label"
    if takers:
        commands = (f"agentbroker explain policy {takers[0]}",)
        summary = f"{shown}: policy {takers[0]} serves it"
        return Explanation(about="label", name=text, summary=summary, lines=lines[:MOST_LINES], commands=commands)
    summary = head(text, expression)  # the first line of the build's log, whose other lines are the others here
    if ordered and (ordered[0].lacks or ordered[0].unwanted):
        summary += f"; nearest: {ordered[0].policy.name} {_difference(ordered[0])}"
    if expression is not None:
        found = compared(expression, policies)
        lines = tuple(Line(name=one.policy.name, state="no", text=one.text) for one in found)
    return Explanation(
        about="label",
        name=text,
        summary=summary,
        reason=Reason.NO_MATCHING_POLICY,
        hint=advice(expression, policies),
        lines=lines[:MOST_LINES],
        commands=("agentbroker get policies",),
    )


def of_reason(reason: Reason, snapshot: Snapshot) -> Explanation:
    """What a code means, who can put it right, and whom it holds up now."""
    about = REASONS[reason]
    held = [a for a in snapshot.agents if a.why is reason]
    lines = [Line(name="who", state=" or ".join(about.fix_by) or "-", text="can put it right")]
    lines += [Line(name=a.name, state=a.phase, text=f"policy {a.policy}") for a in held[: MOST_LINES - 1]]
    command = f"agentbroker events --reason {reason} --since 1h"
    return Explanation(
        about="reason",
        name=reason,
        summary=f"{reason}: {about.meaning} Now: {len(held)} agents.",
        reason=reason,
        hint=about.hint,
        lines=tuple(lines),
        commands=(command,),
    )


def _fit_text(fit: Fit) -> str:
    has = f"has {', '.join(fit.has)}" if fit.has else ""
    return "; ".join(part for part in (has, _difference(fit) if not fit.matches else "") if part)


def _difference(fit: Fit) -> str:
    lacks = f"lacks {', '.join(fit.lacks)}" if fit.lacks else ""
    carries = f"carries {', '.join(fit.unwanted)}" if fit.unwanted else ""
    return " and ".join(part for part in (lacks, carries) if part)


def _commands_of(agent: Agent, lines: Sequence[Line]) -> tuple[str, ...]:
    if agent.phase is Phase.GONE:
        return (f"agentbroker events --agent {agent.name} --since 1d",)
    if lines:
        return (f"agentbroker explain policy {agent.policy}", f"agentbroker explain pool {lines[0].name}")
    if agent.pool and agent.phase is not Phase.ONLINE:
        return (f"agentbroker events -f --agent {agent.name}", f"agentbroker explain pool {agent.pool}")
    return (f"agentbroker events -f --agent {agent.name}",)


def _until(until: datetime | None, now: datetime) -> str:
    if until is None or until <= now:
        return "one agent tries it now"
    return f"{short(until - now)} more"


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
