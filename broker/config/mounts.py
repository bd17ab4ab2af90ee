"""Where containers run and what they are given of that machine, as the file writes it: sockets, mounts, networks."""

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

from broker.config.units import describe, problem
from broker.domain.template import Mount

_PATTERN: Final = r"(/[^:]*|[A-Za-z0-9][A-Za-z0-9_.-]*):(/[^:]+)(?::(ro|rw))?"
_SOCKET: Final = re.compile(r"unix:///.|tcp://.")
_MOUNT: Final = re.compile(_PATTERN)


def _mount(value: object) -> object:
    if isinstance(value, str) and _MOUNT.fullmatch(value):
        return value
    message = f"expected a mount, got {describe(value)}"
    raise problem(
        "bad-mount", message, "write 'SOURCE:TARGET' or 'SOURCE:TARGET:ro', both absolute, or a volume's name"
    )


def _socket(value: object) -> object:
    if isinstance(value, str) and not _SOCKET.match(value):
        instead = f"unix://{value}" if value.startswith("/") else "unix:///run/podman/podman.sock"
        message = f"expected the address of a container engine, got {describe(value)}"
        raise problem("bad-socket", message, f"write '{instead}' or 'tcp://HOST:PORT'")
    return value


def _network(value: object) -> object:
    if value == "none":
        message = "with 'network: none' no agent can reach the gateway"
        raise problem("bad-network", message, "write 'host', 'bridge' or the name of a network of the engine")
    return value


def to_mount(text: str) -> Mount:
    """A mount that `MountText` has accepted."""
    found = _MOUNT.fullmatch(text)
    assert found is not None
    return Mount(source=found[1], target=found[2], read_only=found[3] == "ro")


MountText = Annotated[
    str,
    BeforeValidator(_mount),
    WithJsonSchema({"type": "string", "pattern": f"^{_PATTERN}$", "examples": ["/var/cache/maven:/m2:ro"]}),
]
EngineSocket = Annotated[
    str,
    BeforeValidator(_socket),
    WithJsonSchema({"type": "string", "pattern": f"^({_SOCKET.pattern})", "examples": ["unix:///run/docker.sock"]}),
]
Network = Annotated[
    str,
    BeforeValidator(_network),
    WithJsonSchema({"type": "string", "minLength": 1, "not": {"const": "none"}, "examples": ["host"]}),
]
