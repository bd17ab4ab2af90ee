"""What a simulated controller knows, and what it decides: builds, nodes, policies. No I/O; the clock is injected."""

import secrets
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from broker.demo.records import Build, Node, Planned, PolicyView, Released
from broker.demo.shortage import Labels, asked_for, parse_expression, takes, unmatched


@dataclass(slots=True, kw_only=True)
class Controller:
    """The state of one boot."""

    now: Callable[[], float] = time.time
    node_delay_s: float = 0.0
    boot_id: str = field(default_factory=lambda: secrets.token_hex(16))
    synced: bool = False
    syncs: int = 0
    """How often the broker has answered a sync."""
    policies: tuple[PolicyView, ...] = ()
    builds: dict[int, Build] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    planned: dict[str, Planned] = field(default_factory=dict)
    unanswered: dict[str, Planned] = field(default_factory=dict)
    released: dict[str, Released] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    elsewhere: dict[str, Labels] = field(default_factory=dict)
    """Agents of the broker's last reply that can take a build."""
    to_close: list[object] = field(default_factory=list)
    """Live channels of nodes that are no more: whoever owns the connections closes them."""
    not_before: float = 0.0
    """No new agents are asked for until then: the broker has refused some."""
    forbidden: dict[tuple[str, Labels], str] = field(default_factory=dict)
    """What the broker has answered to what builds ask for themselves, by policy; until the policies come anew."""

    def learn(self, policies: tuple[PolicyView, ...]) -> None:
        """Takes the broker's policies in; what they forbid is asked for once more."""
        self.policies = policies
        self.forbidden.clear()

    def enqueue(self, expression: str, seconds: float, count: int) -> list[Build]:
        """Queues builds; raises ValueError for an expression that is not simple names joined by &&."""
        labels = parse_expression(expression)
        first = len(self.builds) + 1
        made = [
            Build(number=n, expression=expression, labels=labels, seconds=seconds, queued_at=self.now())
            for n in range(first, first + count)
        ]
        self.builds.update((build.number, build) for build in made)
        return made

    def cancel(self, number: int) -> None:
        """Takes a waiting build out of the queue; one that runs or has ended stays as it is."""
        build = self.builds.get(number)
        if build and build.started_at is None:
            build.result = "ABORTED"

    def waiting(self) -> list[Build]:
        """The queue, the oldest first."""
        return [build for build in self.builds.values() if build.started_at is None and build.result is None]

    def policy_for(self, labels: Labels) -> PolicyView | None:
        """The first policy that serves a build with these labels."""
        return next((policy for policy in self.policies if policy.serves(labels)), None)

    def refusal_of(self, build: Build) -> str:
        """The broker's no to what a waiting build asks for itself; empty where it has not said that."""
        policy = self.policy_for(build.labels) if build.started_at is None and build.result is None else None
        return self.forbidden.get((policy.name, asked_for(build.labels)), "") if policy else ""

    def plan(self) -> list[Planned]:
        """Names the agents that are missing for the whole queue; each is unanswered from now on."""
        if not self.synced or self.now() < self.not_before:
            return []
        items = [build for build in self.waiting() if self.policy_for(build.labels) and not self.refusal_of(build)]
        missing = unmatched([build.labels for build in items], self._capacity())
        made = [self._planned(items[i]) for i in missing]
        self._ask_for(made)
        return made

    def fulfil(self, policy: str, count: int, cause: str, launch_id: str) -> None:
        """Names the agents that the broker wants though no build waits, less those that it has not answered yet."""
        found = next((one for one in self.policies if one.name == policy), None)
        coming = [
            p for p in self.unanswered.values() if (p.policy.name, p.cause, p.launch_id) == (policy, cause, launch_id)
        ]
        if found is None or self.now() < self.not_before:
            return
        self._ask_for([self._wanted(found, cause, launch_id) for _ in range(count - len(coming))])

    def _ask_for(self, made: list[Planned]) -> None:
        self.planned.update((one.name, one) for one in made)
        self.unanswered.update((one.name, one) for one in made)

    def _capacity(self) -> dict[str, Labels]:
        known = {name: labels for name, labels in self.elsewhere.items() if name not in self.nodes}
        known = {name: labels for name, labels in known.items() if name not in self.removed}
        coming = {one.name: one.labels for one in self.planned.values()}
        return known | coming | {node.name: node.labels for node in self.nodes.values() if node.is_capacity}

    def _planned(self, build: Build) -> Planned:
        policy = self.policy_for(build.labels)
        assert policy is not None
        return Planned(
            name=_new_name(policy),
            policy=policy,
            expression=build.expression,
            labels=policy.labels_for(build.labels),
            job=f"demo-{build.number}",
            queued_at=build.queued_at,
            node_at=self.now() + self.node_delay_s,
        )

    def _wanted(self, policy: PolicyView, cause: str, launch_id: str) -> Planned:
        now = self.now()
        return Planned(
            name=_new_name(policy),
            policy=policy,
            expression="",
            labels=policy.labels,
            job="",
            queued_at=now,
            node_at=now + self.node_delay_s,
            cause=cause,
            launch_id=launch_id,
        )

    def make_due_nodes(self) -> None:
        """Turns planned agents whose time has come into nodes."""
        for one in [one for one in self.planned.values() if one.node_at <= self.now()]:
            del self.planned[one.name]
            self.add_node(one.name, one.policy, one.labels, uses=0)

    def add_node(self, name: str, policy: PolicyView, labels: Labels, *, uses: int) -> None:
        """Makes a node; one that exists stays as it is."""
        if name not in self.nodes:
            self.nodes[name] = Node(
                name=name,
                policy=policy.name,
                labels=labels,
                max_uses=policy.max_uses,
                idle_timeout_s=policy.idle_timeout_s,
                uses=uses,
            )

    def start_builds(self) -> list[tuple[Node, Build]]:
        """Gives waiting builds to ready nodes; a use counts from here."""
        started = []
        for build in self.waiting():
            node = next((n for n in self.nodes.values() if n.ready and takes(n.labels, build.labels)), None)
            if node:
                node.build, node.uses, node.why = build, node.uses + 1, ""
                build.node, build.started_at = node.name, self.now()
                started.append((node, build))
        return started

    def connected(self, name: str, channel: object, cookie: str) -> None:
        """Its agent is here: the node is online."""
        node = self.nodes[name]
        node.channel, node.cookie, node.ever_online, node.idle_since, node.why = channel, cookie, True, self.now(), ""

    def disconnected(self, name: str, channel: object) -> None:
        """The connection has ended: a build that ran on it fails, as a freestyle build does."""
        node = self.nodes.get(name)
        if node and node.channel is channel:
            node.channel, node.why = None, "Connection was broken"
            self._finish(node, "FAILURE")

    def done(self, name: str, number: int) -> None:
        """The agent says that its build is done."""
        node = self.nodes.get(name)
        if node and node.build and node.build.number == number:
            self._finish(node, "SUCCESS")

    def _finish(self, node: Node, result: str) -> None:
        if node.build:
            node.build.result, node.build.finished_at = result, self.now()
            node.build, node.idle_since = None, self.now()
            if not node.accepting:
                self.release(node.name, "COMPLETED")

    def release_idle(self) -> None:
        """Gives up nodes that have been online without work for their idle timeout."""
        for node in list(self.nodes.values()):
            if node.ready and not node.keep_warm and self.now() - node.idle_since > node.idle_timeout_s:
                self.release(node.name, "IDLE")

    def release(self, name: str, cause: str) -> None:
        """Removes a node because the controller has no more use for it; the broker is told."""
        node = self.nodes.get(name)
        self.released[name] = Released(name=name, cause=cause, uses=node.uses if node else 0)
        self.remove(name)

    def remove(self, name: str) -> None:
        """Removes a node or a plan for one; its build, if it has one, fails. A removed name never comes back."""
        self.planned.pop(name, None)
        self.removed.add(name)
        node = self.nodes.pop(name, None)
        if node and node.build:
            node.build.result, node.build.finished_at, node.build = "FAILURE", self.now(), None
        if node and node.channel:
            self.to_close.append(node.channel)

    def refused(self, names: Iterable[str]) -> None:
        """The broker will not make these; new ones are asked for a second later."""
        for name in names:
            self.remove(name)
            self.not_before = self.now() + 1.0

    def forbid(self, one: Planned, why: str) -> None:
        """The policy of an agent does not allow what its build asks for itself: builds that ask for less go on."""
        self.forbidden[one.policy.name, asked_for(one.labels)] = why
        self.remove(one.name)

    def forget_unknown(self, names: Iterable[str], unanswered_then: Collection[str]) -> None:
        """Removes what the broker does not know, unless it had not answered when the question was asked."""
        for name in names:
            if name not in unanswered_then and name not in self.unanswered:
                self.remove(name)


def _new_name(policy: PolicyView) -> str:
    return f"{policy.prefix[:24]}-{secrets.token_hex(4)}"
