"""The real broker and gateway, a pool of real agents, and a real controller with our files in its home."""

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from broker.demo.leftovers import LeftBehind, end, marked_processes, nodes_of
from broker.demo.stack import CONTROLLER, Ports, Stack, java_pool
from tests.jenkins.controller import Controller, wait_for

LABEL = "linux"
CONNECTED = "INFO: Connected"
# Twenty JVMs at once on two cores: what they need least is an optimizing compiler.
LIGHT = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx96m"
COUNTERS = """
import hudson.model.*
import hudson.slaves.*
hudson.ExtensionList.lookup(ComputerListener).add(new ComputerListener() {
    void onLaunchFailure(Computer c, TaskListener l) { note('launch-failures', c.name) }
    void onOnline(Computer c, TaskListener l) { note('online', c.name) }
    synchronized void note(String file, String name) {
        new File(jenkins.model.Jenkins.get().rootDir.parentFile, file) << "${name} ${System.currentTimeMillis()}\\n"
    }
})
"""
# A cloud without agents that provisions at once what nobody else did, as clouds with a strategy of their own do.
OTHER_CLOUD = """
import hudson.ExtensionList
import hudson.model.*
import hudson.slaves.*
import java.util.concurrent.CompletableFuture
import jenkins.model.Jenkins

class OtherNode extends AbstractCloudSlave implements EphemeralNode {
    OtherNode(String name, String label) {
        super(name, '/tmp', new JNLPLauncher()); labelString = label; numExecutors = 1
        retentionStrategy = new CloudRetentionStrategy(60)
    }
    AbstractCloudComputer createComputer() { new OtherComputer(this) }
    protected void _terminate(TaskListener listener) {}
    Node asNode() { this }
    static class DescriptorImpl extends Slave.SlaveDescriptor { String getDisplayName() { 'other' } }
}
class OtherComputer extends AbstractCloudComputer {
    OtherComputer(AbstractCloudSlave node) { super(node) }
    boolean isConnecting() { offline }
    hudson.security.ACL getACL() { Jenkins.get().authorizationStrategy.getACL(this) }
}
class OtherCloud extends Cloud {
    int asked
    OtherCloud() { super('other') }
    boolean canProvision(Cloud.CloudState state) {
        state.label != null && state.label.matches([new hudson.model.labels.LabelAtom('linux'),
            new hudson.model.labels.LabelAtom('docker'), new hudson.model.labels.LabelAtom('other')])
    }
    synchronized Collection provision(Cloud.CloudState state, int excess) {
        (0..<excess).collect {
            String name = "other-${++asked}"
            new NodeProvisioner.PlannedNode(name, CompletableFuture.completedFuture(
                new OtherNode(name, 'linux docker other')), 1)
        }
    }
    static class DescriptorImpl extends Descriptor<Cloud> { String getDisplayName() { 'other' } }
}
class OtherStrategy extends NodeProvisioner.Strategy {
    NodeProvisioner.StrategyDecision apply(NodeProvisioner.StrategyState state) {
        def snapshot = state.snapshot
        int excess = snapshot.queueLength - snapshot.availableExecutors - snapshot.connectingExecutors -
            state.plannedCapacitySnapshot - state.additionalPlannedCapacity
        def cloud = Jenkins.get().clouds.find { it.class.name == 'OtherCloud' }
        if (!cloud?.canProvision(new Cloud.CloudState(state.label, 0))) {
            return NodeProvisioner.StrategyDecision.CONSULT_REMAINING_STRATEGIES
        }
        if (excess > 0) {
            state.recordPendingLaunches(cloud.provision(new Cloud.CloudState(state.label, 0), excess))
            OtherWatch.review(state.label) // which adds their nodes
        }
        NodeProvisioner.StrategyDecision.PROVISIONING_COMPLETED // else core asks for more, by its averages
    }
}
class OtherWatch extends hudson.model.queue.QueueListener {
    void onEnterBuildable(Queue.BuildableItem item) { review(item.assignedLabel) }
    static void review(Label label) {
        jenkins.util.Timer.get().schedule({ label?.nodeProvisioner?.suggestReviewNow() } as Runnable,
            300, java.util.concurrent.TimeUnit.MILLISECONDS)
    }
}
class OtherFilter implements jenkins.security.CustomClassFilter {
    Boolean permits(Class type) { type.name.startsWith('Other') ? true : null }
    Boolean permits(String name) { name.startsWith('Other') ? true : null }
}
ExtensionList.lookup(jenkins.security.CustomClassFilter).add(new OtherFilter())
ExtensionList.lookup(Descriptor).add(new OtherCloud.DescriptorImpl())
ExtensionList.lookup(Descriptor).add(new OtherNode.DescriptorImpl())
ExtensionList.lookup(NodeProvisioner.Strategy).add(new OtherStrategy())
ExtensionList.lookup(hudson.model.queue.QueueListener).add(new OtherWatch())
Jenkins.get().clouds.add(new OtherCloud())
"""


def java() -> str:
    """The java of the controller and of its agents."""
    return os.environ.get("AGENT_JAVA", "java")


def unpack_libraries(folder: Path) -> None:
    """All jars of the war, side by side."""
    with zipfile.ZipFile(os.environ["JENKINS_WAR"]) as war:
        for name in war.namelist():
            if name.endswith(".jar") and name.startswith(("WEB-INF/lib/", "executable/")):
                (folder / Path(name).name).write_bytes(war.read(name))


class Rig:
    """Everything in one directory. Policy `linux` carries the labels linux and docker."""

    def __init__(
        self,
        root: Path,
        policy: Mapping[str, object] | None = None,
        pool: Mapping[str, object] | None = None,
        others: Mapping[str, Mapping[str, object]] | None = None,
    ) -> None:
        """`others` are more controllers, with their keys in the config."""
        self.root = root
        self.slow = root / "slow"
        """While this file exists, agents wait for 8 s before they connect."""
        self.agent_logs = root / "agent-logs"
        self.agent_logs.mkdir()
        self.controller = self._new_controller("home")
        self.others = {name: self._new_controller(f"home-{name}") for name in others or {}}
        options = {**java_pool(str(self.light_java(java(), "java")), root, root / "launches.log"), **(pool or {})}
        if jar := os.environ.get("AGENT_JAR"):
            options["agent_jar"] = jar
        self.stack = Stack(
            root=root,
            controller_url=self.controller.url,
            pools={LABEL: options},
            ports=Ports(),
            overrides={"labels": [LABEL, "docker"], **(policy or {})},
            others={name: other.url for name, other in self.others.items()},
            controller_keys=others or {},
        )

    def _new_controller(self, home: str) -> Controller:
        (self.root / home).mkdir()
        war = Path(os.environ["JENKINS_WAR"])
        return Controller(self.root / home, java=java(), war=war, exploded=self.root.parent / "exploded-war")

    @property
    def controllers(self) -> dict[str, Controller]:
        """All of them by their names in the config."""
        return {CONTROLLER: self.controller, **self.others}

    def light_java(self, program: str, name: str) -> Path:
        """A java that starts fast, and keeps what an agent says for after its directory is gone."""
        script = self.root / f"light-{name}"
        wait = f'[ ! -e "{self.slow}" ] || sleep 8'
        asked = f'case "$*" in *-version) exec "{program}" -version;; esac'
        script.write_text(
            f'#!/bin/sh\n{asked}\n{wait}\nexec "{program}" {LIGHT} "$@" >>"{self.agent_logs}/$$.log" 2>&1\n'
        )
        script.chmod(0o700)
        return script

    def install(self) -> None:
        for name, controller in self.controllers.items():
            command = [sys.executable, "-m", "broker", "init", "jenkins", "--home", str(controller.home)]
            command += ["--broker", f"127.0.0.1:{self.stack.ports.grpc}"]
            command += ["--token-file", str(self.stack.token_file_of(name))]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr

    def uninstall(self) -> None:
        command = [sys.executable, "-m", "broker", "init", "jenkins", "--home", str(self.controller.home), "--remove"]
        subprocess.run(command, check=True, capture_output=True)

    def start(self) -> None:
        """Returns when Jenkins and broker know each other."""
        self.stack.start()
        self.install()
        self.controller.init("b_counters", COUNTERS)
        for controller in self.controllers.values():
            controller.start()
        self.stack.known_nodes = nodes_of(self.controller.url)
        for controller in self.controllers.values():
            wait_until_connected(controller)

    def wait_until_connected(self, times: int = 1) -> None:
        """Returns once the log of this boot tells of so many connects."""
        wait_until_connected(self.controller, times)

    def stop(self) -> None:
        for controller in self.controllers.values():
            controller.stop()
        self.stack.stop()
        end(marked_processes(self.stack.search.marker))

    def launched(self) -> list[str]:
        return self.stack.launched()

    def noted(self, what: str) -> list[str]:
        """Names that the listener of the test has noted: launch-failures or online."""
        file = self.root / what
        return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []

    def left_behind(self) -> LeftBehind:
        servers = {child.pid for child in self.stack.children}
        return self.stack.search.look(except_pids=servers)

    def wait_until_nothing_is_left(self, seconds: float = 60) -> None:
        try:
            wait_for("nothing is left", lambda: not self.left_behind(), seconds, every=0.5)
        except AssertionError as error:
            raise AssertionError(f"{self.left_behind()} left, nodes: {self.controller.nodes()}") from error

    def agent_texts(self) -> list[str]:
        """What each agent has said, one text an agent."""
        return [log.read_text() for log in self.agent_logs.glob("*.log")]

    def retries(self) -> list[str]:
        """Lines of agents' logs that tell of a connect that had to be repeated."""
        words = ("retry", "Failed to connect", "Handshake error", "reconnect rejected")
        lines = (line for text in self.agent_texts() for line in _until_connected(text))
        return [line for line in lines if any(word in line for word in words)]


def wait_until_connected(controller: Controller, times: int = 1) -> None:
    """Returns once the log of a controller's boot tells of so many connects."""
    wait_for("connected", lambda: controller.log().count("agentbroker: connected to") >= times, seconds=60)


def _until_connected(text: str) -> list[str]:
    lines = text.splitlines()
    connected = [number for number, line in enumerate(lines) if line.endswith(CONNECTED)]
    return lines[: connected[0]] if connected else lines


def our_names_in(rig: Rig) -> list[str]:
    """Files of the home, ours aside, that hold the name of one of our classes."""
    home = rig.controller.home
    classes = [file.stem.encode() for file in (home / "agentbroker/src").glob("*.groovy") if "Broker" in file.stem]
    classes += [b"NodeSync", b"TransientClouds", b"QueueWatch"]
    others = [path for path in home.rglob("*") if path.is_file() and "agentbroker" not in str(path.relative_to(home))]
    return [str(path) for path in others if any(name in _without_traces(path.read_bytes()) for name in classes)]


def _without_traces(saved: bytes) -> bytes:
    """A pipeline keeps the exception that ended a step, and with it, as text, the methods of whoever ended it."""
    return re.sub(rb"<trace>[^<]*</trace>", b"", saved)
