"""What is run: the agent's arguments, its environment, and the wrapper around it."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from broker.backends.bootstrap import NO_RECONNECT_AFTER, trust, where_to
from broker.backends.process.procfs import AGENT_MARK, INSTALLATION_MARK
from broker.backends.process.workplace import Workplace
from broker.domain.pool import Pool
from broker.domain.reason import Reason
from broker.errors import BackendRejected
from broker.ports import LaunchSpec

_INHERITED: Final = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "JAVA_HOME", "LD_LIBRARY_PATH"},
)

WRAPPER: Final = """\
read -r stat </proc/$$/stat || exit 0
set -C
printf '%s\\n' "$stat" 2>/dev/null >../claim || exit 0
set +C
trap : TERM INT HUP
"$@"
code=$?
printf '%s\\n' "$code" >../exit
trap '' TERM
kill -TERM 0
exit "$code"
"""
"""POSIX sh, builtins only. Notes itself in a file that only one can make, runs the agent, notes its exit code, and asks
what is left of its process group to end. The traps keep it alive to note the code; the agent does not inherit them.
Its paths are relative: if its directory was deleted meanwhile, another of the same name is not its own, and it ends."""


TAGS: Final = "AGENTBROKER_TAGS"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOptions:
    """A pool's own keys: `java`, `agent_jar`, or `command`, which stands for both and gets the jar's arguments."""

    java: str = "java"
    agent_jar: Path | None = None
    command: tuple[str, ...] = ()

    @classmethod
    def of(cls, pool: Pool) -> "ProcessOptions":
        """Reads `pool.options`, which the config has checked."""
        java, jar, command = (pool.options.get(key) for key in ("java", "agent_jar", "command"))
        words = command if isinstance(command, list | tuple) else ()
        return cls(
            java=str(java or "java"),
            agent_jar=Path(str(jar)).absolute() if jar else None,
            command=tuple(str(word) for word in words),
        )

    def find_program(self, pool: Pool) -> str:
        """The absolute path of what is run; BackendRejected says where it was looked for."""
        wanted = self.command[0] if self.command else self.java
        if (found := shutil.which(wanted)) is not None:
            return str(Path(found).absolute())
        key = "command" if self.command else "java"
        where = "is not an executable file" if "/" in wanted else "is not on the broker's PATH"
        raise BackendRejected(
            "CommandNotFound" if self.command else "JavaNotFound",
            f"{wanted!r} {where}: install it or set pools.{pool.name}.{key}",
            Reason.SETUP_FAILED,
        )


def agent_arguments(spec: LaunchSpec, place: Workplace) -> list[str]:
    """The options of agent.jar (hudson.remoting.Launcher). The secret is named by its file."""
    return [
        *where_to(spec),
        *("-secret", f"@{place.secret_file}", "-name", spec.name),
        *(["-webSocket"] if spec.websocket else []),
        *trust(spec),
        *("-workDir", str(work_dir(spec, place)), "-noReconnectAfter", NO_RECONNECT_AFTER),
    ]


def work_dir(spec: LaunchSpec, place: Workplace) -> Path:
    """Where the agent works: `remote_fs` counted from `remote/`, as Jenkins counts a relative one from the agent's own.

    (hudson.slaves.SlaveComputer.setChannel resolves it in the agent's JVM.) An absolute one stands, and stays.
    """
    chosen = Path(spec.template.root_of(spec.name))
    if not chosen.is_absolute() and ".." in chosen.parts:
        message = f"remote_fs {spec.template.remote_fs!r} leaves the agent's directory: leave it empty"
        raise BackendRejected("InvalidRemoteFs", message, Reason.INVALID_TEMPLATE)
    return place.remote / chosen


def agent_environment(
    inherited: Mapping[str, str], spec: LaunchSpec, place: Workplace, installation: str
) -> dict[str, str]:
    """Little of the broker's own environment, the template's, its tags, and the markers of the agent's processes.

    A process can carry no tags but in its environment, where `ps e` and the builds see them: as one object of JSON.
    """
    kept = {k: v for k, v in inherited.items() if k in _INHERITED or k.startswith("LC_")}
    tags = {TAGS: json.dumps(dict(spec.template.tags))} if spec.template.tags else {}
    return kept | dict(spec.template.env) | tags | {AGENT_MARK: place.ref, INSTALLATION_MARK: installation}
