"""`agentbroker dev`: broker, gateway, a pool on this machine and a controller in one go, with builds to show for it."""

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from broker.demo.controllers import DemoController, SimulatedController
from broker.demo.jenkins import JenkinsFromWar, JenkinsOverHttp
from broker.demo.leftovers import LeftBehind, end, marked_processes, nodes_of
from broker.demo.processes import Child, DemoFailed
from broker.demo.report import Summary, View, view_for
from broker.demo.secured import Secured
from broker.demo.stack import CONTROLLER, Ports, Stack, java_pool, simulated_pool

LABEL: Final = "linux"
_BUILDS_S: Final = 600.0
_GONE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for on the command line. `controller` is jenkins, simulated or None for what is at hand."""

    builds: int
    build_seconds: float
    stay: bool
    controller: str | None
    jenkins_war: Path | None
    jenkins_url: str | None
    java: str
    port: int | None
    state_dir: Path | None
    output: str
    warm: int = 0
    clouds: str | None = None
    """`fake`: agents are tasks of a cloud that is played here; None: processes."""

    @property
    def is_simulated(self) -> bool:
        """Whether the controller and its agents are simulated: if asked for, or if no real one is named."""
        if self.controller:
            return self.controller == "simulated"
        return not (self.jenkins_war or self.jenkins_url)


def run(options: Options) -> int:
    """Runs the demo and cleans up after it, whatever happens; returns the exit code."""
    view, directory = view_for(options.output), _Directory(options.state_dir)
    try:
        with _signals_as_interrupt(), directory as root:
            code = _run_in(root, options, view)
            directory.succeeded = code == 0
            return code
    except DemoFailed as error:
        view.close()
        print(f"agentbroker dev: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        view.close()


def _run_in(root: Path, options: Options, view: View) -> int:
    ports = Ports.beginning_at(options.port) if options.port else Ports()
    stack = _stack(root, options, ports)
    controller = _controller(root, options, stack)
    view.say(_which(options))
    if options.jenkins_url and not options.is_simulated:
        view.say(_how_to_join(stack))
    try:
        stack.start()
        controller.start()
        stack.known_nodes = nodes_of(stack.controller_url)
        for line in stack.told():
            view.say(line)
        view.say(f"status page {stack.http_url}  controller {controller.url}  agents dial {stack.gateway_url}")
        if options.builds:
            controller.queue(options.builds, label=LABEL, seconds=options.build_seconds)
        children = [*stack.children, *controller.children()]
        if options.stay:
            view.say("running until Ctrl-C")
            _watch(controller, view, children)
        _watch_until_done(controller, view, children)
        summary = _summary(stack, controller, options)
        stack.check()
    finally:
        for child in [*controller.children(), *stack.children]:
            child.stop()
        end(marked_processes(stack.search.marker))
    view.close()
    print(summary.as_json() if options.output == "json" else summary.as_text())
    return 0 if summary.is_success else 1


def _stack(root: Path, options: Options, ports: Ports) -> Stack:
    machines = _machines(options)
    secured = _secured(root, options, *machines.get("gateway", ()))
    java_options = secured.java_options() if secured else []
    pool = simulated_pool()
    if not options.is_simulated:
        pool = java_pool(options.java, root, root / "launches.log", java_options)
    url = f"http://127.0.0.1:{ports.controller}/"
    if options.jenkins_url and not options.is_simulated:
        url = options.jenkins_url.rstrip("/") + "/"
    overrides = {"warm": {"min_idle": options.warm}} if options.warm else {}
    known: dict[str, Any] = {"root": root, "controller_url": url, "ports": ports, "secured": secured}
    known |= {"pools": {LABEL: pool}, "overrides": overrides}
    if options.clouds:
        from broker.demo.clouds.stack import CloudStack  # noqa: PLC0415  # only where it is asked for

        java = str(pool["java"]) if "java" in pool else ""
        return CloudStack(**known, java=java, block=machines.get("block"), lacks=machines.get("lacks", ""))
    return Stack(**known)


def _machines(options: Options) -> dict[str, Any]:
    """Where virtual machines may be, and with them the gateway; or what this machine lacks for them."""
    if not options.clouds:
        return {}
    from broker.demo.clouds.chosen import free_block, lacking  # noqa: PLC0415  # only where it is asked for
    from broker.demo.clouds.machine_pool import address_in  # noqa: PLC0415

    if lacks := lacking():
        return {"lacks": lacks}
    block = free_block()
    return {"block": block, "gateway": [address_in(block)]}


def _secured(root: Path, options: Options, *gateway: str) -> Secured | None:
    """An authority of this run's own; somebody else's Jenkins would have to be changed at each run to trust it."""
    foreign = options.jenkins_url and not options.is_simulated
    return None if foreign else Secured.new(root / "tls", *gateway)


def _controller(root: Path, options: Options, stack: Stack) -> DemoController:
    if options.is_simulated:
        return SimulatedController(
            root,
            port=stack.ports.controller,
            grpc_port=stack.ports.grpc,
            token_file=stack.token_file,
            environment=stack.environment,
            tls=stack.secured.client(CONTROLLER) if stack.secured else None,
        )
    if options.jenkins_url:
        return JenkinsOverHttp(stack.controller_url)
    if options.jenkins_war is None:
        raise DemoFailed("no Jenkins to run: name its war by --jenkins-war or JENKINS_WAR, or a URL by --jenkins-url")
    return JenkinsFromWar(
        options.jenkins_war,
        java=options.java,
        home=root / "jenkins",
        port=stack.ports.controller,
        broker=f"127.0.0.1:{stack.ports.grpc}",
        token_file=stack.token_file,
        environment=stack.environment,
        tls=stack.secured.client(CONTROLLER) if stack.secured else None,
    )


def _which(options: Options) -> str:
    if options.is_simulated:
        return "controller and agents are simulated; for a real Jenkins name its war: --jenkins-war FILE or JENKINS_WAR"
    return "controller is a real Jenkins, agents are real; for simulated ones: --controller simulated"


def _how_to_join(stack: Stack) -> str:
    broker = f"--broker 127.0.0.1:{stack.ports.grpc} --token-file {stack.token_file}"
    return (
        f"once, for that Jenkins:  agentbroker init jenkins --home JENKINS_HOME {broker}  and a restart of it\n"
        "(--port and --state-dir keep these from one run to the next); its builds wait until then"
    )


def _watch_until_done(controller: DemoController, view: View, children: list[Child]) -> None:
    deadline = time.monotonic() + _BUILDS_S
    while not _show(controller, view, children):
        if time.monotonic() > deadline:
            raise DemoFailed(f"the builds did not end within {_BUILDS_S:g} s")
        time.sleep(0.2)


def _watch(controller: DemoController, view: View, children: list[Child]) -> None:
    while True:
        _show(controller, view, children)
        time.sleep(0.5)


def _show(controller: DemoController, view: View, children: list[Child]) -> bool:
    for child in children:
        child.check()
    with suppress(OSError):
        builds = controller.builds()
        view.show(builds)
        return all(build.result for build in builds)
    return False


def _summary(stack: Stack, controller: DemoController, options: Options) -> Summary:
    builds = controller.builds()
    left = wait_for_nothing(stack, controller)
    return Summary(
        controller=controller.kind,
        builds=options.builds,
        succeeded=sum(build.result == "SUCCESS" for build in builds),
        agents_launched=len(stack.launched()),
        startup_s=[build.started_at - build.queued_at for build in builds if build.started_at],
        left_behind=left,
    )


def wait_for_nothing(stack: Stack, *controllers: DemoController, seconds: float = _GONE_S) -> LeftBehind:
    """What is left behind: as soon as that is nothing, else what it is after so many seconds."""
    children = [child for controller in controllers for child in controller.children()]
    servers = {child.pid for child in [*stack.children, *children]}
    deadline = time.monotonic() + seconds
    while (left := stack.search.look(except_pids=servers)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


class _Directory:
    """The directory of a run. A given one stays as it is; of a temporary one the logs stay if the run failed."""

    def __init__(self, given: Path | None) -> None:
        self._given = given
        self.succeeded = False

    def __enter__(self) -> Path:
        if self._given:
            self._given.mkdir(parents=True, exist_ok=True)
            self.path = self._given.absolute()
        else:
            self.path = Path(tempfile.mkdtemp(prefix="agentbroker-dev-"))
        return self.path

    def __exit__(self, *error: object) -> None:
        if self._given:
            return
        if self.succeeded or isinstance(error[1], KeyboardInterrupt):
            shutil.rmtree(self.path, ignore_errors=True)
            return
        for path in self.path.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.suffix != ".log":
                path.unlink(missing_ok=True)
        print(f"agentbroker dev: the logs of this run are in {self.path}", file=sys.stderr)


@contextmanager
def _signals_as_interrupt() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does: by KeyboardInterrupt, once; the clean-up is not interrupted again."""

    told = False

    def interrupt(number: int, frame: object) -> None:
        nonlocal told
        if not told:
            told = True
            raise KeyboardInterrupt

    before = {one: signal.signal(one, interrupt) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def default_java() -> str:
    """The java of the war and of its agents: AGENT_JAVA, else the one on the PATH."""
    return os.environ.get("AGENT_JAVA") or shutil.which("java") or "java"
