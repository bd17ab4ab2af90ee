"""A cloud without a broker, in the same controller: it starts the same agents itself, at once or when Jenkins asks."""

import os
from pathlib import Path
from typing import Final

from broker.demo.stack import RUN_MARK
from tests.jenkins.rig import LIGHT, Rig, java

BARE: Final = "bare"
"""Its strategy provisions at once what is missing, counted as clouds with such a strategy do; reviewed as ours is."""
DEFAULT: Final = "standard"
"""The same agents, asked for by Jenkins' own strategy."""

_SCRIPT: Final = """
import hudson.ExtensionList
import hudson.model.*
import hudson.slaves.*
import hudson.slaves.NodeProvisioner.StrategyDecision
import java.util.concurrent.CompletableFuture
import java.util.concurrent.TimeUnit
import jenkins.model.Jenkins

class BareNode extends AbstractCloudSlave implements EphemeralNode {
    volatile boolean used
    BareNode(String name, String label, ComputerLauncher launcher) {
        super(name, '%(root)s/' + name, launcher)
        labelString = label; numExecutors = 1; mode = Node.Mode.EXCLUSIVE; retentionStrategy = new BareRetention()
    }
    AbstractCloudComputer createComputer() { new BareComputer(this) }
    protected void _terminate(TaskListener listener) { BareLauncher.RUNNING.remove(name)?.destroyForcibly() }
    Node asNode() { this }
    static class DescriptorImpl extends Slave.SlaveDescriptor { String getDisplayName() { 'bare' } }
}
class BareComputer extends AbstractCloudComputer {
    BareComputer(AbstractCloudSlave node) { super(node) }
    hudson.security.ACL getACL() { Jenkins.get().authorizationStrategy.getACL(this) }
}
class BareRetention extends RetentionStrategy implements ExecutorListener {
    long check(Computer c) { 1 }
    void start(Computer c) { c.connect(false) }
    boolean isAcceptingTasks(Computer c) { c.node?.used != true }
    void taskAccepted(Executor e, Queue.Task t) { e.owner.node.used = true }
    void taskStarted(Executor e, Queue.Task t) {}
    void taskCompleted(Executor e, Queue.Task t, long ms) { end(e.owner.node) }
    void taskCompletedWithProblems(Executor e, Queue.Task t, long ms, Throwable p) { end(e.owner.node) }
    private void end(BareNode node) {
        Computer.threadPoolForRemoting.submit({
            node.terminate()
            BareWatch.review(Label.get(node.labelString))
        } as Runnable)
    }
    Descriptor getDescriptor() { Jenkins.get().getDescriptorOrDie(RetentionStrategy.Always) }
}
class BareLauncher extends JNLPLauncher {
    static final Map<String, Process> RUNNING = new java.util.concurrent.ConcurrentHashMap()
    boolean isLaunchSupported() { true }
    void launch(SlaveComputer computer, TaskListener listener) {
        if (computer.node == null || computer.node.used) { return } // it is being removed
        ProcessBuilder agent = new ProcessBuilder([%(java)s, '-jar', '%(jar)s', '-url', '%(url)s', '-webSocket',
            '-secret', computer.jnlpMac, '-name', computer.name, '-workDir', '%(root)s/' + computer.name])
            .redirectErrorStream(true).redirectOutput(new File('/dev/null'))
        agent.environment().put('%(mark)s', '%(run)s')
        RUNNING[computer.name] = agent.start()
        for (int i = 0; i < 6000 && computer.channel == null; i++) { Thread.sleep(20) }
    }
    Descriptor getDescriptor() { Jenkins.get().getDescriptorOrDie(JNLPLauncher) }
}
class BareCloud extends Cloud {
    BareCloud() { super('bare') }
    boolean canProvision(Cloud.CloudState s) { s.label?.name in ['%(bare)s', '%(standard)s'] }
    Collection provision(Cloud.CloudState state, int excess) {
        int there = Jenkins.get().nodes.count { it.labelString == state.label.name } + state.additionalPlannedCapacity
        int room = %(room)d - there
        (0..<Math.max(0, Math.min(room, excess))).collect {
            String name = "${state.label.name}-${UUID.randomUUID().toString().take(8)}"
            Node node = new BareNode(name, state.label.name, new BareLauncher())
            new NodeProvisioner.PlannedNode(name, CompletableFuture.completedFuture(node), 1)
        }
    }
    static class DescriptorImpl extends Descriptor<Cloud> { String getDisplayName() { 'bare' } }
}
class BareStrategy extends NodeProvisioner.Strategy {
    StrategyDecision apply(NodeProvisioner.StrategyState state) {
        if (state.label?.name != '%(bare)s') {
            return StrategyDecision.CONSULT_REMAINING_STRATEGIES
        }
        def seen = state.snapshot
        int planned = state.plannedCapacitySnapshot + state.additionalPlannedCapacity
        int missing = seen.queueLength - seen.availableExecutors - seen.connectingExecutors - planned
        if (missing > 0) {
            Cloud cloud = Jenkins.get().clouds.find { it.class.name == 'BareCloud' }
            Collection nodes = cloud.provision(new Cloud.CloudState(state.label, planned), missing)
            state.recordPendingLaunches(nodes)
            if (nodes) { BareWatch.review(state.label) } // which adds them
        }
        StrategyDecision.PROVISIONING_COMPLETED
    }
}
class BareWatch extends hudson.model.queue.QueueListener {
    void onEnterBuildable(Queue.BuildableItem item) { review(item.assignedLabel) }
    static void review(Label label) {
        if (label?.name == '%(bare)s') {
            Runnable look = { label.nodeProvisioner.suggestReviewNow() }
            jenkins.util.Timer.get().schedule(look, 250, TimeUnit.MILLISECONDS)
        }
    }
}
class BareFilter implements jenkins.security.CustomClassFilter {
    Boolean permits(Class type) { type.name.startsWith('Bare') ? true : null }
    Boolean permits(String name) { name.startsWith('Bare') ? true : null }
}
ExtensionList.lookup(jenkins.security.CustomClassFilter).add(new BareFilter())
ExtensionList.lookup(Descriptor).add(new BareCloud.DescriptorImpl())
ExtensionList.lookup(Descriptor).add(new BareNode.DescriptorImpl())
ExtensionList.lookup(NodeProvisioner.Strategy).add(new BareStrategy())
ExtensionList.lookup(hudson.model.queue.QueueListener).add(new BareWatch())
Jenkins.get().clouds.add(new BareCloud())
"""


def add_bare_cloud(rig: Rig, room: int) -> None:
    """Before the rig starts. `room` is how many of its nodes there may be at once, for each of the two labels."""
    words = ", ".join(f"'{word}'" for word in (java(), *LIGHT.split()))
    folder = Path(rig.root) / "bare"
    folder.mkdir()
    keys: dict[str, object] = {"root": folder, "java": words, "jar": os.environ["AGENT_JAR"]}
    keys |= {"url": rig.controller.url, "mark": RUN_MARK, "run": rig.stack.run_id}
    rig.controller.init("c_bare", _SCRIPT % (keys | {"bare": BARE, "standard": DEFAULT, "room": room}))
