"""What an image's entrypoint makes of its environment and arguments, on a machine that has no containers.

The public agent image's is a script (`jenkins-agent` of docker-agent): variables become options of agent.jar, and
arguments that begin with a dash go behind them. Here the agent is any command that takes those options.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from broker.backends.bootstrap import HOME

_VARIABLE = re.compile(r"JENKINS_(URL|SECRET|AGENT_NAME|NAME|AGENT_WORKDIR|TUNNEL|WEB_SOCKET|DIRECT_CONNECTION)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What is started, and with what in its environment."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]


def process_of(
    *,
    entry_point: Sequence[str],
    command: Sequence[str],
    environment: Mapping[str, str],
    agent: Sequence[str],
    home: Path,
) -> Process:
    """A container's process. An entrypoint of its own is run as it is; else the public image's, with `agent` in it.

    `home` stands for the directory in which the image's agents work. The secret goes by a file in it, of which the
    arguments have only the name.
    """
    here = {name: _moved(value, home) for name, value in environment.items()}
    if entry_point:
        argv = [*entry_point, *command]
        return Process(argv=tuple(argv), environment={**here, "TMPDIR": str(home)})
    if command and not command[0].startswith("-"):
        return Process(argv=tuple(command), environment=here)
    secret = home / "secret"
    if "JENKINS_SECRET" in here:
        secret.touch(mode=0o600)
        secret.write_text(here["JENKINS_SECRET"] + "\n")
    options = [*_options(here, secret), *(_moved(word, home) for word in command)]
    rest = {name: value for name, value in here.items() if not _VARIABLE.fullmatch(name)}
    return Process(argv=(*agent, *options), environment=rest)


def _options(given: Mapping[str, str], secret: Path) -> list[str]:
    options: list[str] = []
    if "JENKINS_SECRET" in given:
        options += ["-secret", f"@{secret}"]
    if name := given.get("JENKINS_AGENT_NAME") or given.get("JENKINS_NAME"):
        options += ["-name", name]
    if given.get("JENKINS_WEB_SOCKET") == "true":
        options.append("-webSocket")
    if direct := given.get("JENKINS_DIRECT_CONNECTION"):
        options += ["-direct", direct, "-instanceIdentity", given.get("JENKINS_INSTANCE_IDENTITY", "")]
    elif "JENKINS_URL" in given:
        tunnel = ["-tunnel", given["JENKINS_TUNNEL"]] if given.get("JENKINS_TUNNEL") else []
        options += ["-url", given["JENKINS_URL"], *tunnel]
    if work := given.get("JENKINS_AGENT_WORKDIR"):
        options += ["-workDir", work]
    return options + shlex.split(given.get("REMOTING_OPTS", ""))


def _moved(text: str, home: Path) -> str:
    return str(home) + text.removeprefix(HOME) if text == HOME or text.startswith(HOME + "/") else text
