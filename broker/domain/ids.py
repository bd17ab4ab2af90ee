"""The names of things, each its own type so that one cannot stand in for another."""

import re
from typing import Final, NewType

AgentId = NewType("AgentId", str)
"""The broker's own id of an agent: 32 lower-case hex digits, never reused."""
AgentName = NewType("AgentName", str)
"""The name that Jenkins gave an agent: 1 to 63 of letters, digits and hyphen, never reused."""
BackendName = NewType("BackendName", str)
BootId = NewType("BootId", str)
"""Random, made anew at each start of a controller."""
ControllerName = NewType("ControllerName", str)
HandLaunchId = NewType("HandLaunchId", str)
"""What a launch by hand is known by: 1 to 64 letters, digits, hyphens and underscores; who launches may choose it."""
HostId = NewType("HostId", str)
"""The broker's own id of a host: `h-` and 12 lower-case hex digits, never reused."""
HostRef = NewType("HostRef", str)
"""What a backend calls a host (instance id, machine of a list): opaque to everybody else."""
InstanceRef = NewType("InstanceRef", str)
"""What a backend calls an instance (task ARN, process directory, container id): opaque to everybody else."""
LaunchToken = NewType("LaunchToken", str)
"""Idempotency key of one attempt, at most 64 ASCII characters, saved before the call and sent with it."""
PolicyName = NewType("PolicyName", str)
PoolName = NewType("PoolName", str)
TemplateName = NewType("TemplateName", str)

AGENT_NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def is_agent_name(text: str) -> bool:
    """Tells whether `text` is fit for a Jenkins node, a host name and a cloud tag alike."""
    return AGENT_NAME_PATTERN.fullmatch(text) is not None
