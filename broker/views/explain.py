"""Why it is so: pure answers to `explain`, from a snapshot; the reader's words are chosen here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from broker.domain.agent import Agent
from broker.domain.labels import LabelExpression, atoms
from broker.domain.lengths import short
from broker.domain.lifecycle import Goal, Phase
from broker.domain.placement import Rejection
from broker.domain.policy import Policy
from broker.domain.reason import REASONS, Reason
from broker.domain.unserved import advice, compared, head, overrides_in, serving
from broker.views import expected
from broker.views.snapshot import Snapshot
from broker.views.words import Words

MOST_LINES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that bears on the question: its name, how it stands in a word or two, and the rest."""

    name: str
    state: str
    text: str = ""
    reason: Reason | None = None
    """The code to it, if there is one."""


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


def of_agent(agent: Agent, snapshot: Snapshot, words: Words, usual: timedelta | None = None) -> Explanation:
    """Where an agent stands and why it is not further; `usual` is how long its pool's agents take to be online."""
    waits = agent.phase is Phase.REQUESTED and agent.goal is Goal.ONLINE
    position = snapshot.position(agent)
    lines = [
        Line(name=r.pool, state=_state(r), text=words.rejection(r).message, reason=r.reason)
        for r in (snapshot.refusals_of(agent) if waits else ())
    ]
    why = agent.why
    told = words.line(why, agent.message)
    place = f" in pool {agent.pool}" if agent.pool and not waits else ""
    line = f", {_ordinal(position)} in line of policy {agent.policy}" if position else ""
    since = short(snapshot.now - agent.phase_since)
    lasting = "" if agent.phase is Phase.GONE else f" for {since}"
    wait = expected.in_words(agent, snapshot)
    about = f"; {wait}" if wait else ""
    summary = f"{agent.name} is {agent.phase}{place}{lasting}{line}" + (f": {told}" if told else "") + about
    commands = _commands_of(agent, lines)
    lines += [Line(name="slower than usual", state="", text=late)] if (late := expected.late(agent, usual)) else []
    return Explanation(
        about="agent",
        name=agent.name,
        summary=summary,
        reason=why,
        hint=f"{agent.message}{about}" if wait else words.hint(why, agent.message),
        lines=tuple(lines),
        commands=commands,
        agent=agent,
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
    if expression is None:
        found = [Fit(policy=p, matches=p.accept_unlabelled, has=(), lacks=(), unwanted=()) for p in policies]
    else:
        asked, takers = overrides_in(expression), {policy.name for policy in serving(expression, policies)}
        wanted, against = atoms(expression) - asked, atoms(expression, wanted=False) - asked
        found = [_fit(policy, wanted, against, matches=policy.name in takers) for policy in policies]
    return sorted(found, key=lambda f: (not f.matches, len(f.lacks) + len(f.unwanted), -len(f.has)))


def _fit(policy: Policy, wanted: frozenset[str], against: frozenset[str], *, matches: bool) -> Fit:
    labels = frozenset(policy.labels)
    return Fit(
        policy=policy,
        matches=matches,
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


def _state(rejection: Rejection) -> str:
    return "standby" if rejection.reason is Reason.SUPERSEDED else rejection.reason.value


def _commands_of(agent: Agent, lines: Sequence[Line]) -> tuple[str, ...]:
    if agent.phase is Phase.GONE:
        return (f"agentbroker events --agent {agent.name} --since 1d",)
    if lines:
        return (f"agentbroker explain policy {agent.policy}", f"agentbroker explain pool {lines[0].name}")
    if agent.pool and agent.phase is not Phase.ONLINE:
        return (f"agentbroker events -f --agent {agent.name}", f"agentbroker explain pool {agent.pool}")
    return (f"agentbroker events -f --agent {agent.name}",)


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
