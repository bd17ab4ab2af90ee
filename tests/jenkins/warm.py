"""A policy that keeps idle agents ready, written into the config of a broker."""

import os
import signal
from typing import Any

import yaml

from broker.demo.stack import Stack


def set_warm(stack: Stack, policy: str, min_idle: int, *, idle_s: float) -> None:
    """Of this policy so many; other idle agents end after `idle_s`. A broker that runs does not know yet."""
    config: dict[str, Any] = yaml.safe_load(stack.config_file.read_text())
    config["templates"]["default"]["retention"] = {"idle_timeout": f"{idle_s}s"}
    config["policies"][policy]["warm"] = {"min_idle": min_idle}
    stack.config_file.write_text(yaml.safe_dump(config))


def keep_warm(stack: Stack, policy: str, min_idle: int, *, idle_s: float) -> None:
    """The same, and the broker reads it anew."""
    set_warm(stack, policy, min_idle, idle_s=idle_s)
    assert stack.broker is not None
    os.kill(stack.broker.pid, signal.SIGHUP)
