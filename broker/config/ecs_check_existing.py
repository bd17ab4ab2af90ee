"""Templates that name an existing task definition: what they may still say, and how much of it fits into a launch."""

import json
from typing import Final

from broker.config.ecs_uses import Ecs, ecs_of
from broker.config.model_pools import TemplateModel

MOST_CHARACTERS: Final = 8_192
"""Of all overrides of a RunTask, as JSON."""
OURS: Final = 2_500
"""What the broker itself adds: URL, name, secret, directory, roles and sizes, with a URL of 200 characters."""
BESIDE_IT: Final = frozenset({"volume_configurations"})
"""Keys of `ecs` that a launch says of an existing definition."""
_OF_THE_DEFINITION: Final = ("image", "user", "read_only", "mounts")


def check(ecs: Ecs) -> None:
    """Reports keys that the existing definition decides, and launches that would be too long."""
    _authorities(ecs)
    used = {template for template, _ in ecs.pairs()}
    for name, template in ecs.templates.items():
        if template.task_definition is not None:
            _beside(ecs, name, template)
        elif template.agent_container is not None:
            message = f"'agent_container' of template '{name}' is of an existing task definition, and it names none"
            help_ = "add 'task_definition', or remove it: the broker calls the agent's container 'agent'"
            ecs.error("beside-task-definition", ecs.key("templates", name, "agent_container"), message, help_)
        if name in used:
            _length(ecs, name, template)
    for name, policy in ecs.file.policies.items():
        chosen = ecs.templates.get(policy.template or "default")
        if policy.overrides and "image" in policy.overrides.allow and chosen and chosen.task_definition:
            message = (
                f"policy '{name}' lets builds choose an image, and template '{policy.template}' has its definition's"
            )
            help_ = "take 'image' out of 'allow', or let the template name an image in place of 'task_definition'"
            ecs.error("beside-task-definition", ecs.key("policies", name, "overrides", "allow"), message, help_)


def _beside(ecs: Ecs, name: str, template: TemplateModel) -> None:
    why = f"means nothing beside 'task_definition: {template.task_definition}', which decides it"
    for key in _OF_THE_DEFINITION:
        if getattr(template, key):
            span = ecs.key("templates", name, key)
            ecs.warning("unused-key", span, f"'{key}' of template '{name}' {why}", f"remove it, or write '{key}: null'")
    for key in sorted(ecs_of(template).model_fields_set - BESIDE_IT):
        if getattr(ecs_of(template), key) is not None:
            span = ecs.key("templates", name, "ecs", key)
            help_ = f"remove it; beside a definition there may be env, tags and ecs.{', ecs.'.join(sorted(BESIDE_IT))}"
            ecs.warning("unused-key", span, f"'ecs.{key}' of template '{name}' {why}", help_)
    if template.inject == "script":
        message = f"'inject: script' needs an entry point of its own, which is that of '{template.task_definition}'"
        help_ = "use 'inject: env' or 'args', or let the template name an image"
        ecs.error("beside-task-definition", ecs.key("templates", name, "inject"), message, help_)


def _length(ecs: Ecs, name: str, template: TemplateModel) -> None:
    """Variables of an existing definition's agent come with each launch, those of our definitions do not."""
    if template.task_definition is None:
        return
    variables = [{"name": key, "value": value} for key, value in template.env.items()]
    length = len(json.dumps({"environment": variables})) + len(json.dumps(ecs.authorities)) + OURS
    if length > MOST_CHARACTERS:
        message = (
            f"the variables of template '{name}' are too long for a launch: with what the broker adds {length} "
            f"characters of JSON, and ECS takes {MOST_CHARACTERS}"
        )
        help_ = "put them into the task definition, or into a file that the build reads"
        ecs.error("overrides-too-long", ecs.key("templates", name, "env"), message, help_)


def _authorities(ecs: Ecs) -> None:
    """The certificates of a private CA come with each launch."""
    length = len(json.dumps(ecs.authorities)) + OURS
    if ecs.uses and length > MOST_CHARACTERS:
        message = (
            f"the certificates that agents are to trust are too many for a launch on Amazon ECS: with what the broker "
            f"adds {length} characters of JSON, and ECS takes {MOST_CHARACTERS}"
        )
        help_ = "keep the one that signed the gateway's certificate, or put them into the images"
        ecs.error("overrides-too-long", ecs.value("gateway", "tls", "ca_file"), message, help_)
