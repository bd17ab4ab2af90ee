"""A task whose broker is dead ends by itself."""

import subprocess
from datetime import timedelta
from typing import Any

import pytest

from broker.backends.aws_ecs.containers import agent_container
from broker.backends.aws_ecs.lifetime import WATCH
from broker.backends.aws_ecs.options import TaskOptions
from broker.backends.aws_ecs.sizes import Sizes
from broker.domain.template import Retention
from broker.testing.factories import make_template

APART = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "sh", "-c"]
"""A container's own processes: a first one, and nothing of the machine's."""


def container(**template: Any) -> dict[str, Any]:
    made = make_template(image="jenkins/inbound-agent", **template)
    return agent_container(made, TaskOptions.of(made), Sizes(), {})


def watched(limit_s: int, first: str) -> subprocess.CompletedProcess[str]:
    """`first` as the first process, which is two seconds old when it is looked at."""
    watch = WATCH.replace("LIMIT", str(limit_s)).replace("sleep 30", "sleep 1")
    script = f"(sleep 2; sh -c '{watch}'; echo looked) &\n{first}"
    return subprocess.run([*APART, script], capture_output=True, text=True, check=False, timeout=30)


def test_the_agents_container_has_a_limit_some_minutes_above_the_templates() -> None:
    check = container(retention=Retention(max_lifetime=timedelta(hours=2)))["healthCheck"]
    assert check["command"][0] == "CMD-SHELL"
    assert "-lt 7800 ]" in check["command"][1]


def test_a_check_of_the_users_own_stands() -> None:
    own = {"command": ["CMD", "true"]}
    assert container(options={"ecs": {"health_check": own}})["healthCheck"] == own


@pytest.mark.parametrize(
    "ecs", [{"pid_mode": "host"}, {"runtime_platform": {"operating_system_family": "WINDOWS_SERVER_2022_CORE"}}]
)
def test_where_the_first_process_is_not_the_containers_or_there_is_no_shell_nothing_is_looked_at(
    ecs: dict[str, Any],
) -> None:
    assert "healthCheck" not in container(options={"ecs": ecs})


class TestWatch:
    """The command, as a container's first process sees it."""

    def test_one_that_is_young_goes_on(self) -> None:
        ended = watched(600, "sleep 4; echo done")
        assert "done" in ended.stdout
        assert "looked" in ended.stdout

    def test_one_that_takes_a_signal_is_told_to_end(self) -> None:
        assert "told" in watched(1, "trap 'echo told; exit 3' TERM; while :; do sleep 0.2; done").stdout

    def test_a_shell_that_takes_none_loses_what_it_waits_for(self) -> None:
        ended = watched(1, "sleep 60; echo lost")
        assert "lost" in ended.stdout
