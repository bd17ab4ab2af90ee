"""Metrics: which fact changes which series, that series exist before it, and that names never make new ones."""

import random
import string
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from broker.domain.ids import PolicyName, PoolName
from broker.domain.lifecycle import Goal, Outcome, Phase
from broker.domain.money import Budget, Micros
from broker.domain.offer import Offer
from broker.domain.placement import Placement, Rejection
from broker.domain.pool import PoolLimits
from broker.domain.reason import Reason
from broker.telemetry.metrics import Metrics
from broker.telemetry.readings import AgentCount, GatewayCounts, PoolState, Readings, bucket_of, count_agents, total
from broker.testing import factories
from broker.testing.clock import EPOCH, ManualClock
from broker.version import REVISION

WHO = {"controller": "main", "policy": "linux"}
SERIES_FOR_20_POLICIES_OF_2_POOLS = 6000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def metrics(clock: ManualClock) -> Metrics:
    metrics = Metrics(clock)
    metrics.define(factories.make_definitions(pools=[factories.make_pool(limits=PoolLimits(agents=7))]))
    return metrics


def make_count(**changes: Any) -> AgentCount:
    return AgentCount(**{"controller": factories.CONTROLLER, "policy": factories.POLICY} | changes)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    metrics.exposition()
    return metrics.registry.get_sample_value(f"agentbroker_{name}", labels)


def series(metrics: Metrics) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    families = parse_text(metrics.exposition()[0].decode())
    return {(s.name, tuple(sorted(s.labels.items()))) for f in families for s in f.samples}


def test_series_of_every_configured_name_exist_at_0_before_anything_happened(metrics: Metrics) -> None:
    metrics.read(Readings())
    nothing = [
        value(metrics, "agents", **WHO, pool="it", phase="online"),
        value(metrics, "agents", **WHO, pool="", phase="requested"),
        value(metrics, "busy_agents", **WHO, pool="it"),
        value(metrics, "agents_requested_total", **WHO),
        value(metrics, "agents_finished_total", **WHO, outcome="succeeded", reason="Online"),
        value(metrics, "agents_finished_total", **WHO, outcome="failed", reason="ConnectTimeout"),
        value(metrics, "agents_terminated_total", pool="it", reason="Completed"),
        value(metrics, "startup_duration_seconds_count", **WHO, pool="it"),
        value(metrics, "phase_duration_seconds_count", pool="it", phase="booting"),
        value(metrics, "placements_total", policy="linux", pool="it", decision="chosen", reason=""),
        value(metrics, "launch_attempts_total", pool="it", outcome="succeeded", reason=""),
        value(metrics, "oldest_waiting_agent_age_seconds", **WHO),
        value(metrics, "controller_up", controller="main"),
    ]
    assert nothing == [0.0] * len(nothing)
    assert value(metrics, "pool_state", pool="it", state="ready") == 1
    assert value(metrics, "pool_agents_limit", pool="it") == 7


def test_first_online_answers_the_request_and_takes_the_time_from_it(metrics: Metrics) -> None:
    online_at = EPOCH + timedelta(seconds=12)
    before = factories.make_agent(phase=Phase.CONNECTING, pool=factories.POOL, phase_since=EPOCH + timedelta(seconds=9))
    after = factories.make_agent(phase=Phase.ONLINE, pool=factories.POOL, online_at=online_at)
    metrics.agent_changed_phase(before, after, online_at)
    assert value(metrics, "agents_finished_total", **WHO, outcome="succeeded", reason="Online") == 1
    assert value(metrics, "startup_duration_seconds_sum", **WHO, pool="it") == 12
    assert value(metrics, "startup_duration_seconds_bucket", **WHO, pool="it", le="15.0") == 1
    assert value(metrics, "startup_duration_seconds_bucket", **WHO, pool="it", le="10.0") == 0
    assert value(metrics, "phase_duration_seconds_sum", pool="it", phase="connecting") == 3


def test_an_agent_that_comes_back_online_is_no_second_answer(metrics: Metrics) -> None:
    before = factories.make_agent(phase=Phase.RECONNECTING, pool=factories.POOL, online_at=EPOCH)
    metrics.agent_changed_phase(
        before, factories.make_agent(phase=Phase.ONLINE, pool=factories.POOL, online_at=EPOCH), EPOCH
    )
    assert value(metrics, "agents_finished_total", **WHO, outcome="succeeded", reason="Online") == 0


@pytest.mark.parametrize(
    ("outcome", "why"), [(Outcome.FAILED, Reason.CONNECT_TIMEOUT), (Outcome.CANCELLED, Reason.CANCELLED)]
)
def test_an_agent_that_ends_without_having_been_online_is_finished_with_its_reason(
    metrics: Metrics, outcome: Outcome, why: Reason
) -> None:
    before = factories.make_agent(phase=Phase.TERMINATING, pool=factories.POOL)
    after = factories.make_agent(phase=Phase.GONE, pool=factories.POOL, outcome=outcome, why=why)
    metrics.agent_changed_phase(before, after, EPOCH)
    assert value(metrics, "agents_finished_total", **WHO, outcome=outcome, reason=why) == 1
    assert sum(v for (name, _), v in counted(metrics).items() if name == "agentbroker_agents_terminated_total") == 0


def test_the_end_of_an_agent_that_was_online_is_a_termination_and_no_answer(metrics: Metrics) -> None:
    before = factories.make_agent(phase=Phase.TERMINATING, pool=factories.POOL, online_at=EPOCH)
    after = replace(before, phase=Phase.GONE, outcome=Outcome.SUCCEEDED, why=Reason.COMPLETED)
    metrics.agent_changed_phase(before, after, EPOCH)
    assert value(metrics, "agents_terminated_total", pool="it", reason="Completed") == 1
    assert sum(v for (name, _), v in counted(metrics).items() if name == "agentbroker_agents_finished_total") == 0


def counted(metrics: Metrics) -> dict[tuple[str, str], float]:
    families = parse_text(metrics.exposition()[0].decode())
    return {(s.name, str(sorted(s.labels.items()))): s.value for f in families for s in f.samples}


def test_placement_counts_the_choice_and_each_rejection(metrics: Metrics) -> None:
    no = Rejection(pool=factories.POOL, reason=Reason.POOL_AT_LIMIT, message="7 of 7")
    metrics.placement_decided("linux", Placement(offer=Offer(pool=factories.POOL), rejections=(no,)))
    metrics.placement_decided("linux", [no])
    where = {"policy": "linux", "pool": "it"}
    assert value(metrics, "placements_total", **where, decision="chosen", reason="") == 1
    assert value(metrics, "placements_total", **where, decision="rejected", reason="PoolAtLimit") == 2


def test_launches_and_calls_of_a_backend_are_counted_by_their_end(metrics: Metrics) -> None:
    metrics.launch_finished("it", "succeeded")
    metrics.launch_finished("it", "failed", Reason.INSUFFICIENT_CAPACITY)
    metrics.backend_called("fake", "launch", "throttled", 0.3)
    assert value(metrics, "launch_attempts_total", pool="it", outcome="succeeded", reason="") == 1
    assert value(metrics, "launch_attempts_total", pool="it", outcome="failed", reason="InsufficientCapacity") == 1
    assert value(metrics, "backend_requests_total", backend="fake", operation="launch", code="throttled") == 1
    assert value(metrics, "backend_request_duration_seconds_sum", backend="fake", operation="launch") == 0.3


async def test_a_controller_is_up_for_a_minute_after_a_good_call(metrics: Metrics, clock: ManualClock) -> None:
    metrics.rpc_finished("main", "SyncNodes", "OK", 0.004)
    assert value(metrics, "controller_up", controller="main") == 1
    assert value(metrics, "controller_last_contact_timestamp_seconds", controller="main") == EPOCH.timestamp()
    await clock.advance(60)
    assert value(metrics, "controller_up", controller="main") == 0
    metrics.rpc_finished("main", "SyncNodes", "UNAVAILABLE", 0.004)
    assert value(metrics, "controller_up", controller="main") == 0


async def test_gauges_of_agents_show_what_was_read_last_and_0_elsewhere(metrics: Metrics, clock: ManualClock) -> None:
    await clock.advance(90)
    online = make_count(pool=factories.POOL, phase=Phase.ONLINE, agents=5, busy=3)
    waiting = make_count(pool=None, phase=Phase.REQUESTED, agents=2, waiting_since=EPOCH)
    metrics.read(Readings(agents=(waiting, online)))
    assert value(metrics, "agents", **WHO, pool="", phase="requested") == 2
    assert value(metrics, "agents", **WHO, pool="it", phase="online") == 5
    assert value(metrics, "busy_agents", **WHO, pool="it") == 3
    assert value(metrics, "oldest_waiting_agent_age_seconds", **WHO) == 90
    metrics.read(Readings())
    assert value(metrics, "agents", **WHO, pool="it", phase="online") == 0
    assert value(metrics, "oldest_waiting_agent_age_seconds", **WHO) == 0


def test_agents_are_counted_by_phase_and_the_oldest_that_waits_is_named() -> None:
    later = EPOCH + timedelta(seconds=5)
    agents = [
        factories.make_agent(1, requested_at=later),
        factories.make_agent(2),
        factories.make_agent(3, requested_at=EPOCH - timedelta(hours=1), goal=Goal.GONE),
        factories.make_agent(4, phase=Phase.ONLINE, pool=factories.POOL, online_at=later, busy=True),
        factories.make_agent(5, phase=Phase.GONE),
    ]
    waiting = make_count(pool=None, phase=Phase.REQUESTED, agents=3, waiting_since=EPOCH)
    online = make_count(pool=factories.POOL, phase=Phase.ONLINE, agents=1, busy=1)
    assert count_agents(agents) == (waiting, online)


def test_the_state_of_a_pool_is_1_in_one_state_only(metrics: Metrics) -> None:
    metrics.read(Readings(pools={factories.POOL: PoolState.COOLDOWN}))
    states = {state: value(metrics, "pool_state", pool="it", state=state) for state in PoolState}
    assert states == {"ready": 0, "paused": 0, "cooldown": 1, "draining": 0}


def test_no_gauge_shows_a_pool_or_policy_that_a_reload_has_removed(metrics: Metrics) -> None:
    other = factories.make_pool(name=PoolName("other"))
    metrics.read(Readings(agents=(make_count(agents=1, pool="it", phase=Phase.ONLINE),)))
    policy = factories.make_policy("other", name=PolicyName("linux2"))
    metrics.define(factories.make_definitions(pools=[other], policies=[policy]))
    metrics.read(Readings())
    names = ("agents", "agents_busy", "pool_state", "pool_agents_limit", "pool_cpu_cores", "pool_memory_bytes")
    shown = {labels for name, labels in series(metrics) if name.removeprefix("agentbroker_") in names}
    assert shown
    assert not {labels for labels in shown if ("pool", "it") in labels or ("policy", "linux") in labels}


def test_counts_of_all_gateways_are_shown_as_their_sum(metrics: Metrics) -> None:
    one = GatewayCounts(
        connections={"websocket": 2},
        handshakes={("websocket", "succeeded", ""): 3, ("websocket", "failed", "HandshakeRejected"): 1},
        disconnects={("websocket", "agent"): 1},
        received_bytes={"websocket": 10},
        sent_bytes={"websocket": 20},
        durations={("websocket", bucket_of(0.02)): 2, ("websocket", bucket_of(99)): 1, ("websocket", "ms"): 99_040},
        dropped={"not_allowed": 7},
    )
    metrics.read(Readings(gateway=total([one, one])))
    metrics.read(Readings())  # no gateway is linked now: the last known counts stand
    failed = {"protocol": "websocket", "outcome": "failed", "reason": "HandshakeRejected"}
    assert value(metrics, "gateway_connections", protocol="websocket") == 4
    assert value(metrics, "gateway_handshakes_total", **failed) == 2
    assert value(metrics, "gateway_disconnects_total", protocol="websocket", reason="agent") == 2
    assert value(metrics, "gateway_received_bytes_total", protocol="websocket") == 20
    assert value(metrics, "gateway_sent_bytes_total", protocol="websocket") == 40
    took = "gateway_handshake_duration_seconds"
    within = {le: value(metrics, f"{took}_bucket", protocol="websocket", le=le) for le in ("0.01", "0.05", "+Inf")}
    assert within == {"0.01": 0, "0.05": 4, "+Inf": 6}
    assert value(metrics, f"{took}_sum", protocol="websocket") == pytest.approx(198.08)
    assert value(metrics, "gateway_connections_dropped_total", reason="not_allowed") == 14


def test_the_exposition_is_text_or_openmetrics_with_the_agent_as_exemplar(metrics: Metrics) -> None:
    online_at = EPOCH + timedelta(seconds=1)
    after = factories.make_agent(phase=Phase.ONLINE, pool=factories.POOL, online_at=online_at)
    metrics.agent_changed_phase(factories.make_agent(phase=Phase.CONNECTING, pool=factories.POOL), after, online_at)
    text, text_type = metrics.exposition()
    new, new_type = metrics.exposition("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert text_type.startswith("text/plain; version=0.0.4")
    assert new_type.startswith("application/openmetrics-text; version=1.0.0")
    assert after.name.encode() not in text
    families = parse_openmetrics(new.decode())  # type: ignore[no-untyped-call] # of the library
    exemplars = [s.exemplar.labels for f in families for s in f.samples if s.exemplar]
    assert exemplars == [{"agent": after.name}]


def test_what_runs_is_told(metrics: Metrics) -> None:
    names = {dict(labels).get("revision") for name, labels in series(metrics) if name == "agentbroker_build_info"}
    assert names == {REVISION}


def test_10_000_random_names_make_one_other_of_each_label(metrics: Metrics) -> None:
    use_names(metrics, 1)
    first = series(metrics)
    use_names(metrics, 10_000)
    assert series(metrics) == first


def use_names(metrics: Metrics, times: int) -> None:
    draw = random.Random(times)
    rows: list[AgentCount] = []
    for n in range(times):
        name = "".join(draw.choices(string.ascii_letters + '\n"\\{}', k=12))
        fields = ("name", "controller", "policy", "pool", "job", "label_expression")
        before = factories.make_agent(n, phase=Phase.CONNECTING, **dict.fromkeys(fields, name))
        after = replace(before, phase=Phase.ONLINE, online_at=EPOCH)
        failed = replace(before, phase=Phase.GONE, outcome=Outcome.FAILED, why=Reason.BACKEND_ERROR)
        metrics.agent_requested(name, name)
        metrics.agent_changed_phase(before, after, EPOCH)
        metrics.agent_changed_phase(after, replace(failed, online_at=EPOCH), EPOCH)
        metrics.agent_changed_phase(before, failed, EPOCH)
        metrics.placement_decided(name, [Rejection(pool=PoolName(name), reason=Reason.POOL_PAUSED, message=name)])
        metrics.launch_finished(name, name, Reason.BACKEND_ERROR)
        metrics.backend_called(name, name, name, 1)
        metrics.instance_started(name, {name: timedelta(seconds=1)})
        metrics.rpc_finished(name, name, name, 1)
        rows.append(make_count(controller=name, policy=name, pool=name, phase=Phase.ONLINE, agents=1, busy=1))
    gateway = GatewayCounts(
        connections={name.policy: 1 for name in rows},
        handshakes={(name.policy,) * 3: 1 for name in rows},
        disconnects={(name.policy,) * 2: 1 for name in rows},
    )
    metrics.read(Readings(agents=tuple(rows), gateway=gateway))


def test_a_broker_of_20_policies_with_2_pools_each_has_a_few_thousand_series(clock: ManualClock) -> None:
    pools = [factories.make_pool(name=PoolName(f"pool-{n}")) for n in range(40)]
    policies = [
        factories.make_policy(pools[2 * n].name, pools[2 * n + 1].name, name=PolicyName(f"policy-{n}"))
        for n in range(20)
    ]
    metrics = Metrics(clock)
    metrics.define(factories.make_definitions(pools=pools, policies=policies))
    metrics.read(Readings())
    assert len(series(metrics)) <= SERIES_FOR_20_POLICIES_OF_2_POOLS


def test_what_a_policy_s_own_keys_refuse_exists_at_0_too(clock: ManualClock) -> None:
    plain, own = Metrics(clock), Metrics(clock)
    plain.define(factories.make_definitions(policies=[factories.make_policy()]))
    keys = factories.make_policy(per_job=2, budget=Budget(amount=Micros(1)))
    own.define(factories.make_definitions(policies=[keys]))
    where = {"policy": "linux", "pool": "it", "decision": "rejected"}
    for reason in ("JobAtLimit", "BudgetExceeded"):
        assert value(plain, "placements_total", **where, reason=reason) is None
        assert value(own, "placements_total", **where, reason=reason) == 0
