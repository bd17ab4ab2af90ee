"""Values with sane defaults, of which a test names only what it is about."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from broker.domain.agent import Agent
from broker.domain.definitions import Controller, Definitions
from broker.domain.ids import (
    AgentId,
    AgentName,
    BackendName,
    ControllerName,
    LaunchToken,
    PolicyName,
    PoolName,
    TemplateName,
)
from broker.domain.instance import LaunchKey
from broker.domain.lifecycle import Goal, Phase
from broker.domain.policy import Policy, PoolChoice
from broker.domain.pool import BackendDefinition, Pool
from broker.domain.resources import Resources
from broker.domain.template import Template
from broker.ports import LaunchSpec
from broker.testing.clock import EPOCH

CONTROLLER: Final = ControllerName("main")
BACKEND: Final = BackendName("fake")
TEMPLATE: Final = TemplateName("base")
POOL: Final = PoolName("it")
POLICY: Final = PolicyName("linux")


def agent_id(n: int = 1) -> AgentId:
    """The id of the n-th agent."""
    return AgentId(f"{n:032x}")


def agent_name(n: int = 1) -> AgentName:
    """The name of the n-th agent."""
    return AgentName(f"linux-{n:06d}")


def make_agent(n: int = 1, **changes: Any) -> Agent:
    """The n-th agent: requested, wanted online, its first attempt not made."""
    agent = Agent(
        id=agent_id(n),
        controller=CONTROLLER,
        name=agent_name(n),
        policy=POLICY,
        label_expression="linux",
        job="job",
        build_url="",
        cause="queue",
        sealed_secret=b"sealed",
        phase=Phase.REQUESTED,
        goal=Goal.ONLINE,
        version=1,
        requested_at=EPOCH,
        phase_since=EPOCH,
        not_before=EPOCH,
    )
    return replace(agent, **changes)


def make_template(**changes: Any) -> Template:
    """A small one-shot template."""
    return replace(Template(name=TEMPLATE, resources=Resources(cpu_milli=1000, memory_mib=512)), **changes)


def make_pool(**changes: Any) -> Pool:
    """A pool of the fake backend without limits."""
    return replace(Pool(name=POOL, backend=BACKEND), **changes)


def make_policy(*pools: str, **changes: Any) -> Policy:
    """A policy of label `linux` over the named pools, the default one if none is named."""
    choices = tuple(PoolChoice(pool=PoolName(name)) for name in pools or (POOL,))
    return replace(Policy(name=POLICY, labels=("linux",), template=TEMPLATE, pools=choices), **changes)


def make_controller(**changes: Any) -> Controller:
    """A controller on loopback whose token nobody knows."""
    return replace(Controller(name=CONTROLLER, url="http://127.0.0.1:8080/", token_sha256=("0" * 64,)), **changes)


def make_definitions(
    *,
    policies: Iterable[Policy] = (),
    pools: Iterable[Pool] = (),
    templates: Iterable[Template] = (),
    controllers: Iterable[Controller] = (),
    **changes: Any,
) -> Definitions:
    """Definitions of the given things; a default one stands in for each kind that is not given."""
    all_pools = tuple(pools) or (make_pool(),)
    backends = {p.backend: BackendDefinition(name=p.backend, type="fake") for p in all_pools}
    definitions = Definitions(
        revision="1",
        controllers={c.name: c for c in tuple(controllers) or (make_controller(),)},
        backends=backends,
        templates={t.name: t for t in tuple(templates) or (make_template(),)},
        pools={p.name: p for p in all_pools},
        policies={p.name: p for p in tuple(policies) or (make_policy(*(p.name for p in all_pools)),)},
    )
    return replace(definitions, **changes)


def make_key(n: int = 1, attempt: int = 1) -> LaunchKey:
    """The key of an attempt of the n-th agent."""
    return LaunchKey(agent_id=agent_id(n), attempt=attempt, token=LaunchToken(f"token-{n}-{attempt}"))


def make_spec(n: int = 1, attempt: int = 1, **changes: Any) -> LaunchSpec:
    """The launch of an attempt of the n-th agent."""
    spec = LaunchSpec(
        key=make_key(n, attempt),
        name=agent_name(n),
        controller=CONTROLLER,
        pool=make_pool(),
        template=make_template(),
        url="http://127.0.0.1:7073/c/main/",
        secret=f"{n:056x}{attempt:08x}",
    )
    return replace(spec, **changes)
