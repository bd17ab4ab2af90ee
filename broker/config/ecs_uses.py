"""Which templates run in which pools of Amazon ECS, and where the file says so."""

from collections.abc import Mapping
from typing import Final

from broker.config.diagnostics import Diagnostics
from broker.config.model import BrokerFile
from broker.config.model_ecs_task import EcsModel
from broker.config.model_pools import PoolModel, TemplateModel
from broker.config.nodes import Node
from broker.config.places import Places

ECS: Final = "aws-ecs"
_FARGATE: Final = frozenset({"FARGATE", "FARGATE_SPOT"})


class Ecs(Places):
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
        super().__init__(root, file, diagnostics)
        self.authorities = authorities
        self.pools = {
            name: pool for name, pool in file.pools.items() if pool_types.get(name) == ECS and not pool.abstract
        }
        self.templates = {name: one for name, one in file.templates.items() if not one.abstract}
        self.find_uses(self.pools)

    def pairs(self) -> list[tuple[str, str]]:
        """Each template with each pool that it runs in, both by name; templates that the file does not have are not."""
        return list(dict.fromkeys((use.template, use.pool) for use in self.uses if use.template in self.templates))


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
