"""Looking into the bodies of requests."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import botocore.session
from botocore.validate import ParamValidator

from broker.backends.aws_ecs.definition import definition_body
from broker.domain.ids import BackendName, PoolName, TemplateName
from broker.domain.pool import Pool
from broker.domain.resources import Resources
from broker.domain.template import Template

FAMILY: Final = "agentbroker-java"
_MODEL: Final = botocore.session.get_session().get_service_model("ecs")


def a_template(**changes: Any) -> Template:
    """A template of which a definition can be made; `ecs` are its keys of that name."""
    ecs = changes.pop("ecs", None)
    usual: dict[str, Any] = {
        "name": TemplateName("java"),
        "image": "registry.example.com/agent:21",
        "resources": Resources(cpu_milli=2000, memory_mib=8192),
        "options": {"ecs": ecs} if ecs else {},
    }
    return Template(**(usual | changes))


def a_pool(**options: Any) -> Pool:
    """A pool of instances, unless the options say otherwise."""
    return Pool(name=PoolName("p"), backend=BackendName("aws"), options=options)


def fargate(**options: Any) -> Pool:
    """A pool of Fargate."""
    return a_pool(capacity_provider="FARGATE", subnets=["subnet-1"], **options)


def a_body(template: Template | None = None, pool: Pool | None = None) -> dict[str, Any]:
    """The definition of a template in a pool."""
    return definition_body(template or a_template(), pool or a_pool(), FAMILY)


def agent_in(body: Mapping[str, Any]) -> dict[str, Any]:
    """The agent's container."""
    return next(dict(one) for one in body["containerDefinitions"] if one["name"] == "agent")


def problems_of(operation: str, request: Mapping[str, Any]) -> str:
    """What botocore's model finds wrong with a request: unknown members too; empty if nothing."""
    report = ParamValidator().validate(dict(request), _MODEL.operation_model(operation).input_shape)
    return str(report.generate_report())


def leaves(value: Any) -> Iterator[Any]:
    """All texts, numbers and truths in a value, and names of the user's."""
    if isinstance(value, Mapping):
        for below in value.values():
            yield from leaves(below)
    elif isinstance(value, list | tuple):
        for below in value:
            yield from leaves(below)
    else:
        yield value


def at(body: Any, path: str) -> Any:
    """What is at a path such as `containerDefinitions.agent.ulimits.0.name`: items by `name`, or by number."""
    for step in path.split("."):
        if isinstance(body, list):
            by_name = {one.get("name"): one for one in body if isinstance(one, Mapping)}
            body = by_name[step] if step in by_name else body[int(step)]
        else:
            body = body[step]
    return body
