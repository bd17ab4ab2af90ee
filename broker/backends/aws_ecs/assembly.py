"""How the backend is put together of its parts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from broker.backends.aws_ecs.backend import EcsBackend, Parts
from broker.backends.aws_ecs.calls import Called, Calls
from broker.backends.aws_ecs.existing import Ask
from broker.backends.aws_ecs.marks import Marks
from broker.backends.aws_ecs.options import BackendOptions
from broker.backends.aws_ecs.ownership import Ownership
from broker.backends.aws_ecs.rates import QUOTAS, Family
from broker.backends.aws_ecs.register import Definitions, Naming
from broker.backends.aws_ecs.session import Sessions
from broker.backends.throttle import shared
from broker.domain.pool import BackendDefinition
from broker.ports import Clock, Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the backend uses of the broker."""

    installation: str
    sign: Callable[[str], str]
    clock: Clock
    memory: Memory
    called: Called


def asking(calls: Calls) -> Ask:
    """How definitions are asked for, each call within its family's rate."""

    async def ask(action: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        changes = action.startswith(("Register", "Deregister", "Delete"))
        return await calls.ecs(Family.DEFINITIONS if changes else Family.READ, action, request)

    return ask


def open_ecs(definition: BackendDefinition, around: Surroundings) -> EcsBackend:
    """A new backend; nothing is read or called yet."""
    options = BackendOptions.of(definition)
    sessions = Sessions(options, around.clock, definition.name)
    buckets = shared(QUOTAS, sessions.whose, options.region, around.clock, options.api_rate)
    calls = Calls(sessions, buckets, definition.name, around.clock, around.called)

    marks = Marks(installation=around.installation, backend=definition.name, sign=around.sign)
    naming = Naming(
        marks=marks,
        place=f"{options.region}|{sessions.whose}",
        family_prefix=options.family_prefix,
        keep=options.keep_definitions,
    )
    parts = Parts(
        calls=calls,
        definitions=Definitions(asking(calls), around.memory, around.clock, naming),
        ownership=Ownership(definition.name, around.installation, around.sign),
        options=options,
        clock=around.clock,
    )
    return EcsBackend(parts)
