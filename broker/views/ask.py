"""From what a person types behind `explain` to the answer."""

import difflib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from broker.domain import unserved
from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.ids import ControllerName, PolicyName, PoolName
from broker.domain.labels import LabelExpression, LabelSyntaxError, parse
from broker.domain.lifecycle import Phase
from broker.domain.overrides import NO_OVERRIDE, Override, OverrideError, from_label
from broker.domain.policy import Policy
from broker.domain.reason import Reason
from broker.errors import BrokerError
from broker.reconcile.context import Context
from broker.store.search import Search
from broker.views import explain, explain_fleet
from broker.views.explain import Explanation
from broker.views.snapshot import Snapshot, take
from broker.views.words import Words

_LATELY: Final = timedelta(hours=1)
NOUNS: Final = ("agent", "policy", "pool", "label", "reason")


class NoSuchThing(BrokerError):
    """Nothing has this name; `hint` says what has one like it, or where to look."""

    def __init__(self, message: str, hint: str) -> None:
        """Says what is missing, and what to do."""
        super().__init__(message)
        self.hint = hint


class BadQuestion(BrokerError):
    """The question cannot be read; `hint` says how to put it."""

    def __init__(self, message: str, hint: str) -> None:
        """Says what cannot be read, and how to put it."""
        super().__init__(message)
        self.hint = hint


async def ask(ctx: Context, what: str, words: Words, controller: ControllerName | None = None) -> Explanation:
    """Answers; raises `NoSuchThing` and `BadQuestion`.

    `what` is the name of an agent, a build's URL, or a noun of `NOUNS` and a name (for `label` an expression, which is
    that of a job without a label if empty). `controller` bounds the policies that a label is tried on.
    """
    what = what.strip()
    noun, _, rest = what.partition(" ")
    rest = rest.strip()
    snapshot = await take(ctx)
    definitions = snapshot.definitions
    match noun:
        case "policy":
            policy = definitions.policies.get(PolicyName(rest))
            if policy is None:
                raise no_such("policy", rest, definitions.policies)
            return explain_fleet.of_policy(policy, snapshot, words)
        case "pool":
            if rest not in definitions.pools:
                raise no_such("pool", rest, definitions.pools)
            return explain_fleet.of_pool(PoolName(rest), snapshot, words)
        case "label":
            return _of_label(rest, snapshot, controller)
        case "reason":
            if rest not in set(Reason):
                raise no_such("reason", rest, Reason)
            return explain.of_reason(Reason(rest), snapshot)
        case _:
            return await _of_agent(ctx, rest if noun == "agent" else what, snapshot, words)


def no_such(noun: str, name: str, known: Iterable[str]) -> NoSuchThing:
    """The error for a name that nothing has."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(names[:40]) or 'none'}"
    return NoSuchThing(f"no {noun} is called {name!r}" if name else f"which {noun}?", hint)


class NothingServes(NoSuchThing):
    """No policy serves such a build."""


def read_label(text: str) -> tuple[LabelExpression | None, Override]:
    """A label expression, None for no label, and what it asks for itself; raises `BadQuestion`."""
    try:
        expression = parse(text) if text.strip() else None
        return expression, from_label(expression)[0] if expression else NO_OVERRIDE
    except LabelSyntaxError as error:
        hint = "such as: linux && (docker || !arm)"
        raise BadQuestion(f"the label expression cannot be read: {error}", hint) from None
    except OverrideError as error:
        raise BadQuestion(str(error), "such as: linux && cpu=4 && memory=8Gi") from None


def serving(text: str, expression: LabelExpression | None, policies: Sequence[Policy]) -> Policy:
    """The first policy that serves a build of this label; raises `NothingServes`, in the words of its build log."""
    found = next(iter(unserved.serving(expression, policies)), None)
    if found is None:
        told = explain.of_label(text, expression, policies)
        raise NothingServes(told.summary, told.hint)
    return found


def by_priority(definitions: Definitions) -> list[Policy]:
    """All policies in the order in which a label is tried on them."""
    return sorted(definitions.policies.values(), key=lambda p: -p.priority)


def _of_label(text: str, snapshot: Snapshot, controller: ControllerName | None) -> Explanation:
    definitions = snapshot.definitions
    if controller is not None and controller not in definitions.controllers:
        raise no_such("controller", controller, definitions.controllers)
    policies = definitions.policies_of(controller) if controller else by_priority(definitions)
    return explain.of_label(text, read_label(text)[0], policies)


async def _of_agent(ctx: Context, what: str, snapshot: Snapshot, words: Words) -> Explanation:
    search = Search(ctx.database)
    if what.startswith(("http://", "https://")):
        if (serving := _serving_build(ctx, what, snapshot)) is not None:
            return await _of_one(search, serving, snapshot, words)
        found = await search.of_build(what)
        if not found:
            hint = "its label may have no policy, or its agent was asked for by another broker; try explain label EXPR"
            raise NoSuchThing(f"no agent was asked for for the build {what}", hint)
        found.sort(key=lambda a: (a.phase is not Phase.GONE, a.requested_at))
        return await _of_one(search, found[-1], snapshot, words)
    agent = await search.named(what)
    if agent is None:
        raise _no_agent(what, snapshot)
    return await _of_one(search, agent, snapshot, words)


def _serving_build(ctx: Context, url: str, snapshot: Snapshot) -> Agent | None:
    """The agent that runs the build or that it waits for, as Jenkins says; it may have been asked for for another."""
    for agent in snapshot.agents:
        report = ctx.presence.node(agent.controller, agent.id)
        if report is not None and report.build_url and report.build_url.rstrip("/") == url.rstrip("/"):
            return agent
    return None


async def _of_one(search: Search, agent: Agent, snapshot: Snapshot, words: Words) -> Explanation:
    if snapshot.position(agent) is not None:
        return explain.of_agent(agent, snapshot, words)
    usual = await search.usual_start(agent.pool, snapshot.now - _LATELY) if agent.pool else None
    return explain.of_agent(agent, snapshot, words, usual)


def _no_agent(what: str, snapshot: Snapshot) -> NoSuchThing:
    definitions = snapshot.definitions
    nouns: dict[str, list[str]] = {
        "policy": list(definitions.policies),
        "pool": list(definitions.pools),
        "reason": list(Reason),
    }
    for noun, names in nouns.items():
        if what in names:
            return NoSuchThing(f"no agent is called {what!r}", f"did you mean: explain {noun} {what}")
    near = difflib.get_close_matches(what, [a.name for a in snapshot.agents], n=1)
    hint = f"did you mean {near[0]}?" if near else f"explain takes an agent, a build's URL, or {', '.join(NOUNS[1:])}"
    return NoSuchThing(f"no agent is called {what[:200]!r}", hint)
