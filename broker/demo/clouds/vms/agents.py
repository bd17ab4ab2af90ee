"""What a virtual machine has for agents: an image of theirs in reach of its engine, and a java that is none.

The image is imported by the init script, as a machine's owner would fetch it. In the place of Java is a program that
takes java's arguments and runs any command with those behind `-jar FILE`: the simulated agent knows agent.jar's.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from broker.demo.clouds.vms.files import CONTAINERS_CONF
from broker.demo.clouds.vms.inbound import ENTRYPOINT, tiny_image
from broker.demo.clouds.vms.spec import Image

JAVA: Final = "/usr/local/bin/java"
MARKER: Final = "/var/lib/agentbroker-demo/prepared"
"""What the init script leaves on its machine."""
_TAR: Final = "/opt/agentbroker-demo/inbound.tar"
_SYSTEM: Final = ("/usr", "/etc/alternatives", "/etc/ssl")
_JAVA: Final = """\
#!/bin/sh
# Stands for Java: runs {command} with the options of agent.jar, which it does not read.
case " $* " in *" -version "*) echo 'openjdk version "21.0.2" 2024-01-16' >&2; exit 0 ;; esac
while [ $# -gt 0 ] && [ "$1" != -jar ]; do shift; done
[ -r "$2" ] || {{ echo "Error: Unable to access jarfile $2" >&2; exit 1; }}
shift 2
exec {command} "$@"
"""


def with_agents(
    image: Image, agent: Sequence[str], *, shared: Sequence[Path] = (), written: Sequence[Path] = (), java: bool = True
) -> Image:
    """An image on whose machines `agent` runs, in containers and in the place of java.

    `shared` and `written` are found in containers as well. Without `java` the machine's own stays.
    """
    read, written_to = [*map(str, shared)], [*map(str, written)]
    volumes = [f"{path}:{path}:ro" for path in (*_SYSTEM, *_java_etc(), *read) if Path(path).exists()]
    volumes += [f"{path}:{path}" for path in written_to]
    stands = {JAVA: _JAVA.format(command=shlex.join(agent)).encode()} if java else {}
    variables = {"JENKINS_JAVA_BIN": " ".join(agent)} if java else {}
    files = {_TAR: tiny_image(), "/etc/containers/containers.conf": _containers_conf(volumes, variables)}
    return replace(
        image,
        files={**image.files, **files},
        programs={**image.programs, **stands},
        shared=(*image.shared, *read),
        written=(*image.written, *written_to),
    )


def init_script(image: str, *commands: str) -> str:
    """Imports the agents' image under a name, where there is an engine, and leaves the marker."""
    folder = MARKER.rpartition("/")[0]
    change = shlex.quote(f'ENTRYPOINT ["{ENTRYPOINT}"]')
    lines = (
        "#!/bin/sh",
        "set -e",
        f"! command -v podman >/dev/null || podman import --change {change} {_TAR} {shlex.quote(image)} 2>&1",
        *commands,
        f"mkdir -p {folder}",
        f"hostname >{MARKER}",
        "echo this host is prepared",
    )
    return "\n".join(lines) + "\n"


def _containers_conf(volumes: Sequence[str], variables: Mapping[str, str]) -> bytes:
    """What all containers of the machine have: its programs, and where the agent is."""
    more = f"[containers]\nvolumes = {json.dumps(list(volumes))}\n"
    more += f"env = {json.dumps([f'{name}={value}' for name, value in variables.items()])}\n"
    return CONTAINERS_CONF.replace("[containers]\n", more).encode()


def _java_etc() -> list[str]:
    return [str(path) for path in Path("/etc").glob("java-*-openjdk")]
