"""Every metric of the broker: name, help, labels and buckets here, and the facts that change them. What gateways count
is shown by `broker.telemetry.gateway_counts`.

Methods are named after facts; none of them fails or blocks. No label ever holds the name of an agent, a job or a build
(an exemplar does). Names, units and buckets are promises to those who wrote alerts: they only grow.
"""

import platform
from collections import Counter as Counts
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics import disable_created_metrics

from broker.domain.agent import Agent
from broker.domain.definitions import Definitions
from broker.domain.lifecycle import LIVE, STARTING, Outcome, Phase
from broker.domain.placement import Placement, Rejection
from broker.domain.reason import Reason
from broker.ports import Clock
from broker.telemetry import labels
from broker.telemetry.gateway_counts import GatewayCollector
from broker.telemetry.host_metrics import HostMetrics
from broker.telemetry.labels import ConfiguredNames, one_of
from broker.telemetry.readings import AgentCount, PoolState, Readings
from broker.version import REVISION, VERSION

CONTACT_LASTS: Final = timedelta(seconds=60)
"""How long after its last good call a controller counts as up."""
_START_S: Final = (1, 2.5, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 900)
_RPC_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_BACKEND_S: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_MIB: Final = 2**20
_LAG_S: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)
_DECISION_S: Final = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1)
_WRITE_S: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1)


class _Declare:
    """Makes metrics with the product's prefix in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, text: str, *names: str) -> Counter:
        return Counter(f"agentbroker_{name}", text, names, registry=self._registry)

    def gauge(self, name: str, text: str, *names: str) -> Gauge:
        return Gauge(f"agentbroker_{name}", text, names, registry=self._registry)

    def histogram(self, name: str, text: str, buckets: Sequence[float], *names: str) -> Histogram:
        return Histogram(f"agentbroker_{name}", text, names, buckets=buckets, registry=self._registry)


class _Process:
    """The broker itself, and the controllers that call it."""

    def __init__(self, declare: _Declare) -> None:
        count, gauge, time = declare.counter, declare.gauge, declare.histogram
        self.build = gauge("build_info", "Always 1; labels say what is running.", "version", "revision", "python")
        self.lag = time("event_loop_lag_seconds", "How late a timer of the event loop fired.", _LAG_S)
        self.write = time("state_write_duration_seconds", "Time to commit a change of state to disk.", _WRITE_S)
        self.up = gauge("controller_up", "1 if the controller called with success in the last 60 s.", "controller")
        text = "When the certificate in use expires, by the key of its listener."
        self.certificate = gauge("certificate_expiry_timestamp_seconds", text, "listener")
        text = "Time of the last successful RPC from the controller; 0 before the first."
        self.contact = gauge("controller_last_contact_timestamp_seconds", text, "controller")
        text = "Builds that came to wait for a label which no policy serves, and nothing else in Jenkins."
        self.unmatched = count("unmatched_labels_total", text, "controller")
        self.rpcs = count("rpc_requests_total", "gRPC calls, by status code.", "controller", "method", "code")
        self.rpc_time = time("rpc_request_duration_seconds", "Time to answer a gRPC call.", _RPC_S, "method")
        self.reloaded = gauge("config_last_reload_successful", "1 if the last configuration reload was accepted.")
        text = "When the configuration in force was loaded."
        self.loaded = gauge("config_last_reload_success_timestamp_seconds", text)
        what = ("endpoint", "method")
        self.calls = count("http_requests_total", "Calls of the operators' API, by status code.", *what, "code")
        text = "Time to answer a call of the operators' API; streams of events are left out."
        self.call_time = time("http_request_duration_seconds", text, _RPC_S, *what)


class _Agents:
    """Requests, starts and ends of agents."""

    def __init__(self, declare: _Declare) -> None:
        count, gauge, time = declare.counter, declare.gauge, declare.histogram
        who, where = ("controller", "policy"), ("controller", "policy", "pool")
        self.requested = count("agents_requested_total", "Agents that Jenkins asked for.", *who)
        text = "Requests answered, once each: first online, or ended without ever having been."
        self.finished = count("agents_finished_total", text, *who, "outcome", "reason")
        text = "Agents that ended after they had been online, by why."
        self.terminated = count("agents_terminated_total", text, "pool", "reason")
        text = "Age of the oldest request without an agent; 0 if none."
        self.oldest = gauge("oldest_waiting_agent_age_seconds", text, *who)
        text = "From Jenkins' request to the agent online. The service level."
        self.startup = time("startup_duration_seconds", text, _START_S, *where)
        self.phase = time("phase_duration_seconds", "Time spent in one phase of a start.", _START_S, "pool", "phase")
        text = "Time of one step of an instance's start, by its cloud's own clock; part of the phase booting."
        self.step = time("instance_step_duration_seconds", text, _START_S, "pool", "step")
        text = "Agents now in a phase of the lifecycle (pool is empty before placement)."
        self.now = gauge("agents", text, *where, "phase")
        text = "Idle agents kept ready; kind is actual or wanted."
        self.warm = gauge("warm_agents", text, "policy", "kind")
        text = "Builds of policies that keep agents warm: a hit found one ready, a miss waited for its start."
        self.claims = count("warm_claims_total", text, "policy", "outcome")
        self.busy = gauge("busy_agents", "Online agents that run a build, as Jenkins reports it.", *where)


class _Capacity:
    """Placement, pools and the calls of backends."""

    def __init__(self, declare: _Declare) -> None:
        count, gauge, time = declare.counter, declare.gauge, declare.histogram
        text = "Pools looked at by placement; decision is chosen or rejected."
        self.placements = count("placements_total", text, "policy", "pool", "decision", "reason")
        text = "Time of one placement decision, over all agents that wait."
        self.decision = time("placement_duration_seconds", text, _DECISION_S)
        text = "Placements into a fallback pool, by why."
        self.fallbacks = count("fallbacks_total", text, "policy", "pool", "reason")
        text = "Launches asked of a backend; outcome is succeeded or failed."
        self.launches = count("launch_attempts_total", text, "pool", "outcome", "reason")
        text = (
            "Places out of stock that were left alone for a time: all of a pool, a zone, a type, or a kind of capacity."
        )
        self.cooled = count("offerings_cooled_total", text, "pool", "reason")
        text = "1 for the state that the pool is in: ready, paused, cooldown, draining."
        self.state = gauge("pool_state", text, "pool", "state")
        self.limit = gauge("pool_agents_limit", "limits.agents of the pool; 0 is unlimited.", "pool")
        text = "vCPU of the pool; kind is used or limit; a limit of 0 is none."
        self.cpu = gauge("pool_cpu_cores", text, "pool", "kind")
        text = "Memory of the pool; kind is used or limit; a limit of 0 is none."
        self.memory = gauge("pool_memory_bytes", text, "pool", "kind")
        what = ("backend", "operation")
        self.calls = count(
            "backend_requests_total", "Calls of a backend, or of its cloud, by their end.", *what, "code"
        )
        self.call_time = time("backend_request_duration_seconds", "Time of a call of a backend.", _BACKEND_S, *what)


class _Money:
    """What agents cost."""

    def __init__(self, declare: _Declare) -> None:
        text = "List price of agent time so far, from the pools' cost."
        self.cost = declare.counter("estimated_cost_total", text, "policy", "pool", "currency")
        text = "Spent part of the budget in its current period."
        self.budget = declare.gauge("budget_spent_ratio", text, "policy")


class Metrics:
    """All counts and times of one broker, in a registry of its own."""

    def __init__(self, clock: Clock) -> None:
        """Begins at nothing; `define` makes the series."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series for each counter, which nobody asks for
        self.registry = CollectorRegistry()
        self._clock = clock
        self._known = ConfiguredNames()
        declare = _Declare(self.registry)
        self._process, self._agents, self._capacity = _Process(declare), _Agents(declare), _Capacity(declare)
        self._money, self._currency = _Money(declare), ""
        self.hosts = HostMetrics(declare.gauge, declare.histogram, _START_S, self._known.pool)
        self._gateway = GatewayCollector()
        self.registry.register(self._gateway)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._process.build.labels(VERSION, REVISION, platform.python_version()).set(1)
        self._zero_agents: set[tuple[str, str, str, str]] = set()
        self._contacts: dict[str, datetime] = {}

    def define(self, definitions: Definitions) -> None:
        """Makes the series of every configured controller, policy and pool; repeat it after a reload.

        Of what is no longer configured the counts stay, and no gauge says how it stands.
        """
        self._known.learn(definitions)
        self._zero_agents.clear()
        for gauge in (self._capacity.limit, self._capacity.cpu, self._capacity.memory, self._capacity.state):
            gauge.clear()
        for pool in definitions.pools.values():
            self._define_pool(pool.name)
            self._capacity.limit.labels(pool.name).set(pool.limits.agents or 0)
            self._capacity.cpu.labels(pool.name, "limit").set((pool.limits.cpu_milli or 0) / 1000)
            self._capacity.memory.labels(pool.name, "limit").set((pool.limits.memory_mib or 0) * _MIB)
        for name in definitions.controllers:
            self._process.contact.labels(name)
            self._process.up.labels(name)
            self._process.unmatched.labels(name)
            for policy in definitions.policies_of(name):
                self._define_requests(name, policy.name, list(policy.chain))
        self._agents.warm.clear()
        for policy in definitions.policies.values():
            for kind in labels.WARM:
                self._agents.warm.labels(policy.name, kind)
            for outcome in labels.CLAIMS:
                self._agents.claims.labels(policy.name, outcome)
            for pool_name in policy.chain:
                self._capacity.placements.labels(policy.name, pool_name, "chosen", "")
                for reason in labels.rejections_of(policy):
                    self._capacity.placements.labels(policy.name, pool_name, "rejected", reason)
            for step in policy.fallback:
                for reason in step.when or labels.REJECTIONS:
                    self._capacity.fallbacks.labels(policy.name, step.pool, reason)
        self._define_money(definitions)

    def _define_money(self, definitions: Definitions) -> None:
        self._currency = definitions.currency
        self._money.budget.clear()
        for policy in definitions.policies.values():
            for name in policy.chain:
                if definitions.pools[name].cost is not None:
                    self._money.cost.labels(policy.name, name, self._currency)
            if policy.budget is not None:
                self._money.budget.labels(policy.name)

    def _define_pool(self, pool: str) -> None:
        for phase in STARTING:
            self._agents.phase.labels(pool, phase)
        for reason in labels.ENDS:
            self._agents.terminated.labels(pool, reason)
        for reason in labels.LAUNCH_FAILURES:
            self._capacity.launches.labels(pool, "failed", reason)
        self._capacity.launches.labels(pool, "succeeded", "")
        self._capacity.cooled.labels(pool, labels.LACK)
        for state in PoolState:
            self._capacity.state.labels(pool, state).set(state is PoolState.READY)
        self._capacity.cpu.labels(pool, "used")
        self._capacity.memory.labels(pool, "used")

    def _define_requests(self, controller: str, policy: str, pools: Sequence[str]) -> None:
        self._agents.requested.labels(controller, policy)
        for outcome, reason in labels.UNFAILED_ANSWERS:
            self._agents.finished.labels(controller, policy, outcome, reason)
        for reason in labels.START_FAILURES:
            self._agents.finished.labels(controller, policy, Outcome.FAILED, reason)
        self._zero_agents.add((controller, policy, "", Phase.REQUESTED))
        for pool in pools:
            self._agents.startup.labels(controller, policy, pool)
            self._zero_agents |= {(controller, policy, pool, phase) for phase in LIVE - {Phase.REQUESTED}}

    def config_reloaded(self, *, ok: bool) -> None:
        """The config was read anew, or at the start; it is in force, or the former one still is."""
        self._process.reloaded.set(ok)
        if ok:
            self._process.loaded.set(self._clock.now().timestamp())

    def agent_requested(self, controller: str, policy: str) -> None:
        """Jenkins asked for an agent of a new name; a repeat of the call is none."""
        self._agents.requested.labels(self._known.controller(controller), self._known.policy(policy)).inc()

    def label_unmatched(self, controller: str, builds: int) -> None:
        """Builds have come to wait for a label that nothing serves."""
        self._process.unmatched.labels(self._known.controller(controller)).inc(builds)

    def warm_agent_claimed(self, policy: str, *, hit: bool) -> None:
        """A build of a policy that keeps agents warm began; a `hit` found its agent ready."""
        self._agents.claims.labels(self._known.policy(policy), "hit" if hit else "miss").inc()

    def agent_changed_phase(self, before: Agent, after: Agent, now: datetime) -> None:
        """The store saved a change of an agent's row at `now`; one that keeps the phase counts too, if now online."""
        who = (self._known.controller(after.controller), self._known.policy(after.policy))
        pool = self._known.pool(after.pool)
        if before.phase is not after.phase and before.phase in STARTING:
            self._agents.phase.labels(pool, before.phase).observe((now - before.phase_since).total_seconds())
        if after.online_at is not None and before.online_at is None:
            self._agents.finished.labels(*who, Outcome.SUCCEEDED, Reason.ONLINE).inc()
            seconds = (after.online_at - after.requested_at).total_seconds()
            self._agents.startup.labels(*who, pool).observe(seconds, exemplar={"agent": after.name})
        if after.phase is Phase.GONE and before.phase is not Phase.GONE:
            reason = one_of(labels.REASONS, after.why or labels.OTHER)
            if after.was_online:
                self._agents.terminated.labels(pool, reason).inc()
            else:
                self._agents.finished.labels(*who, after.outcome or Outcome.FAILED, reason).inc()

    def instance_started(self, pool: str, steps: Mapping[str, timedelta]) -> None:
        """An instance runs, and its cloud has told how long each step took, by the names of `domain.instance.STEPS`."""
        for step, took in steps.items():
            where = (self._known.pool(pool), one_of(labels.STEPS, step))
            self._agents.step.labels(*where).observe(took.total_seconds())

    def placement_decided(self, policy: str, decision: Placement | Sequence[Rejection]) -> None:
        """Placement chose an offer, or found none: then all that it has is the rejections."""
        policy = self._known.policy(policy)
        rejections: Sequence[Rejection]
        if isinstance(decision, Placement):
            rejections, pool = decision.rejections, self._known.pool(decision.offer.pool)
            self._capacity.placements.labels(policy, pool, "chosen", "").inc()
            if decision.fallback_for is not None:
                self._capacity.fallbacks.labels(policy, pool, one_of(labels.REASONS, decision.fallback_for)).inc()
        else:
            rejections = decision
        for one in rejections:
            self._capacity.placements.labels(
                policy, self._known.pool(one.pool), "rejected", one_of(labels.REASONS, one.reason)
            ).inc()

    def placement_took(self, seconds: float) -> None:
        """A batch of agents was decided; the time of its transaction is not in it."""
        self._capacity.decision.observe(max(0.0, seconds))

    def money_spent(self, policy: str, pool: str, micros: int) -> None:
        """Agents have cost so many millionths of the base currency more."""
        who = (self._known.policy(policy), self._known.pool(pool))
        self._money.cost.labels(*who, self._currency).inc(max(0, micros) / 1_000_000)

    def budget_stands(self, policy: str, spent: int, amount: int) -> None:
        """So much of a policy's budget is spent in its present period."""
        self._money.budget.labels(self._known.policy(policy)).set(spent / amount if amount else 1.0)

    def launch_finished(self, pool: str, outcome: str, reason: Reason | None = None) -> None:
        """An attempt to launch is over: `succeeded` when the instance is known, else `failed`."""
        outcome = one_of(labels.LAUNCH_OUTCOMES, outcome)
        self._capacity.launches.labels(self._known.pool(pool), outcome, one_of(labels.REASONS, reason or "")).inc()

    def offering_cooled(self, pool: str, reason: Reason) -> None:
        """A place was out of stock, and is left alone for a time."""
        self._capacity.cooled.labels(self._known.pool(pool), one_of(labels.REASONS, reason)).inc()

    def backend_called(self, backend: str, operation: str, code: str, seconds: float) -> None:
        """A call of a backend, or of its cloud, ended; `operation` and `code` are of the closed lists in `labels`."""
        backend, operation = self._known.backend(backend), one_of(labels.OPERATIONS, operation)
        self._capacity.calls.labels(backend, operation, one_of(labels.BACKEND_CODES, code)).inc()
        self._capacity.call_time.labels(backend, operation).observe(seconds)

    def rpc_finished(self, controller: str, method: str, code: str, seconds: float | None) -> None:
        """A call of a controller was answered. `controller` is empty where the token named none.

        `seconds` is None for a stream: how long it lasted says nothing.
        """
        method, code = one_of(labels.METHODS, method), one_of(labels.CODES, code)
        self._process.rpcs.labels(self._known.controller(controller), method, code).inc()
        if seconds is not None:
            self._process.rpc_time.labels(method).observe(seconds)
        if code == "OK" and self._known.controller(controller) == controller:
            self._contacts[controller] = self._clock.now()

    def http_finished(self, endpoint: str, method: str, status: int, seconds: float | None) -> None:
        """A call of the operators' API was answered; no seconds for a stream, which lasts as its client likes."""
        what = (one_of(labels.ENDPOINTS, endpoint) or labels.OTHER, one_of(labels.HTTP_METHODS, method))
        self._process.calls.labels(*what, str(status)).inc()
        if seconds is not None:
            self._process.call_time.labels(*what).observe(seconds)

    def state_written(self, seconds: float) -> None:
        """A transaction was committed."""
        self._process.write.observe(seconds)

    def event_loop_was_late(self, seconds: float) -> None:
        """A timer of the event loop fired so much after its time."""
        self._process.lag.observe(max(0.0, seconds))

    def read(self, readings: Readings) -> None:
        """Takes over what the running broker counts now; called before each exposition."""
        self._gateway.counts = readings.gateway or self._gateway.counts
        self.set_agents(readings.agents)
        self.hosts.set(readings.host_pools, readings.hosts, readings.agents_on)
        for policy, numbers in readings.warm.items():
            for kind, number in zip(labels.WARM, numbers, strict=True):
                self._agents.warm.labels(self._known.policy(policy), kind).set(number)
        for key, expires in readings.certificates.items():
            self._process.certificate.labels(key).set(expires.timestamp())
        for pool, size in readings.taken.items():
            self._capacity.cpu.labels(self._known.pool(pool), "used").set(size.cpu_milli / 1000)
            self._capacity.memory.labels(self._known.pool(pool), "used").set(size.memory_mib * _MIB)
        for pool, now in readings.pools.items():
            for state in PoolState:
                self._capacity.state.labels(self._known.pool(pool), state).set(state is now)

    def set_agents(self, rows: Iterable[AgentCount]) -> None:
        """Sets the gauges of agents; what no row names is 0."""
        agents: Counts[tuple[str, ...]] = Counts(dict.fromkeys(self._zero_agents, 0))
        busy: Counts[tuple[str, ...]] = Counts({key[:3]: 0 for key in self._zero_agents if key[2]})
        oldest = {key[:2]: 0.0 for key in self._zero_agents}
        now = self._clock.now()
        for row in rows:
            who = (self._known.controller(row.controller), self._known.policy(row.policy))
            pool = "" if row.phase is Phase.REQUESTED else self._known.pool(row.pool)
            agents[*who, pool, row.phase] += row.agents
            if row.busy:
                busy[*who, pool] += row.busy
            age = (now - row.waiting_since).total_seconds() if row.waiting_since else 0.0
            oldest[who] = max(age, oldest.get(who, 0.0))
        _set_all(self._agents.now, agents)
        _set_all(self._agents.busy, busy)
        _set_all(self._agents.oldest, oldest)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics and their content type: OpenMetrics, with exemplars, if the Accept header asks for it."""
        now = self._clock.now()
        for controller, contact in self._contacts.items():
            self._process.contact.labels(controller).set(contact.timestamp())
            self._process.up.labels(controller).set(now - contact < CONTACT_LASTS)
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


def _set_all(gauge: Gauge, values: Mapping[Any, float]) -> None:
    gauge.clear()
    for key, value in values.items():
        gauge.labels(*key).set(value)
