"""The end of a task whose broker is dead: its agent's container ends by itself some time after it should have ended.

ECS has no such limit for a task. A container's health check, however, is a command that ECS runs in the container,
every few minutes, without a call of ours and whatever the image starts with; the health of a task without a service
has no other effect. Ours looks how old the container is, by its first process, and ends that when it is too old.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from broker.backends.aws_ecs.options import TaskOptions
from broker.domain.template import Template

LATER: Final = timedelta(minutes=10)
"""A broker that lives counts from when the agent came online, and is to be the first to end it."""
_EVERY_S: Final = 300
_PATIENCE_S: Final = 60

WATCH: Final = """\
read -r up rest </proc/uptime; read -r stat </proc/1/stat; set -- ${stat##*) }
[ $((${up%.*} - ${20} / 100)) -lt LIMIT ] || { kill 1; sleep 30; kill -9 -1; }
exit 0
"""
"""POSIX sh. Field 22 of a process's stat is when it was started, in hundredths of a second since the machine was
(proc(5)). A shell as first process takes no SIGTERM: then its children are killed, for which it waits."""


def health_check(template: Template, options: TaskOptions) -> Mapping[str, Any] | None:
    """Member of a ContainerDefinition; None where there is no shell, or the first process is not the container's."""
    if options.is_windows or options.task.get("pidMode"):
        return None
    limit_s = int((template.retention.max_lifetime + LATER).total_seconds())
    return {
        "command": ["CMD-SHELL", WATCH.replace("LIMIT", str(limit_s))],
        "interval": _EVERY_S,
        "timeout": _PATIENCE_S,
        "retries": 3,
    }
