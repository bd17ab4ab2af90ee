"""Who comes first where not all get a place."""

from collections import Counter
from datetime import timedelta

from broker.domain.agent import Agent
from broker.domain.ids import ControllerName, PolicyName, PoolName
from broker.domain.money import Budget, Micros, Price
from broker.domain.overrides import Override, OverrideRules
from broker.domain.policy import AgentLimits, Strategy
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.testing.clock import EPOCH
from broker.testing.factories import make_agent, make_controller, make_pool
from tests.unit.placement.world import Given, agents, decided, placed, plain, policy, pools_of, usage, waits

OFFERS: Given = {"it": [plain("it")]}
LABELS = [policy(name=PolicyName(f"p{n}")) for n in range(4)]


def asked(**numbers: int) -> list[Agent]:
    """So many requests of each policy, one policy after the other."""
    names = [name for name, number in numbers.items() for _ in range(number)]
    return [make_agent(n, policy=PolicyName(name)) for n, name in enumerate(names)]


def served(decisions: list) -> Counter[str]:  # type: ignore[type-arg]
    return Counter(d.agent.policy for d in decisions if pools_of([d]) != [None])


def test_a_flood_of_one_policy_leaves_the_others_their_part_of_a_shared_limit() -> None:
    decisions = decided(asked(p0=100, p1=5, p2=2, p3=5), LABELS, OFFERS, limits={"it": PoolLimits(agents=16)})
    assert served(decisions) == {"p0": 5, "p1": 5, "p2": 2, "p3": 4}


def test_who_holds_agents_already_waits_for_those_who_hold_fewer() -> None:
    held = Counter({(ControllerName("main"), PolicyName("p0")): 6})
    limits = {"it": PoolLimits(agents=4)}
    assert served(decided(asked(p0=9, p1=9), LABELS, OFFERS, usage(held=held), limits)) == {"p1": 4}


def test_a_policy_of_higher_priority_is_served_before_any_other() -> None:
    policies = [LABELS[0], policy(name=PolicyName("urgent"), priority=5)]
    limits = {"it": PoolLimits(agents=4)}
    assert served(decided(asked(p0=9, urgent=3), policies, OFFERS, limits=limits)) == {"urgent": 3, "p0": 1}


def test_controllers_share_a_limit_too() -> None:
    main, other = make_controller(), make_controller(name=ControllerName("other"))
    of_other = [make_agent(n, controller=other.name) for n in range(100, 103)]
    rules = policy(limits=AgentLimits(agents=6))
    decisions = decided([*agents(50), *of_other], rules, OFFERS, controllers=[main, other])
    assert Counter(d.agent.controller for d in decisions if pools_of([d]) != [None]) == {"main": 3, "other": 3}


def test_a_job_at_its_limit_holds_up_no_other_job() -> None:
    of_a, of_b = agents(4, job="a"), [make_agent(n, job="b") for n in (8, 9)]
    decisions = decided([*of_a, *of_b], policy(per_job=2), OFFERS)
    assert Counter(d.agent.job for d in decisions if pools_of([d]) != [None]) == {"a": 2, "b": 2}
    waiting = waits(decisions[-1])
    assert waiting.reason is Reason.JOB_AT_LIMIT
    assert waiting.message == "job a is at its limit (2 agents of policy linux)"
    assert waiting.stalled


def test_the_same_job_of_another_controller_is_another_job() -> None:
    controllers = [make_controller(), make_controller(name=ControllerName("other"))]
    both = [make_agent(1), make_agent(2, controller=ControllerName("other"))]
    assert pools_of(decided(both, policy(per_job=1), OFFERS, controllers=controllers)) == ["it", "it"]


def test_an_override_that_is_not_allowed_any_more_is_refused_by_the_fields_name() -> None:
    [decision] = decided(agents(1, overrides=Override(cpu_milli=16000)), policy(), OFFERS)
    assert waits(decision).reason is Reason.OVERRIDE_FORBIDDEN
    assert waits(decision).message.startswith("overrides.cpu:")


def test_what_a_build_asks_for_itself_counts_in_the_pools_limits() -> None:
    rules = policy(overrides=OverrideRules(allow=frozenset({"cpu"})))
    two = [make_agent(1, overrides=Override(cpu_milli=4000)), make_agent(2)]
    decisions = decided(two, rules, OFFERS, limits={"it": PoolLimits(cpu_milli=4500)})
    assert sorted(map(str, pools_of(decisions))) == ["None", "it"]
    assert 4000 in [c.amount for c in placed(decisions[0]).claims if c.key == PoolName("it")]


def test_a_budget_that_would_be_overrun_refuses_the_dear_pool_and_not_the_cheap_one() -> None:
    hour = {PolicyName("linux"): timedelta(hours=1)}
    pools = [make_pool(name=PoolName(n), cost=Price(cpu_hour=Micros(c))) for n, c in (("dear", 60), ("cheap", 25))]
    rules = policy("dear", "cheap", budget=Budget(amount=Micros(100)))
    offers: Given = {"dear": [plain("dear")], "cheap": [plain("cheap")]}
    decisions = decided(agents(4), rules, offers, usage(lives=hour), pools=pools)
    assert pools_of(decisions) == ["dear", "cheap", None, None]
    waiting = waits(decisions[2])
    assert waiting.reason is Reason.BUDGET_EXCEEDED
    assert waiting.look_at == EPOCH + timedelta(days=1)
    assert not waiting.stalled


def test_a_place_that_the_strategy_wants_may_be_dearer_than_the_budget_allows() -> None:
    rules = policy(strategy=Strategy.SPREAD, budget=Budget(amount=Micros(95)))
    offers: Given = {"it": [plain("it", zone="a", price=Micros(10)), plain("it", zone="b", price=Micros(90))]}
    decisions = decided(agents(2), rules, offers, usage(lives={PolicyName("linux"): timedelta(hours=1)}))
    assert pools_of(decisions) == ["it", None]
    assert waits(decisions[1]).reason is Reason.BUDGET_EXCEEDED
