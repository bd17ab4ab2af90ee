"""An agent without an image: Java, or a command, on the host itself."""

import hashlib
from typing import Final

from broker.backends.bootstrap import NO_RECONNECT_AFTER, template_variables, trust, where_to
from broker.backends.ssh.options import Runner
from broker.backends.ssh.ownership import LAUNCH, Ownership, name_of
from broker.backends.ssh.process_script import LAUNCH_PROCESS, RUNNER
from broker.backends.ssh.shell import exports, quote, script_of
from broker.domain.host_order import HostPlace
from broker.domain.reason import Reason
from broker.errors import BackendRejected
from broker.ports import LaunchSpec

NO_LIMITS: Final = "agentbroker: nothing limits this agent's CPU and memory: the host has no systemd-run for its user"


def launch_script(spec: LaunchSpec, place: HostPlace, runner: Runner, ownership: Ownership) -> str:
    """See `LAUNCH_PROCESS`. BackendRejected if the host has nothing to run it with."""
    name, base = name_of(spec.key, spec.name), place.facts.get("base", "")
    home = f"{base}/agents/{name}"
    if not base:
        raise BackendRejected("NotPrepared", f"host {place.id} has not been prepared", Reason.SETUP_FAILED)
    marks = ownership.marks(spec.key, name, place.id)
    jar = runner.agent_jar or f"{base}/jars/{hashlib.sha256(spec.url.encode()).hexdigest()[:16]}.jar"
    fetched = not runner.command and not runner.agent_jar
    directory, own = _work_dir(spec, home)
    words = [*_limits(spec, place, name), *_program(spec, place, runner, jar, home), *_arguments(spec, home, directory)]
    return script_of(
        LAUNCH_PROCESS,
        work=base.rpartition("/")[0],
        folder=base.rpartition("/")[2],
        name=name,
        launch=marks[LAUNCH],
        mark=f"{LAUNCH}={marks[LAUNCH]}",
        marks="\n".join(f"{key}={value}" for key, value in marks.items()),
        own_work=own,
        work_dir=directory,
        note=NO_LIMITS if _has_size(spec) and place.facts.get("limits") != "systemd-run" else "",
        words=" ".join(quote(word) for word in words),
        jar=jar,
        url=f"{spec.url}jnlpJars/agent.jar" if fetched else "",
        ca="".join(spec.authorities),
        runner=RUNNER,
    )


def launch_input(spec: LaunchSpec) -> bytes:
    """What the script reads: the secret, which is one line, and the variables of the template."""
    return f"{spec.secret}\n{exports(template_variables(spec.template))}: end\n".encode()


def _program(spec: LaunchSpec, place: HostPlace, runner: Runner, jar: str, home: str) -> list[str]:
    if runner.command:
        return [*runner.command]
    java = place.facts.get("java")
    if not java:
        why = place.facts.get("no_java", "no Java is known of the host")
        message = f"template {spec.template.name} has no image, so it needs Java on its host: {why}"
        raise BackendRejected("NoJava", message, Reason.SETUP_FAILED)
    return [java, *runner.java_opts, f"-Djava.io.tmpdir={home}/tmp", "-jar", jar]  # noqa: S108 -- its own


def _arguments(spec: LaunchSpec, home: str, directory: str) -> list[str]:
    """The options of agent.jar (hudson.remoting.Launcher). The secret is named by its file."""
    return [
        *where_to(spec),
        *("-secret", f"@{home}/secret", "-name", spec.name),
        *(["-webSocket"] if spec.websocket else []),
        *trust(spec),
        *("-workDir", directory, "-noReconnectAfter", NO_RECONNECT_AFTER),
    ]


def _work_dir(spec: LaunchSpec, home: str) -> tuple[str, str]:
    """Where Jenkins works, and the same if it is elsewhere and the agent's alone: then it is deleted with it.

    A relative one counts from the directory in which the agent is started (hudson.slaves.SlaveComputer.setChannel).
    """
    root = spec.template.root_of(spec.name)
    parts = root.split("/")
    if ".." in parts:
        message = f"remote_fs {spec.template.remote_fs!r} leads out of itself: write it without .."
        raise BackendRejected("InvalidRemoteFs", message, Reason.INVALID_TEMPLATE)
    if not root.startswith("/"):
        return f"{home}/remote/{root}".rstrip("/"), ""
    return root, root if spec.template.unique_remote_fs and parts[-1] == spec.name else ""


def _has_size(spec: LaunchSpec) -> bool:
    return bool(spec.template.resources.cpu_milli or spec.template.resources.memory_mib)


def _limits(spec: LaunchSpec, place: HostPlace, name: str) -> list[str]:
    """A scope of systemd's, which limits all processes of the agent together (systemd.resource-control(5))."""
    size = spec.template.resources
    if not _has_size(spec) or place.facts.get("limits") != "systemd-run":
        return []
    words = ["systemd-run", "--quiet", "--scope", "--collect", f"--unit=agentbroker-{name}"]
    if size.cpu_milli:
        words += ["-p", f"CPUQuota={max(1, size.cpu_milli // 10)}%"]
    if size.memory_mib:
        words += ["-p", f"MemoryMax={size.memory_mib}M", "-p", "MemorySwapMax=0"]
    return [*words, "--"]
