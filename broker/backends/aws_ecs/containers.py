"""The agent's container in a task definition: the template's generic keys, and those of its `ecs` map over them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from broker.backends.aws_ecs.lifetime import health_check
from broker.backends.aws_ecs.options import AGENT_CONTAINER, TaskOptions
from broker.backends.aws_ecs.sizes import Sizes
from broker.backends.aws_ecs.volumes import agent_mount_points
from broker.backends.bootstrap import HOME, SCRIPT_ENTRYPOINT, start_dir, template_variables
from broker.domain.reason import Reason
from broker.domain.template import Inject, Template
from broker.errors import BackendRejected

_BLANK: Final[tuple[object, ...]] = (None, "", [], {}, ())
_USERS_OWN: Final = frozenset({"dockerLabels", "options", "labels", "driverOpts"})
"""Members that are maps with names and values of the user's."""


def agent_container(
    template: Template, options: TaskOptions, sizes: Sizes, secrets: Mapping[str, str]
) -> dict[str, Any]:
    """A ContainerDefinition. Its command, and what differs from agent to agent, come with each launch."""
    if template.image is None:
        message = f"templates.{template.name} has neither an image nor a task_definition: set one of them"
        raise BackendRejected("NoImage", message, Reason.INVALID_TEMPLATE)
    generic = {
        "image": template.image,
        "cpu": sizes.cpu or None,
        "memory": sizes.memory or None,
        "environment": [{"name": name, "value": value} for name, value in sorted(template_variables(template).items())],
        "user": template.user,
        "workingDirectory": _started_in(template, options),
        "readonlyRootFilesystem": template.read_only or None,
        "healthCheck": health_check(template, options),
    }
    own = {
        "name": AGENT_CONTAINER,
        "essential": True,
        "memoryReservation": sizes.reservation or None,
        "mountPoints": agent_mount_points(template, options),
        "secrets": _secrets(options, secrets),
    }
    if template.inject is Inject.SCRIPT:
        own["entryPoint"] = list(SCRIPT_ENTRYPOINT)
    return said({**generic, **options.container, **own})


def _started_in(template: Template, options: TaskOptions) -> str | None:
    """Jenkins counts a relative remote root from there: images of docker-agent start one directory above their volume.

    Our script goes there by itself. Windows images are left as they are.
    """
    if template.inject is Inject.SCRIPT or options.is_windows:
        return None
    return HOME if start_dir(template) != template.remote_fs else None


def _secrets(options: TaskOptions, further: Mapping[str, str]) -> list[dict[str, Any]]:
    own = [dict(one) for one in options.container.get("secrets", ()) if one["name"] not in further]
    return own + [{"name": name, "valueFrom": reference} for name, reference in sorted(further.items())]


def sidecars(options: TaskOptions) -> list[dict[str, Any]]:
    """The containers beside it, in the order of the config."""
    return [said(one) for one in options.sidecars]


def said(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without the members that are blank: None, an empty text, list or map, at any depth.

    Zero and False say something, and so do empty words of a list and empty values of names that the user chose.
    """
    kept = ((name, value if name in _USERS_OWN else _said(value)) for name, value in values.items())
    return {name: value for name, value in kept if name == "value" or value not in _BLANK}


def _said(value: Any) -> Any:
    if isinstance(value, Mapping):
        return said(value)
    return [_said(one) for one in value] if isinstance(value, list | tuple) else value


def names_of(containers: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """In the order of the definition."""
    return tuple(str(one["name"]) for one in containers)
