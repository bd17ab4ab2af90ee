"""What an agent is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from broker.domain.ids import TemplateName
from broker.domain.resources import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long an agent is kept. `max_uses` counts builds, 0 is without limit."""

    max_uses: int = 1
    idle_timeout: timedelta = timedelta(minutes=2)
    max_lifetime: timedelta = timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Image, size and retention of the agents of one kind."""

    name: TemplateName
    image: str | None = None
    resources: Resources = field(default_factory=Resources)
    executors: int = 1
    remote_fs: str = ""
    """Directory on the agent that Jenkins works in; empty leaves the choice to the backend."""
    retention: Retention = Retention()
    env: Mapping[str, str] = field(default_factory=dict)
