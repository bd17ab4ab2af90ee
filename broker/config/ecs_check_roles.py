"""What needs a role, and ways in which an agent's secret gets into its task."""

import re
from collections.abc import Iterator
from typing import Final

from broker.config.ecs_check_containers import containers
from broker.config.ecs_uses import Ecs, ecs_of, is_fargate, is_on_instances, is_windows
from broker.config.model_ecs_task import SidecarModel
from broker.config.model_pools import PoolModel, TemplateModel
from broker.config.nodes import Path

ECR: Final = re.compile(r"[0-9]{12}\.dkr[.-]ecr\.[a-z0-9-]+\.\S+")
_HELP: Final = "add 'execution_role_arn' to the pool, or 'ecs.execution_role_arn' to the template"
_ARGUMENTS: Final = frozenset({"args", "legacy"})


def check(ecs: Ecs) -> None:
    """Reports what ECS could not do for want of a role, and secrets in places where many can read them."""
    for name, pool_name in ecs.pairs():
        template, pool = ecs.templates[name], ecs.pools[pool_name]
        _execution(ecs, name, pool_name)
        _command(ecs, name, pool_name)
        _delivery(ecs, name, template, pool_name, pool)
        _arguments(ecs, name, template, pool_name, pool)


def _execution(ecs: Ecs, name: str, pool_name: str) -> None:
    template, pool = ecs.templates[name], ecs.pools[pool_name]
    if pool.execution_role_arn or ecs_of(template).execution_role_arn:
        return
    used = ecs.used_by(name, {pool_name})
    if pool.secret_delivery in {"ssm", "secrets-manager"}:
        message = f"pool '{pool_name}' delivers secrets by {pool.secret_delivery}, which ECS reads by an execution role"
        ecs.error("no-execution-role", ecs.value("pools", pool_name, "secret_delivery"), message, _HELP, used)
    if template.task_definition is not None:
        return
    for path, what in _always(name, template):
        message = f"ECS {what} by an execution role, and template '{name}' has none in pool '{pool_name}'"
        ecs.error("no-execution-role", ecs.key(*path), message, _HELP, used)
    if is_on_instances(pool):
        return  # the instance's own role does it
    for path, what in _unless_instances(name, template):
        message = f"on Fargate ECS {what} by an execution role, and pool '{pool_name}' has none"
        report = ecs.error if is_fargate(pool) else ecs.warning
        report("no-execution-role", ecs.key(*path), message, _HELP, used)


def _always(name: str, template: TemplateModel) -> Iterator[tuple[Path, str]]:
    for one in containers(name, template):
        if one.said.secrets:
            yield (*one.path, "secrets"), "reads secrets"
        if one.said.log_configuration and one.said.log_configuration.secret_options:
            yield (*one.path, "log_configuration", "secret_options"), "reads secrets"
        if one.said.repository_credentials:
            yield (*one.path, "repository_credentials"), "reads the login to a registry"
        if one.said.environment_files:
            yield (*one.path, "environment_files"), "reads files of variables"


def _unless_instances(name: str, template: TemplateModel) -> Iterator[tuple[Path, str]]:
    if ECR.match(template.image or ""):
        yield ("templates", name, "image"), "pulls from ECR"
    for one in containers(name, template):
        logs = one.said.log_configuration
        if logs and logs.log_driver == "awslogs":
            yield (*one.path, "log_configuration", "log_driver"), "writes logs"
        if isinstance(one.said, SidecarModel) and ECR.match(one.said.image):
            yield (*one.path, "image"), "pulls from ECR"


def _command(ecs: Ecs, name: str, pool_name: str) -> None:
    template, pool = ecs.templates[name], ecs.pools[pool_name]
    has_role = pool.task_role_arn or ecs_of(template).task_role_arn
    if pool.enable_execute_command and not has_role and template.task_definition is None:
        message = f"pool '{pool_name}' lets people look into tasks, for which a task needs a role"
        help_ = "add 'task_role_arn' to the pool, or 'ecs.task_role_arn' to the template"
        span = ecs.key("pools", pool_name, "enable_execute_command")
        ecs.error("no-task-role", span, message, help_, ecs.used_by(name, {pool_name}))


def _delivery(ecs: Ecs, name: str, template: TemplateModel, pool_name: str, pool: PoolModel) -> None:
    if pool.secret_delivery not in {"ssm", "secrets-manager"}:
        return
    used = ecs.used_by(name, {pool_name})
    if template.inject in _ARGUMENTS:
        message = (
            f"pool '{pool_name}' delivers secrets by {pool.secret_delivery}, "
            f"and 'inject: {template.inject}' puts them into the arguments all the same"
        )
        help_ = "use 'inject: env', or 'secret_delivery: env'"
        ecs.error("secret-delivery", ecs.key("templates", name, "inject"), message, help_, used)
    if template.task_definition is not None:
        message = (
            f"pool '{pool_name}' delivers secrets by {pool.secret_delivery}, for which a definition has to refer to "
            f"them, and template '{name}' has one of your own"
        )
        help_ = "use 'secret_delivery: env' in a pool for it, or let the template name an image"
        ecs.error("secret-delivery", ecs.key("templates", name, "task_definition"), message, help_, used)


def _arguments(ecs: Ecs, name: str, template: TemplateModel, pool_name: str, pool: PoolModel) -> None:
    """The arguments of a task can be read by all who may describe it, as long as it can be seen."""
    span = ecs.key("templates", name, "inject")
    if template.inject in _ARGUMENTS and pool.connect == "direct":
        message = (
            f"'inject: {template.inject}' shows everybody with ecs:DescribeTasks the real secret of agents "
            f"in pool '{pool_name}', which is good for ever"
        )
        help_ = "use 'inject: env' with 'secret_delivery: ssm', or 'connect: gateway', whose secrets serve once"
        ecs.warning("secret-in-arguments", span, message, help_)
    elif template.inject in _ARGUMENTS:
        message = f"'inject: {template.inject}' puts the secret of agents into the arguments of their tasks"
        help_ = "use 'inject: env' if the image can: everybody with ecs:DescribeTasks, and 'ps', shows arguments"
        ecs.warning("secret-in-arguments", span, message, help_)
    if template.inject == "script" and is_windows(template):
        message = f"'inject: script' of template '{name}' is a script of /bin/sh, which Windows images do not have"
        ecs.error("not-on-windows", span, message, "use 'inject: env'")
    elif template.inject in _ARGUMENTS and is_windows(template):
        message = f"'inject: {template.inject}' has arguments that the entrypoint of the public Windows image refuses"
        ecs.warning("not-on-windows", span, message, "use 'inject: env', unless the image has an entrypoint of its own")
