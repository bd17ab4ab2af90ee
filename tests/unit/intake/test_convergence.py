"""Requests, releases and syncs that are lost, repeated and reordered lead to the same fleet (I8)."""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.domain.ids import AgentName
from broker.domain.lifecycle import LIVE, Phase
from broker.domain.reason import Reason
from broker.intake import Told
from broker.testing.factories import CONTROLLER
from tests.core import Core, open_core

NAMES = ("a-1", "a-2", "a-3", "a-4")
ENDED = ("a-3", "a-4")
"""Those that Jenkins has asked for and given back; it wants the others."""
WANTED = tuple(name for name in NAMES if name not in ENDED)


@dataclass(frozen=True, slots=True)
class Message:
    kind: str
    name: str


SENT = [
    *(Message("request", name) for name in NAMES),
    *(Message("release", name) for name in ENDED),
    Message("sync", ""),
    Message("step", ""),
]


async def deliver(core: Core, message: Message) -> None:
    match message.kind:
        case "request":
            await core.ask(message.name)
        case "release":
            await core.release(message.name, Reason.CANCELLED, uses=0)
        case "sync":
            await core.sync()
        case _:
            await core.settle()


async def reconcile_as_jenkins(core: Core) -> None:
    """What Jenkins does with a sync's reply: asks again for what is unknown, gives back what it does not want."""
    told = Told(boot_id=core.boot, nodes=dict(core.nodes), pending=[AgentName(n) for n in WANTED])
    truth = await core.intake.sync(CONTROLLER, told)
    if truth.unknown:
        await core.ask(*truth.unknown)
    for kept in truth.kept:
        if kept.agent.name not in WANTED:
            await core.release(kept.agent.name, Reason.CANCELLED, uses=0)


async def receive(messages: list[Message]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with open_core(Path(directory, "broker.db")) as core:
            for message in messages:
                await deliver(core, message)
            for _ in range(2):
                await reconcile_as_jenkins(core)
                await core.advance(2)
            phases = await core.phases()
            assert set(phases) == set(WANTED)
            assert set(phases.values()) == {Phase.CONNECTING} < LIVE
            ledger = core.backend.ledger
            assert {ledger.instances[ref].agent_id for ref in ledger.instances} == {
                (await core.agent(name)).id for name in WANTED
            }
            assert len(ledger.instances) == len(WANTED)
            assert set(ledger.created.values()) <= {1}


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_order_of_any_of_the_messages_leads_to_the_same_fleet(data: st.DataObject) -> None:
    arrived = data.draw(st.lists(st.sampled_from(SENT), max_size=20))
    asyncio.run(receive(arrived))


@settings(max_examples=15, deadline=None)
@given(st.permutations(SENT * 2))
def test_every_message_twice_in_any_order_leads_to_the_same_fleet(messages: list[Message]) -> None:
    asyncio.run(receive(messages))
