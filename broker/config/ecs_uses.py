"""Which templates run in which pools of Amazon ECS, and where the file says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from broker.config.diagnostics import Diagnostics, Note, Span
from broker.config.model import BrokerFile
from broker.config.model_ecs_task import EcsModel
from broker.config.model_pools import PoolModel, TemplateModel
from broker.config.nodes import Node, Path

ECS: Final = "aws-ecs"
_FARGATE: Final = frozenset({"FARGATE", "FARGATE_SPOT"})


@dataclass(frozen=True, slots=True)
class Use:
    """A policy that runs a template in a pool; `span` is where it names its pools."""

    policy: str
    pool: str
    template: str
    span: Span


class Ecs:
    """The file's part that is of Amazon ECS. What is inherited is told of where it stands, and once."""

    def __init__(
        self,
        root: Node,
        file: BrokerFile,
        pool_types: Mapping[str, str],
        diagnostics: Diagnostics,
        authorities: str = "",
    ) -> None:
        """`root` has inheritance resolved, `pool_types` is the type of each pool's backend.

        `authorities` is what stands in the gateway's file of certificates for agents to trust.
        """
        self.authorities = authorities
        self.root = root
        self.file = file
        self.diagnostics = diagnostics
        self.pools = {
            name: pool for name, pool in file.pools.items() if pool_types.get(name) == ECS and not pool.abstract
        }
        self.templates = {name: one for name, one in file.templates.items() if not one.abstract}
        self.uses = list(self._uses())

    def _uses(self) -> list[Use]:
        found = []
        for name, policy in self.file.policies.items():
            template = policy.template or "default"
            lists = {"pools": [use.pool for use in policy.pools], "fallback": [step.pool for step in policy.fallback]}
            for key, pools in lists.items():
                span = self.root.at("policies", name, key).span
                found += [Use(name, pool, template, span) for pool in pools if pool in self.pools]
        return found

    def pairs(self) -> list[tuple[str, str]]:
        """Each template with each pool that it runs in, both by name; templates that the file does not have are not."""
        return list(dict.fromkeys((use.template, use.pool) for use in self.uses if use.template in self.templates))

    def used_by(self, template: str, pools: set[str]) -> Note:
        """The policies that run a template in pools, as a note."""
        uses = [use for use in self.uses if use.template == template and use.pool in pools]
        more = f", and {len(uses) - 1} more" if len(uses) > 1 else ""
        return Note("used by", f"policy '{uses[0].policy}' -> pool '{uses[0].pool}' ({uses[0].span}){more}")

    def value(self, *path: str | int) -> Span:
        """Where a value stands; one that is not there: its nearest owner's key."""
        return self.root.at(*path).span if self.root.has(*path) else self.key(*path)

    def key(self, *path: str | int) -> Span:
        """Where a key stands; of one that is not there, that of the map which would have it."""
        steps: Path = path
        while len(steps) > 2 and not self.root.has(*steps):
            steps = steps[:-1]
        return self.root.key(*steps)

    def error(self, code: str, span: Span, message: str, help_: str = "", *notes: Note) -> None:
        """Tells of an error, unless its place has one already."""
        if not self.diagnostics.has_error_at(span):
            self.diagnostics.error(code, span, message, *notes, *((Note("help", help_),) if help_ else ()))

    def warning(self, code: str, span: Span, message: str, help_: str = "", *notes: Note) -> None:
        """Tells of what can hardly be meant, unless its place has an error."""
        if not self.diagnostics.has_error_at(span):
            self.diagnostics.warning(code, span, message, *notes, *((Note("help", help_),) if help_ else ()))


def providers(pool: PoolModel) -> list[str]:
    """The capacity providers that a pool names."""
    several = [item.capacity_provider for item in pool.capacity_provider_strategy or ()]
    return [*([pool.capacity_provider] if pool.capacity_provider else []), *several]


def is_fargate(pool: PoolModel) -> bool:
    """Whether tasks are sure to run on Fargate."""
    return pool.launch_type == "FARGATE" or bool(_FARGATE & set(providers(pool)))


def is_on_instances(pool: PoolModel) -> bool:
    """Whether tasks are sure not to run on Fargate; where a cluster's default decides, neither is sure."""
    return not is_fargate(pool) and (pool.launch_type is not None or bool(providers(pool)))


def network_mode(pool: PoolModel, template: TemplateModel | None = None) -> str:
    """The network mode of tasks; `default` is ECS's own."""
    own = template.ecs.network_mode if template and template.ecs else None
    return own or pool.network_mode or ("awsvpc" if is_fargate(pool) or pool.subnets else "default")


def ecs_of(template: TemplateModel) -> EcsModel:
    """What a template says of its tasks."""
    return template.ecs or EcsModel()


def operating_system(template: TemplateModel) -> str:
    """The operating system of its containers."""
    platform = ecs_of(template).runtime_platform
    return (platform.operating_system_family if platform else None) or "LINUX"


def is_windows(template: TemplateModel) -> bool:
    """Whether its containers are Windows'."""
    return operating_system(template).startswith("WINDOWS")
