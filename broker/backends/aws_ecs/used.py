"""What of the config concerns one backend: its pools, and the templates that run in them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from broker.backends.aws_ecs.options import BackendOptions, PoolOptions, TaskOptions
from broker.domain.definitions import Definitions
from broker.domain.ids import BackendName, PoolName, TemplateName
from broker.domain.template import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """One backend's part of the config, read."""

    name: str
    options: BackendOptions
    pools: Mapping[PoolName, PoolOptions]
    templates: Mapping[TemplateName, Template]
    pairs: frozenset[tuple[PoolName, TemplateName]] = frozenset()
    """Which template runs in which pool, by some policy."""

    @classmethod
    def of(cls, definitions: Definitions, name: str) -> "Used":
        """The part of a backend that is configured, and is of type aws-ecs."""
        backend = BackendName(name)
        here = {pool.name for pool in definitions.pools.values() if pool.backend == backend}
        pairs = {(pool, policy.template) for policy in definitions.policies.values() for pool in policy.chain}
        pairs = {(pool, template) for pool, template in pairs if pool in here}
        return cls(
            name=name,
            options=BackendOptions.of(definitions.backends[backend]),
            pools={pool: PoolOptions.of(definitions.pools[pool]) for pool in sorted(here)},
            templates={one: definitions.templates[one] for one in sorted({template for _, template in pairs})},
            pairs=frozenset(pairs),
        )

    @property
    def cluster(self) -> str:
        """The cluster's name; AWS's own default where the config says none."""
        return (self.options.cluster or "default").rpartition("/")[2]

    @property
    def tasks(self) -> Mapping[TemplateName, TaskOptions]:
        """What each template says of its tasks."""
        return {name: TaskOptions.of(template) for name, template in self.templates.items()}

    def together(self) -> Iterator[tuple[PoolName, PoolOptions, Template, TaskOptions]]:
        """Each pool with each template that runs in it, in a fixed order."""
        tasks = self.tasks
        for pool, template in sorted(self.pairs):
            yield pool, self.pools[pool], self.templates[template], tasks[template]
