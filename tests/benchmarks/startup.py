"""How long a build waits for its agent on a real controller: with the broker, and with Jenkins' own strategy.

Beside them a bare agent without either, from its start to online. One build at a time, all on one controller.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from broker.demo.stack import RUN_MARK
from tests.benchmarks.figures import Benchmark, Figure, percentile
from tests.jenkins.controller import wait_for
from tests.jenkins.rig import LIGHT, Rig, java

_OURS: Final = 20
_OWN: Final = 3
_BARE: Final = 5
_WARM_S: Final = 115
"""Jenkins' own strategy sleeps for 100 s from boot (NodeProvisioner.initialDelay)."""

# A cloud without a strategy of its own, whose agents this controller starts itself, without a broker.
_PLAIN_CLOUD: Final = """
import hudson.ExtensionList
import hudson.model.*
import hudson.slaves.*
import java.util.concurrent.CompletableFuture
import jenkins.model.Jenkins

class OtherPlainNode extends AbstractCloudSlave implements EphemeralNode {
    OtherPlainNode(String name) {
        super(name, '%(root)s/' + name, new OtherPlainLauncher()); labelString = 'plain'; numExecutors = 1
        retentionStrategy = new CloudRetentionStrategy(1)
    }
    AbstractCloudComputer createComputer() { new OtherPlainComputer(this) }
    protected void _terminate(TaskListener listener) { OtherPlainLauncher.RUNNING.remove(name)?.destroyForcibly() }
    Node asNode() { this }
    static class DescriptorImpl extends Slave.SlaveDescriptor { String getDisplayName() { 'plain' } }
}
class OtherPlainComputer extends AbstractCloudComputer {
    OtherPlainComputer(AbstractCloudSlave node) { super(node) }
    hudson.security.ACL getACL() { Jenkins.get().authorizationStrategy.getACL(this) }
}
class OtherPlainLauncher extends JNLPLauncher {
    static final Map<String, Process> RUNNING = new java.util.concurrent.ConcurrentHashMap()
    boolean isLaunchSupported() { true }
    void launch(SlaveComputer computer, TaskListener listener) {
        ProcessBuilder agent = new ProcessBuilder([%(java)s, '-jar', '%(jar)s', '-url', '%(url)s', '-webSocket',
            '-secret', computer.jnlpMac, '-name', computer.name, '-workDir', '%(root)s/' + computer.name])
            .redirectErrorStream(true).redirectOutput(new File('/dev/null'))
        agent.environment().put('%(mark)s', '%(run)s')
        RUNNING[computer.name] = agent.start()
        for (int i = 0; i < 600 && computer.channel == null; i++) { Thread.sleep(50) }
    }
    Descriptor getDescriptor() { Jenkins.get().getDescriptorOrDie(JNLPLauncher) }
}
class OtherPlainCloud extends Cloud {
    OtherPlainCloud() { super('plain') }
    boolean canProvision(Cloud.CloudState s) { s.label?.name == 'plain' }
    Collection provision(Cloud.CloudState state, int excess) {
        (0..<excess).collect {
            String name = "plain-${UUID.randomUUID().toString().take(8)}"
            new NodeProvisioner.PlannedNode(name, CompletableFuture.completedFuture(new OtherPlainNode(name)), 1)
        }
    }
    static class DescriptorImpl extends Descriptor<Cloud> { String getDisplayName() { 'plain' } }
}
class OtherPlainFilter implements jenkins.security.CustomClassFilter {
    Boolean permits(Class type) { type.name.startsWith('OtherPlain') ? true : null }
    Boolean permits(String name) { name.startsWith('OtherPlain') ? true : null }
}
ExtensionList.lookup(jenkins.security.CustomClassFilter).add(new OtherPlainFilter())
ExtensionList.lookup(Descriptor).add(new OtherPlainCloud.DescriptorImpl())
ExtensionList.lookup(Descriptor).add(new OtherPlainNode.DescriptorImpl())
Jenkins.get().clouds.add(new OtherPlainCloud())
"""


async def _run() -> Mapping[str, Figure]:
    if "JENKINS_WAR" not in os.environ or "AGENT_JAR" not in os.environ:
        print("startup needs a real controller: name JENKINS_WAR, AGENT_JAR and AGENT_JAVA", file=sys.stderr)
        return {}
    return await asyncio.to_thread(_measure)


def _measure() -> Mapping[str, Figure]:
    with tempfile.TemporaryDirectory(prefix="agentbroker-startup-") as folder:
        root = Path(folder) / "run"
        root.mkdir()
        rig = Rig(root)
        words = ", ".join(f"'{word}'" for word in (java(), *LIGHT.split()))
        script = {"root": root, "java": words, "jar": os.environ["AGENT_JAR"], "url": rig.controller.url}
        script |= {"mark": RUN_MARK, "run": rig.stack.run_id}
        rig.controller.init("c_plain", _PLAIN_CLOUD % script)
        try:
            rig.start()
            booted = time.monotonic()
            ours = [_queue_to_online(rig, "ours", "linux", n) for n in range(1, _OURS + 1)]
            bare = [_bare_start(rig, n) for n in range(1, _BARE + 1)]
            time.sleep(max(0.0, _WARM_S - (time.monotonic() - booted)))
            own = [_queue_to_online(rig, "own", "plain", n) for n in range(1, _OWN + 1)]
        finally:
            rig.stop()
    how = f"Jenkins {os.environ['JENKINS_WAR'].rpartition('/')[2]}, one build at a time, WebSocket"
    return {
        **_figures("queue_to_online", ours, "2.0 to 3.7 s was seen for a no-delay strategy", f"{how}; with the broker"),
        **_figures("own_strategy", own, "-", f"{how}; Jenkins' own strategy, warm, agents started by the controller"),
        **_figures("bare_agent", bare, "-", f"{how}; from the start of agent.jar to online, its node there already"),
    }


def _figures(name: str, seconds: list[float], target: str, how: str) -> dict[str, Figure]:
    told = f"{how}; n={len(seconds)}, {min(seconds):.2f} to {max(seconds):.2f} s"
    return {
        f"{name}_p{p}_s": Figure(value=round(percentile(seconds, p), 3), unit="s", target=target, how=told)
        for p in (50, 95)
    }


def _queue_to_online(rig: Rig, job: str, label: str, number: int) -> float:
    if number == 1:
        rig.controller.create_job(job, label, "true")
    asked = time.time()
    rig.controller.build(job)
    done = rig.controller.finished(job, number, seconds=180)[-1]
    assert done["result"] == "SUCCESS", done
    if job == "own":
        rig.controller.script("def j = jenkins.model.Jenkins.get(); j.nodes.each { it.terminate() }")
    wait_for("no node is left", lambda: not rig.controller.nodes(), seconds=180)
    return _online_at(rig, done["builtOn"]) / 1000 - asked


def _bare_start(rig: Rig, number: int) -> float:
    name = f"bare-{number}"
    secret = rig.controller.add_static_node(name, "bare")
    began = time.time()
    command = [java(), *LIGHT.split(), "-jar", os.environ["AGENT_JAR"], "-url", rig.controller.url, "-webSocket"]
    command += ["-secret", secret, "-name", name, "-workDir", str(rig.root / name)]
    agent = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"{name} is online", lambda: name in rig.noted("online"), seconds=60, every=0.05)
    finally:
        agent.kill()
        agent.wait()
    rig.controller.script(f"def j = jenkins.model.Jenkins.get(); j.removeNode(j.getNode('{name}'))")
    return _online_at(rig, name) / 1000 - began


def _online_at(rig: Rig, name: str) -> int:
    lines = (rig.root / "online").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.split()[0] == name))


STARTUP = Benchmark(
    name="startup",
    summary="from queue to online on a real controller, beside Jenkins' own strategy and a bare agent",
    run=_run,
)
