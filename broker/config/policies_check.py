"""Keys of policies that are sound alone and would do nothing, or not what was meant, beside one another."""

from collections.abc import Iterator
from typing import Final

from broker.config.base import known_keys
from broker.config.diagnostics import Diagnostics, Note
from broker.config.model import BrokerFile
from broker.config.model_policies import PolicyModel
from broker.config.model_pools import PoolModel
from broker.config.nodes import Node, Path
from broker.config.units import format_duration
from broker.domain.overrides import is_override

_OF_OVERRIDE: Final = (("images", "image"), ("max_cpu", "cpu"), ("max_memory", "memory"))


def check(root: Node, file: BrokerFile, diagnostics: Diagnostics) -> None:
    """Reports every one; `root` has inheritance resolved."""
    for name, policy in file.policies.items():
        found = _Policy(root, name, policy, diagnostics)
        found.labels()
        found.chain()
        found.fallbacks()
        found.bases()
        found.strategy()
        found.overrides()
        found.prices(file)
        found.sizes(file)


class _Policy:
    """One policy and where it stands."""

    def __init__(self, root: Node, name: str, policy: PolicyModel, diagnostics: Diagnostics) -> None:
        self._root = root
        self._name = name
        self._policy = policy
        self._diagnostics = diagnostics
        self._at: Path = ("policies", name)

    def labels(self) -> None:
        """Labels by which a build would ask for an image or a size."""
        for n, label in enumerate(self._policy.labels):
            if is_override(label):
                message = f"policy '{self._name}' carries the label '{label}', by which a build asks for itself"
                help_ = f"choose a label that does not begin with '{label.partition('=')[0]}='; see 'overrides'"
                span = self._root.at(*self._at, "labels", n).span
                self._diagnostics.error("label-reserved", span, message, Note("help", help_))

    def chain(self) -> None:
        """A pool that is there twice: its second place would never be reached."""
        first: dict[str, Path] = {}
        for n, use in enumerate(self._policy.pools):
            path = self._place("pools", n)
            if use.pool in first:
                message = f"policy '{self._name}' has pool '{use.pool}' twice"
                self._twice("pool-twice", message, path, first[use.pool])
            first.setdefault(use.pool, path)
        for n, step in enumerate(self._policy.fallback):
            path = self._place("fallback", n)
            if step.pool in first:
                message = f"policy '{self._name}' falls back to pool '{step.pool}', which it has tried before"
                self._twice("fallback-repeats", message, path, first[step.pool])
            first.setdefault(step.pool, path)

    def _place(self, key: str, n: int) -> Path:
        path: Path = (*self._at, key, n)
        return (*path, "pool") if self._root.has(*path, "pool") else path

    def _twice(self, code: str, message: str, path: Path, first: Path) -> None:
        notes = Note("note", f"it is at {self._root.at(*first).span}"), Note("help", "remove one of the two")
        self._diagnostics.error(code, self._root.at(*path).span, message, *notes)

    def fallbacks(self) -> None:
        """A pool that no agent ever turns to: all that wait have failed by then."""
        times = self._policy.timeouts
        for n, step in enumerate(self._policy.fallback):
            if times.on_timeout == "fail" and step.after >= times.queue:
                message = f"policy '{self._name}' fails a request before it falls back to pool '{step.pool}'"
                queue: Path = (*self._at, "timeouts", "queue")
                where = f"at {self._root.key(*queue)}" if self._root.has(*queue) else "by default"
                note = Note("note", f"'timeouts.queue' is {format_duration(times.queue)} {where}")
                span = self._root.at(*self._at, "fallback", n, "after").span
                self._diagnostics.error("fallback-too-late", span, message, note, Note("help", "shorten 'after'"))

    def bases(self) -> None:
        """Several pools that each come first."""
        if self._policy.strategy != "weighted":
            return
        found = [(n, use) for n, use in enumerate(self._policy.pools) if use.base]
        for n, use in found[1:]:
            first = self._root.key(*self._at, "pools", found[0][0], "base")
            message = f"policy '{self._name}' has a second 'base', of pool '{use.pool}': one pool alone comes first"
            notes = Note("note", f"pool '{found[0][1].pool}' has one at {first}"), Note("help", "remove one of the two")
            self._diagnostics.error("several-bases", self._root.key(*self._at, "pools", n, "base"), message, *notes)

    def strategy(self) -> None:
        """Keys of another strategy than the policy's, if what it says of its strategy is sound."""
        said = self._root.at(*self._at).map
        if said.keys() - known_keys(PolicyModel) or (
            "strategy" in said and said["strategy"].data != self._policy.strategy
        ):
            return
        for n, use in enumerate(self._policy.pools):
            self._of_strategy((*self._at, "pools", n, "weight"), "weighted", is_set=use.weight != 1)
            self._of_strategy((*self._at, "pools", n, "base"), "weighted", is_set=use.base != 0)
        self._of_strategy((*self._at, "spread"), "spread", is_set=self._policy.spread is not None)
        self._of_strategy((*self._at, "binpack"), "binpack", is_set=self._policy.binpack is not None)

    def _of_strategy(self, path: Path, strategy: str, *, is_set: bool) -> None:
        mine = self._policy.strategy
        if is_set and mine != strategy:
            message = f"'{path[-1]}' is of strategy {strategy}; the strategy of policy '{self._name}' is {mine}"
            self._unused(path, message, f"remove it, or write 'strategy: {strategy}'")

    def _unused(self, path: Path, message: str, help_: str) -> None:
        self._diagnostics.error("unused-key", self._root.key(*path), message, Note("help", help_))

    def overrides(self) -> None:
        """Bounds of what builds may not ask for, and images of which none is allowed."""
        rules = self._policy.overrides
        if rules is None:
            return
        path: Path = (*self._at, "overrides")
        for key, allowed in _OF_OVERRIDE:
            if getattr(rules, key) and allowed not in rules.allow:
                message = f"'overrides.{key}' of policy '{self._name}' bounds what no build may ask for"
                self._unused((*path, key), message, f"add '{allowed}' to 'allow', or remove it")
        if "image" in rules.allow and not rules.images:
            message = f"policy '{self._name}' lets builds choose an image and names none that they may choose"
            help_ = "add patterns of whole references to 'images', such as 'registry.example.com/acme/*'"
            span = self._root.key(*path, "allow")
            self._diagnostics.error("no-override-images", span, message, Note("help", help_))

    def prices(self, file: BrokerFile) -> None:
        """Money that is decided by, of pools that nobody gave a price."""
        free = ", ".join(f"'{name}'" for name, pool in self._pools(file) if pool.cost is None)
        if free and self._policy.strategy == "cheapest":
            message = f"policy '{self._name}' chooses the cheapest pool, but no price is known of {free}"
            help_ = "give each pool a 'cost'; one without counts as dearer than all others"
            self._diagnostics.warning("no-price", self._root.key(*self._at, "strategy"), message, Note("help", help_))
        if free and self._policy.budget:
            message = f"the budget of policy '{self._name}' counts nothing of {free}: no price is known"
            help_ = "give each pool a 'cost'; agents of one without are free"
            self._diagnostics.warning("no-price", self._root.key(*self._at, "budget"), message, Note("help", help_))

    def sizes(self, file: BrokerFile) -> None:
        """Caps on and prices of cpu or memory, of which agents take nothing: their template names no size."""
        called = self._policy.template or "default"
        template = file.templates.get(called)
        if template is None and (called != "default" or self._root.has("templates", called)):
            return  # what is wrong with it is said elsewhere
        for key, price in (("cpu", "cpu_hour"), ("memory", "memory_gib_hour")):
            if template is None or getattr(template, key) is None:
                for name, pool in self._pools(file):
                    self._unsized(called, key, ("pools", name, "limits", key), getattr(pool.limits, key))
                    self._unsized(called, key, ("pools", name, "cost", price), getattr(pool.cost, price, None))

    def _unsized(self, template: str, key: str, path: Path, value: float | None) -> None:
        if not value:
            return
        is_cap = path[2] == "limits"
        does = "does not hold back" if is_cap else "counts nothing for"
        message = f"'{path[2]}.{path[3]}' of pool '{path[1]}' {does} agents of policy '{self._name}'"
        note = Note("note", f"template '{template}' names no '{key}'")
        help_ = Note("help", f"give template '{template}' a '{key}'")
        self._diagnostics.warning(
            "size-unlimited" if is_cap else "no-price", self._root.key(*path), message, note, help_
        )

    def _pools(self, file: BrokerFile) -> Iterator[tuple[str, PoolModel]]:
        """Those of the whole chain that are valid, each once."""
        names = [use.pool for use in self._policy.pools] + [step.pool for step in self._policy.fallback]
        for name in dict.fromkeys(names):
            if name in file.pools:
                yield name, file.pools[name]
