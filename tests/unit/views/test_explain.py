"""What `explain` says of pools and policies: levers and their ends, keys set for a time, fallbacks, money."""

from datetime import timedelta

from broker.domain.ids import PoolName
from broker.domain.lifecycle import Phase
from broker.domain.limits import Cooled, Lever, LeverKind, Rest, Scope
from broker.domain.money import Budget, Micros
from broker.domain.offer import Offering
from broker.domain.policy import AgentLimits, Fallback
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.domain.timed_override import TimedOverride
from broker.testing.clock import EPOCH
from broker.testing.factories import POLICY, make_agent, make_definitions, make_policy, make_pool
from broker.views.explain import Explanation, of_agent
from broker.views.explain_fleet import of_policy, of_pool
from broker.views.snapshot import Snapshot
from broker.views.words import Words

SPOT, FARGATE, HANGZHOU = PoolName("fargate-spot"), PoolName("fargate"), PoolName("hangzhou")
NOW = EPOCH + timedelta(minutes=14)
ALL = Words(raw=True)
MINUTE = timedelta(minutes=1)


def rest(why: Reason) -> Rest:
    return Rest(opened=1, until=NOW + 3 * MINUTE, probe=None, why=why, message="port 22 of 10.1.4.7 refused")


def lever(kind: LeverKind = LeverKind.PAUSE, pool: PoolName = HANGZHOU) -> Lever:
    until = NOW + timedelta(hours=1)
    return Lever(pool=pool, kind=kind, actor="ana", reason="ECR migration", since=EPOCH, until=until)


def lines(found: Explanation) -> list[tuple[str, str, str]]:
    return [(line.name, line.state, line.text) for line in found.lines]


def test_a_policy_tells_how_each_pool_of_its_chain_stands_and_what_would_help() -> None:
    definitions = make_definitions(
        pools=[make_pool(name=SPOT), make_pool(name=FARGATE, limits=PoolLimits(agents=2)), make_pool(name=HANGZHOU)],
        policies=[make_policy(SPOT, FARGATE, fallback=(Fallback(pool=HANGZHOU, after=45 * timedelta(seconds=1)),))],
    )
    busy = [make_agent(n, phase=Phase.ONLINE, pool=FARGATE, online_at=EPOCH, busy=True) for n in (1, 2)]
    snapshot = Snapshot(
        now=NOW,
        definitions=definitions,
        agents=(make_agent(3), *busy),
        used={(Scope.POOL_AGENTS, FARGATE): 2},
        rests={SPOT: rest(Reason.SSH_UNREACHABLE)},
    )
    found = of_policy(definitions.policies[POLICY], snapshot, ALL)
    assert found.summary == "policy linux   1 waiting (oldest 14m00s)   2 online   0 launching"
    assert lines(found) == [
        (SPOT, "cooling down 3m00s more", "SshUnreachable: port 22 of 10.1.4.7 refused   <- the cause to fix"),
        (FARGATE, "at limit", "2 of 2 agents, 2 busy"),
        (HANGZHOU, "standby", "fallback after 45s; 0 agents, 0 busy"),
    ]
    assert [line.reason for line in found.lines] == [Reason.POOL_COOLING_DOWN, Reason.POOL_AT_LIMIT, None]
    assert found.commands[1:3] == (
        'agentbroker pool pause fargate-spot --reason "SshUnreachable" --for 1h',
        "agentbroker pool set fargate limits.agents=3 --for 2h",
    )


def test_a_paused_pool_says_who_why_since_when_and_until_when() -> None:
    definitions = make_definitions(pools=[make_pool(name=HANGZHOU)])
    snapshot = Snapshot(now=NOW, definitions=definitions, levers={HANGZHOU: lever()})
    of_its_policy = of_policy(definitions.policies[POLICY], snapshot, ALL)
    assert lines(of_its_policy) == [(HANGZHOU, "paused", 'by ana 14m00s ago until 01:14 UTC: "ECR migration"')]
    assert "agentbroker pool resume hangzhou" in of_its_policy.commands
    itself = of_pool(HANGZHOU, snapshot, ALL)
    assert itself.summary == 'pool hangzhou is paused by ana since 00:00 UTC until 01:14 UTC: "ECR migration"'
    assert (itself.reason, itself.commands[0]) == (Reason.POOL_PAUSED, "agentbroker pool resume hangzhou")


def test_a_lever_whose_time_is_over_is_not_shown() -> None:
    definitions = make_definitions(pools=[make_pool(name=HANGZHOU)])
    later = Snapshot(now=NOW + timedelta(hours=2), definitions=definitions, levers={HANGZHOU: lever()})
    assert of_pool(HANGZHOU, later, ALL).reason is None


def test_keys_that_are_set_for_a_time_stand_with_the_pool() -> None:
    path, until = ("pools", FARGATE, "limits", "agents"), NOW + timedelta(days=1)
    one = TimedOverride(path=path, value="140", actor="ana", reason="rush", since=NOW, until=until)
    definitions = make_definitions(pools=[make_pool(name=FARGATE)])
    found = of_pool(FARGATE, Snapshot(now=NOW, definitions=definitions, timed=(one,)), ALL)
    assert ("set", "limits.agents=140", 'until 2026-01-02 00:14 UTC by ana: "rush"') in lines(found)


def test_a_budget_stands_with_its_policy() -> None:
    definitions = make_definitions(policies=[make_policy(budget=Budget(amount=Micros(80_000_000)))], currency="USD")
    used = {(Scope.POLICY_BUDGET, "linux|2026-01-01"): 62_100_000}
    found = of_policy(definitions.policies[POLICY], Snapshot(now=NOW, definitions=definitions, used=used), ALL)
    assert lines(found)[-1][:2] == ("budget", "62.10 USD")
    assert lines(found)[-1][2].startswith("of 80 USD of the day spent or set aside; anew 2026-01-02 00:00 UTC")


def test_who_waits_at_a_limit_hears_when_a_place_is_expected() -> None:
    definitions = make_definitions(policies=[make_policy(limits=AgentLimits(agents=2))])
    held = [
        make_agent(n, phase=Phase.ONLINE, pool=PoolName("it"), placed_at=EPOCH + n * MINUTE, online_at=EPOCH)
        for n in (1, 2)
    ]
    waiting = [make_agent(n, why=Reason.POLICY_AT_LIMIT, message="full") for n in (3, 4, 5)]
    lives = {POLICY: 16 * MINUTE}
    snapshot = Snapshot(now=NOW, definitions=definitions, agents=(*held, *waiting), lives=lives)
    said = [of_agent(agent, snapshot, ALL).summary.rpartition("; ")[2] for agent in waiting]
    assert said[:2] == ["the next is expected free in about 3 min", "its turn is expected in about 4 min"]
    assert "expected" not in said[2]
    assert of_agent(waiting[0], snapshot, ALL).hint == "full; the next is expected free in about 3 min"
    unknown = Snapshot(now=NOW, definitions=definitions, agents=(*held, *waiting))
    assert "expected" not in of_agent(waiting[0], unknown, ALL).summary


def test_a_start_that_took_clearly_longer_than_usual_is_said() -> None:
    agent = make_agent(
        1, phase=Phase.ONLINE, pool=PoolName("it"), placed_at=EPOCH, online_at=EPOCH + timedelta(seconds=39.2)
    )
    snapshot = Snapshot(now=NOW, definitions=make_definitions(), agents=(agent,))
    usual = timedelta(seconds=12.4)
    late = of_agent(agent, snapshot, ALL, usual)
    assert late.commands == (f"agentbroker events -f --agent {agent.name}",)
    [line] = late.lines
    assert (line.name, line.text) == (
        "slower than usual",
        "it was online 39.2 s after its place was found (median of pool it 12.4 s)",
    )
    assert of_agent(agent, snapshot, ALL, timedelta(seconds=35)).lines == ()
    assert of_agent(agent, snapshot, ALL).lines == ()


def test_a_pool_that_is_out_of_stock_is_told_of_as_one_that_rests() -> None:
    definitions = make_definitions(
        pools=[make_pool(name=SPOT), make_pool(name=FARGATE)], policies=[make_policy(SPOT, FARGATE)]
    )
    lack = Cooled(until=NOW + 2 * MINUTE, why=Reason.INSUFFICIENT_CAPACITY, message="none is left")
    of_zone = {Offering(FARGATE, "a"): lack}
    snapshot = Snapshot(now=NOW, definitions=definitions, cooled={Offering(SPOT): lack, **of_zone})
    assert lines(of_policy(definitions.policies[POLICY], snapshot, ALL)) == [
        (SPOT, "cooling down 2m00s more", "InsufficientCapacity: none is left"),
        (FARGATE, "ready", "0 agents, 0 busy"),
    ]
    assert of_pool(SPOT, snapshot, ALL).summary == "pool fargate-spot is cooling down, 2m00s more: its launches failed"
    assert [snapshot.state_of(pool) for pool in (SPOT, FARGATE)] == ["cooldown", "ready"]
