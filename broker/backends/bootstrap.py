"""How an inbound agent is told who it is and whom to dial: for every backend that starts one away from the broker.

The words are those of the `jenkins-agent` script of docker-agent and of agent.jar (hudson.remoting.Launcher):

| inject | what the image is given | where the secret can be read |
|---|---|---|
| `env` | `JENKINS_*` variables for the image's own entrypoint | the environment, and what that makes of it |
| `args` | the options of agent.jar as arguments of its entrypoint | the arguments |
| `legacy` | `-url URL SECRET NAME`, and `SLAVE_NODE_NAME` and `SLAVE_NODE_SECRET` | the arguments |
| `script` | the variables of `env` and `SCRIPT`, which starts agent.jar or a command | a file of the agent's alone |

A private CA is no secret: it goes as arguments behind all of them, and into `script` by a variable.

With `script` the variable is gone before the agent starts, so that neither it nor a build inherits it.
Windows images (jenkins-agent.ps1) take `env` alone: their script knows none of agent.jar's -noReconnectAfter and -cert.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Final

from broker.domain.template import Inject, Template
from broker.ports import LaunchSpec

NO_RECONNECT_AFTER: Final = "10m"
"""Long enough for a controller or gateway to come back, short enough that an agent nobody knows ends by itself."""

HOME: Final = "/home/jenkins/agent"
"""Where an agent works whose template says nothing: the directory that docker-agent's images have for it."""
WINDOWS_HOME: Final = "C:/Users/jenkins/Work"
"""The same of its images for Windows (windows/*/Dockerfile: AGENT_WORKDIR)."""

SCRIPT: Final = """\
kept=${TMPDIR:-/tmp}/agentbroker-$$
(umask 077 && mkdir "$kept" && printf '%s\\n' "$JENKINS_SECRET" >"$kept/secret") || exit 70
unset JENKINS_SECRET
ca=
if [ -n "${AGENTBROKER_CA:-}" ]; then ca=$kept/ca.pem; printf '%s' "$AGENTBROKER_CA" >"$ca" || exit 70; fi
unset AGENTBROKER_CA
mkdir -p "$JENKINS_AGENT_WORKDIR" && cd "$JENKINS_AGENT_WORKDIR" || exit 70
fetch() {
  if command -v curl >/dev/null 2>&1; then
    curl -fsS ${ca:+--cacert "$ca"} --connect-timeout 10 --max-time 120 -o "$2" "$1"
  elif command -v wget >/dev/null 2>&1; then wget -q ${ca:+--ca-certificate="$ca"} -T 30 -O "$2" "$1"
  else tries=0; echo "the image has neither curl nor wget" >&2; return 1; fi
}
if [ $# -eq 0 ]; then
  jar=${JENKINS_AGENT_FILE:-/usr/share/jenkins/agent.jar}
  if [ ! -r "$jar" ]; then
    jar=$kept/agent.jar tries=60
    until fetch "${JENKINS_URL}jnlpJars/agent.jar" "$jar"; do
      tries=$((tries - 1))
      if [ $tries -le 0 ]; then echo "cannot fetch ${JENKINS_URL}jnlpJars/agent.jar" >&2; exit 69; fi
      sleep 5
    done
  fi
  java=${JENKINS_JAVA_BIN:-${JAVA_HOME:+$JAVA_HOME/bin/java}}
  set -- "${java:-java}" ${JENKINS_JAVA_OPTS:-} -jar "$jar"
fi
if [ "${JENKINS_WEB_SOCKET:-}" = true ]; then set -- "$@" -webSocket; fi
if [ -n "${JENKINS_DIRECT_CONNECTION:-}" ]; then
  set -- "$@" -direct "$JENKINS_DIRECT_CONNECTION" -instanceIdentity "$JENKINS_INSTANCE_IDENTITY"
else
  set -- "$@" -url "$JENKINS_URL" ${JENKINS_TUNNEL:+-tunnel "$JENKINS_TUNNEL"}
fi
if [ -n "$ca" ]; then
  one=
  while IFS= read -r line; do
    one="$one$line
"
    case $line in -----END*) set -- "$@" -cert "$one"; one= ;; esac
  done <"$ca"
fi
exec "$@" -secret "@$kept/secret" -name "$JENKINS_AGENT_NAME" \\
  -workDir "$JENKINS_AGENT_WORKDIR" ${REMOTING_OPTS:-}
"""
"""POSIX sh. Its arguments stand for `java -jar agent.jar` and get that jar's options. Without any, the image's own
agent.jar is started; if it has none, the controller's is fetched through the gateway, tried sixty times.
Exit codes are those of sysexits.h: 69 nothing to fetch, 70 no place to work in."""

SCRIPT_ENTRYPOINT: Final = ("/bin/sh", "-c", SCRIPT, "agentbroker")
"""The entrypoint that `inject: script` takes the place of the image's with; the same for every agent."""


_DECIDED: Final = frozenset(
    {
        *("JENKINS_URL", "JENKINS_TUNNEL", "JENKINS_DIRECT_CONNECTION", "JENKINS_INSTANCE_IDENTITY"),
        *("JENKINS_WEB_SOCKET", "JENKINS_SECRET", "JENKINS_AGENT_NAME", "JENKINS_NAME"),
    }
)
"""Variables of the `jenkins-agent` script that say who an agent is and whom it dials: a template has no say in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How to start an image: `entrypoint` None is the image's own; the secret may be in the other two."""

    entrypoint: tuple[str, ...] | None = None
    arguments: tuple[str, ...] = field(default=(), repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


def start_of(spec: LaunchSpec, command: tuple[str, ...] = (), home: str = HOME) -> Start:
    """What `spec`'s template asks for; a `command` takes the place of `java -jar agent.jar` in the script.

    `home` is where the image's agents work unless they are told otherwise.
    """
    environment = template_variables(spec.template)
    if command or spec.template.inject is Inject.SCRIPT:
        fetches = {"JENKINS_URL": spec.url} | (
            {"AGENTBROKER_CA": "".join(spec.authorities)} if spec.authorities else {}
        )
        return Start(
            entrypoint=SCRIPT_ENTRYPOINT,
            arguments=command,
            environment=environment | agent_variables(spec, home) | fetches,
        )
    match spec.template.inject:
        case Inject.ENV:
            return Start(arguments=trust(spec), environment=environment | agent_variables(spec, home))
        case Inject.ARGS:
            named = ("-secret", spec.secret, "-name", spec.name)
            return Start(arguments=(*where_to(spec), *named, *_further(spec, home)), environment=environment)
        case _:
            old = {"SLAVE_NODE_NAME": spec.name, "SLAVE_NODE_SECRET": spec.secret}
            arguments = (*where_to(spec), *_further(spec, home), spec.secret, spec.name)
            return Start(arguments=arguments, environment=environment | old)


def template_variables(template: Template) -> dict[str, str]:
    """What a template says of its agents' environment, the same for each, as far as it has a say."""
    return {name: value for name, value in template.env.items() if name not in _DECIDED}


def agent_variables(spec: LaunchSpec, home: str = HOME) -> dict[str, str]:
    """What the `jenkins-agent` script reads. It expands most of them unquoted: only the last may have a space.

    A template's own REMOTING_OPTS stay, before ours.
    """
    further = (spec.template.env.get("REMOTING_OPTS", ""), f"-noReconnectAfter {NO_RECONNECT_AFTER}")
    return {
        **_where(spec),
        "JENKINS_AGENT_NAME": spec.name,
        "JENKINS_SECRET": spec.secret,
        "JENKINS_AGENT_WORKDIR": work_dir(spec, home),
        **({"JENKINS_WEB_SOCKET": "true"} if spec.websocket else {}),
        "REMOTING_OPTS": " ".join(filter(None, further)),
    }


def where_to(spec: LaunchSpec) -> tuple[str, ...]:
    """The options of agent.jar that say whom it dials, less -webSocket; -direct and -url exclude each other."""
    if spec.identity:
        return ("-direct", spec.tunnel, "-instanceIdentity", spec.identity)
    tunnel = ("-tunnel", spec.tunnel) if spec.tunnel else ()
    return ("-url", spec.url, *tunnel)


def trust(spec: LaunchSpec) -> tuple[str, ...]:
    """The options that make agent.jar trust `spec.authorities`: each certificate by itself, for it reads but the first.

    As a text and not by a file: args4j takes `@FILE` for more options. The `jenkins-agent` script passes arguments that
    begin with a dash on to agent.jar as they are, which it would not do with the words of REMOTING_OPTS.
    """
    return tuple(word for text in spec.authorities for word in ("-cert", text))


def _where(spec: LaunchSpec) -> dict[str, str]:
    """The same as variables; JENKINS_WEB_SOCKET is not among them."""
    if spec.identity:
        return {"JENKINS_DIRECT_CONNECTION": spec.tunnel, "JENKINS_INSTANCE_IDENTITY": spec.identity}
    return {"JENKINS_URL": spec.url, **({"JENKINS_TUNNEL": spec.tunnel} if spec.tunnel else {})}


def work_dir(spec: LaunchSpec, home: str = HOME) -> str:
    """The agent's directory, its own where the template says so: a relative one below that in which it is started."""
    start, root = start_dir(spec.template, home), spec.template.root_of(spec.name)
    absolute = start == spec.template.remote_fs
    return root if absolute else str(PurePosixPath(start) / root)


def start_dir(template: Template, home: str = HOME) -> str:
    """Where the agent is started: Jenkins counts a relative remote root from there (SlaveComputer.setChannel)."""
    has_drive = PureWindowsPath(template.remote_fs).drive
    return template.remote_fs if template.remote_fs.startswith("/") or has_drive else home


def _further(spec: LaunchSpec, home: str) -> tuple[str, ...]:
    websocket = ("-webSocket",) if spec.websocket else ()
    return (*websocket, *trust(spec), "-workDir", work_dir(spec, home), "-noReconnectAfter", NO_RECONNECT_AFTER)
