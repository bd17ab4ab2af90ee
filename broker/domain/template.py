"""What an agent is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from broker.domain.ids import AgentName, TemplateName
from broker.domain.resources import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long an agent is kept. `max_uses` counts builds, 0 is without limit."""

    max_uses: int = 1
    idle_timeout: timedelta = timedelta(minutes=2)
    max_lifetime: timedelta = timedelta(hours=6)


class Inject(StrEnum):
    """How an image is told the agent's name, secret and URL; `backends/bootstrap.py` says what each looks like."""

    ENV = "env"
    ARGS = "args"
    LEGACY = "legacy"
    SCRIPT = "script"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A path of the machine, or a named volume, inside of the agent's container."""

    source: str
    """An absolute path; anything else is the name of a volume."""
    target: str
    read_only: bool = False


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
    inject: Inject = Inject.ENV
    user: str = ""
    """Who the agent is inside of its container; empty leaves it to the image."""
    read_only: bool = False
    """Whether the image's files cannot be changed; the agent's directory and /tmp still can."""
    mounts: tuple[Mount, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags on what the backend makes."""
    unique_remote_fs: bool = False
    """Whether each agent works in a directory of its own, called as the agent, below `remote_fs`."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Keys that one type of backend alone reads, as the config gives them, already checked."""

    def root_of(self, name: AgentName) -> str:
        """The directory that Jenkins works in on the agent of that name; empty as `remote_fs` is."""
        if not self.unique_remote_fs:
            return self.remote_fs
        between = "\\" if "\\" in self.remote_fs else "/"
        return f"{self.remote_fs.rstrip('/' + between)}{between}{name}" if self.remote_fs else name
