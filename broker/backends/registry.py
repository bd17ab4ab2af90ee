"""Which backends there are: type in the config → how it is made. Each is imported only when it is configured."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.domain.host_order import HostPlace
from broker.domain.ids import BackendName, ControllerName
from broker.domain.pool import BackendDefinition
from broker.errors import BackendError, ConfigError
from broker.ports import Backend, Clock, Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendContext:
    """What every backend may use of the broker.

    `installation` is the id that marks what is ours, `sign` the signature under such a mark; `controller_url` answers
    a controller's root URL as the config stands now, ending in a slash, None for an unknown one. `memory` answers a
    place in the store by its key, which begins with the backend's type and name.
    """

    state_dir: Path
    installation: str
    sign: Callable[[str], str]
    clock: Clock
    controller_url: Callable[[ControllerName], str | None]
    memory: Callable[[str], Memory]
    called: Callable[[BackendName, str, str, float], None] = lambda backend, operation, code, seconds: None
    """Counts a real call of a cloud, by a backend of `TELLS_ITS_CALLS`: service and action such as ecs:RunTask, a code
    of `telemetry.labels.BACKEND_CODES`, and how long it took."""
    place_of: Callable[[str], HostPlace | None] = lambda host: None
    """Answers where a host of ours is by its id, as the store has it; None for one that is gone or has no machine."""


def open_backend(definition: BackendDefinition, context: BackendContext) -> Backend:
    """A new backend object; nothing is called or written yet. ConfigError for a type that is not built."""
    make = _MAKERS.get(definition.type)
    if make is None:
        known = ", ".join(sorted(BUILT))
        raise ConfigError(f"backend {definition.name}: type {definition.type!r} is not built (built: {known})")
    return make(definition, context)


def _process(definition: BackendDefinition, context: BackendContext) -> Backend:
    from broker.backends.process.backend import ProcessBackend  # noqa: PLC0415 -- see the module's first line
    from broker.backends.process.jars import AgentJars  # noqa: PLC0415

    root = context.state_dir / "process" / definition.name
    return ProcessBackend(
        definition.name,
        root=root / "agents",
        installation=context.installation,
        jars=AgentJars(root / "cache", context.controller_url, context.clock),
        clock=context.clock,
    )


def _container(definition: BackendDefinition, context: BackendContext) -> Backend:
    from broker.backends.container.backend import ContainerBackend  # noqa: PLC0415 -- see the module's first line
    from broker.backends.container.engine import Engine  # noqa: PLC0415
    from broker.backends.container.ownership import Ownership  # noqa: PLC0415

    socket = definition.options.get("socket")
    return ContainerBackend(
        Engine(definition.name, str(socket) if socket else None),
        Ownership(context.installation, context.sign),
        context.clock,
    )


def _aws_ecs(definition: BackendDefinition, context: BackendContext) -> Backend:
    from broker.backends.aws_ecs.assembly import Surroundings, open_ecs  # noqa: PLC0415 -- see the module's first line
    from broker.backends.metered import code_of  # noqa: PLC0415

    def called(action: str, failed: BackendError | None, seconds: float) -> None:
        context.called(definition.name, action, "ok" if failed is None else code_of(failed), seconds)

    return open_ecs(
        definition,
        Surroundings(
            installation=context.installation,
            sign=context.sign,
            clock=context.clock,
            memory=context.memory(f"ecs:{definition.name}:definitions"),
            called=called,
        ),
    )


def _ssh_hosts(definition: BackendDefinition, context: BackendContext) -> Backend:
    from broker.backends.ssh_hosts.assembly import open_ssh_hosts  # noqa: PLC0415 -- see the module's first line

    return open_ssh_hosts(
        installation=context.installation,
        sign=context.sign,
        clock=context.clock,
        memory=context.memory(f"ssh-hosts:{definition.name}:machines"),
        place_of=context.place_of,
    )


def _alibaba_ecs(definition: BackendDefinition, context: BackendContext) -> Backend:
    from broker.backends.alibaba_ecs.assembly import (  # noqa: PLC0415 -- see the module's first line
        Surroundings,
        open_alibaba,
    )
    from broker.backends.metered import code_of  # noqa: PLC0415

    def called(action: str, failed: BackendError | None, seconds: float) -> None:
        context.called(definition.name, action, "ok" if failed is None else code_of(failed), seconds)

    return open_alibaba(
        definition,
        Surroundings(
            installation=context.installation,
            sign=context.sign,
            clock=context.clock,
            memory=context.memory,
            called=called,
            place_of=context.place_of,
        ),
    )


_MAKERS: Final[dict[str, Callable[[BackendDefinition, BackendContext], Backend]]] = {
    "process": _process,
    "container": _container,
    "aws-ecs": _aws_ecs,
    "ssh-hosts": _ssh_hosts,
    "alibaba-ecs": _alibaba_ecs,
}
BUILT: Final = frozenset(_MAKERS)
"""The types that can be opened."""
TELLS_ITS_CALLS: Final = frozenset({"aws-ecs", "alibaba-ecs"})
"""The types whose backends count the calls of their cloud themselves, with `BackendContext.called`."""
