"""What the public images' `jenkins-agent` entrypoints make of arguments and environment: the command line of java.

Models of two contracts, from reading docker-agent's scripts (`jenkins-agent`, `jenkins-agent.ps1`; the state of
January 2026). Facts of the one for Linux:

| is given | becomes |
|---|---|
| one argument without a dash | that command, and no agent |
| JENKINS_JAVA_BIN, else JAVA_HOME, else nothing | the program: itself, `JAVA_HOME/bin/java`, `java` |
| JENKINS_JAVA_OPTS, else JAVA_OPTS | words before -jar |
| JENKINS_AGENT_FILE | the jar, else /usr/share/jenkins/agent.jar |
| JENKINS_SECRET | -secret, unless its text is anywhere in the arguments |
| JENKINS_NAME, else JENKINS_AGENT_NAME | -name, unless its text is anywhere in the arguments |
| JENKINS_TUNNEL | -tunnel, unless the arguments have one |
| JENKINS_URL | -url, whatever the arguments have |
| JENKINS_AGENT_WORKDIR | -workDir, unless the arguments have one |
| JENKINS_WEB_SOCKET | -webSocket, if it is the word true |
| JENKINS_DIRECT_CONNECTION, JENKINS_PROTOCOLS, JENKINS_INSTANCE_IDENTITY | -direct, -protocols, -instanceIdentity |
| REMOTING_OPTS | words as a shell splits them, quotes too |
| arguments | themselves, last |

Values are expanded unquoted but for the arguments. java inherits the environment as it is, the secret too.

Facts of the one for Windows: arguments bind to its own parameters (-Url, -Secret, -Name, -Tunnel, -WorkDir, -WebSocket,
-DirectConnection, -InstanceIdentity, -Protocols, -RemotingOpts …; -Secret and -Name by position too), anything else is
an error before java starts. A variable goes over an argument; any text in JENKINS_WEB_SOCKET is yes; JENKINS_NAME,
JENKINS_AGENT_FILE and JAVA_OPTS are not read; the jar and the usual directory have fixed places.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The program that takes the entrypoint's place: its command line, and its environment, which is the one given."""

    argv: tuple[str, ...]

    @property
    def options(self) -> dict[str, list[str]]:
        """The options behind the jar, by name, with all their values; words without an option are under ''."""
        found: dict[str, list[str]] = {}
        words = iter(self.argv[self.argv.index("-jar") + 2 :])
        for word in words:
            if not word.startswith("-"):
                found.setdefault("", []).append(word)
            else:
                found.setdefault(word, []).append("" if word in FLAGS else next(words))
        return found


class DoesNotStart(Exception):
    """The script ends before it starts java."""


FLAGS = {"-webSocket", "-noReconnect", "-noCertificateCheck"}
LINUX_JAR = "/usr/share/jenkins/agent.jar"
WINDOWS_JAR = "C:/ProgramData/Jenkins/agent.jar"
WINDOWS_HOME = "C:/Users/jenkins/Work"


def on_linux(arguments: Sequence[str], environment: Mapping[str, str]) -> Started:
    """What `jenkins-agent` becomes."""
    if len(arguments) == 1 and not arguments[0].startswith("-"):
        return Started(argv=tuple(arguments))
    given = " ".join(arguments)

    def option(name: str, *variables: str, unless: str | None = None) -> list[str]:
        value = next((found for each in variables if (found := environment.get(each, ""))), "")
        hidden = (value if unless is None else unless) in given
        return [name, *value.split()] if value and not hidden else []

    never = "\0"
    java = environment.get("JENKINS_JAVA_BIN") or (
        f"{environment['JAVA_HOME']}/bin/java" if environment.get("JAVA_HOME") else "java"
    )
    options = environment.get("JENKINS_JAVA_OPTS") or environment.get("JAVA_OPTS", "")
    return Started(
        argv=(
            *java.split(),
            *options.split(),
            *("-jar", environment.get("JENKINS_AGENT_FILE") or LINUX_JAR),
            *option("-secret", "JENKINS_SECRET"),
            *option("-name", "JENKINS_NAME", "JENKINS_AGENT_NAME"),
            *option("-tunnel", "JENKINS_TUNNEL", unless="-tunnel "),
            *option("-url", "JENKINS_URL", unless=never),
            *option("-workDir", "JENKINS_AGENT_WORKDIR", unless="-workDir"),
            *(["-webSocket"] if environment.get("JENKINS_WEB_SOCKET") == "true" else []),
            *option("-direct", "JENKINS_DIRECT_CONNECTION", unless=never),
            *option("-protocols", "JENKINS_PROTOCOLS", unless=never),
            *option("-instanceIdentity", "JENKINS_INSTANCE_IDENTITY", unless=never),
            *shlex.split(environment.get("REMOTING_OPTS", "")),
            *arguments,
        )
    )


_PARAMETERS = {
    "JenkinsJavaBin": "JENKINS_JAVA_BIN",
    "JenkinsJavaOpts": "JENKINS_JAVA_OPTS",
    "Tunnel": "JENKINS_TUNNEL",
    "Url": "JENKINS_URL",
    "Secret": "JENKINS_SECRET",
    "Name": "JENKINS_AGENT_NAME",
    "WorkDir": "JENKINS_AGENT_WORKDIR",
    "WebSocket": "JENKINS_WEB_SOCKET",
    "DirectConnection": "JENKINS_DIRECT_CONNECTION",
    "InstanceIdentity": "JENKINS_INSTANCE_IDENTITY",
    "Protocols": "JENKINS_PROTOCOLS",
    "RemotingOpts": "REMOTING_OPTS",
}
"""The parameters of the script for Windows and the variables that go over them."""


def on_windows(arguments: Sequence[str], environment: Mapping[str, str]) -> Started:
    """What `jenkins-agent.ps1` becomes; raises DoesNotStart."""
    bound = _bound(arguments)
    for parameter, variable in _PARAMETERS.items():
        if environment.get(variable):
            bound[parameter] = environment[variable]
    if not bound.get("Secret") or not bound.get("Name") or not (bound.get("Url") or bound.get("DirectConnection")):
        raise DoesNotStart("a secret, a name and a URL are required")
    home = environment.get("JAVA_HOME")

    def option(name: str, parameter: str, default: str = "") -> list[str]:
        value = bound.get(parameter) or default
        return [name, value] if value else []

    return Started(
        argv=(
            bound.get("JenkinsJavaBin") or (f"{home}/bin/java.exe" if home else "java.exe"),
            *shlex.split(bound.get("JenkinsJavaOpts", "")),
            *("-jar", WINDOWS_JAR, "-secret", bound["Secret"], "-name", bound["Name"]),
            *shlex.split(bound.get("RemotingOpts", "")),
            *option("-tunnel", "Tunnel"),
            *option("-workDir", "WorkDir", WINDOWS_HOME),
            *(["-webSocket"] if bound.get("WebSocket") else []),
            *option("-url", "Url"),
            *option("-direct", "DirectConnection"),
            *option("-instanceIdentity", "InstanceIdentity"),
            *option("-protocols", "Protocols"),
        )
    )


def _bound(arguments: Sequence[str]) -> dict[str, str]:
    """Arguments by parameter: a name may be shortened as long as it is one parameter's, in any case."""
    bound: dict[str, str] = {}
    by_position = iter(("Secret", "Name"))
    words = iter(arguments)
    for word in words:
        if not word.startswith("-"):
            bound[next(by_position)] = word
            continue
        meant = [each for each in _PARAMETERS if each.lower().startswith(word[1:].lower())]
        if len(meant) != 1:
            raise DoesNotStart(f"no parameter is called {word}")
        bound[meant[0]] = "true" if meant[0] == "WebSocket" else next(words)
    return bound
