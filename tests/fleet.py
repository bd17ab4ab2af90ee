"""Many agents at once through a core: asked for, served, given back, gone."""

from collections.abc import Sequence
from itertools import count

from broker.domain.asked import Asked
from broker.domain.ids import AgentName
from broker.domain.lifecycle import Outcome, Phase
from broker.domain.reason import Reason
from broker.intake import Release
from broker.testing.factories import CONTROLLER
from tests.core import BOOT, Core, real_secret

_NUMBERS = count(1)


async def bring_online(core: Core, agents: int) -> list[str]:
    """So many new agents, each connected and called online by Jenkins; their names."""
    names = [f"fleet-{next(_NUMBERS):06d}" for _ in range(agents)]
    asked = [Asked(name=n, policy="linux", secret=real_secret(n), label_expression="linux") for n in names]
    await core.sync()
    answers = await core.intake.accept(CONTROLLER, BOOT, asked)
    assert not any(answer.reason for answer in answers)
    await core.advance(0.5)
    for agent in await core.ctx.agents.live(CONTROLLER):
        if core.sessions.live(agent.id) is None:
            core.sessions.connect(agent)
            core.says(agent.name)
    await core.sync()
    await core.settle()
    return names


async def give_back(core: Core, names: Sequence[str]) -> None:
    """Each has run its build; returns when nothing of them is left."""
    given = [Release(name=name, outcome=Outcome.SUCCEEDED, why=Reason.COMPLETED, message="", uses=1) for name in names]
    await core.intake.release(CONTROLLER, BOOT, given)
    for name in names:
        core.nodes.pop(AgentName(name))
    await core.advance(1.5)
    await core.sync()
    await core.settle()
    assert not set(names) & (await core.phases()).keys()


async def count_online(core: Core) -> int:
    """How many agents serve."""
    return list((await core.phases()).values()).count(Phase.ONLINE)


def forget(core: Core) -> None:
    """Drops the test's own memory of everything that ever was."""
    ledger = core.backend.ledger
    for kind in (ledger.created, ledger.calls, ledger.terminations, ledger._refs, core.sessions.ended):
        kind.clear()
