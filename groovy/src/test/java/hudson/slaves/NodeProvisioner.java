package hudson.slaves;

import hudson.ExtensionList;
import hudson.ExtensionPoint;
import hudson.model.Computer;
import hudson.model.Label;
import hudson.model.Node;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import jenkins.model.Jenkins;
import jenkins.util.Timer;

/** Reviews as core's: at most one a second, nodes of complete plans are added by the next review. */
public class NodeProvisioner {
    private final Label label;
    private final List<PlannedNode> pending = new CopyOnWriteArrayList<>();
    private final Lock provisioningLock = new ReentrantLock();
    private volatile long lastReview;
    private volatile boolean queuedReview;

    @io.agentbroker.testing.DoubleOnly
    public NodeProvisioner(Label label) {
        this.label = label;
    }

    public void suggestReviewNow() {
        if (queuedReview) {
            return;
        }
        long delay = Math.max(0, 1000 - (System.currentTimeMillis() - lastReview));
        queuedReview = true;
        Timer.get().schedule(this::update, delay, TimeUnit.MILLISECONDS);
    }

    /** A review now; tells what it cost (ns of CPU). */
    @io.agentbroker.testing.DoubleOnly
    public long review() {
        java.lang.management.ThreadMXBean threads = java.lang.management.ManagementFactory.getThreadMXBean();
        long start = threads.getCurrentThreadCpuTime();
        update();
        return threads.getCurrentThreadCpuTime() - start;
    }

    private void update() {
        provisioningLock.lock();
        try {
            lastReview = System.currentTimeMillis();
            queuedReview = false;
            for (PlannedNode planned : pending) {
                Jenkins.get().addNode(planned.future.get());
                pending.remove(planned);
            }
            if (waiting() > available()) {
                for (Strategy strategy : ExtensionList.lookup(Strategy.class)) {
                    if (strategy.apply(new StrategyState()) == StrategyDecision.PROVISIONING_COMPLETED) {
                        break;
                    }
                }
            }
        } catch (Exception error) {
            throw new IllegalStateException(error);
        } finally {
            provisioningLock.unlock();
        }
    }

    private long waiting() {
        return Jenkins.get().getQueue().getBuildableItems().stream()
                .filter(item -> Objects.equals(item.getAssignedLabel(), label)).count();
    }

    private long available() {
        return Jenkins.get().getNodes().stream()
                .filter(node -> label == null || label.matches(node.getAssignedLabels()))
                .map(Node::toComputer)
                .filter(computer -> computer != null && computer.isOnline() && computer.isAcceptingTasks())
                .mapToInt(Computer::countIdle).sum();
    }

    public static class PlannedNode {
        public final String displayName;
        public final int numExecutors;
        public final Future<Node> future;

        public PlannedNode(String displayName, Future<Node> future, int numExecutors) {
            this.displayName = displayName;
            this.future = future;
            this.numExecutors = numExecutors;
        }
    }

    public enum StrategyDecision { CONSULT_REMAINING_STRATEGIES, PROVISIONING_COMPLETED }

    public abstract static class Strategy implements ExtensionPoint {
        public abstract StrategyDecision apply(StrategyState state);
    }

    public final class StrategyState {
        private StrategyState() {}

        public Label getLabel() {
            return label;
        }

        public void recordPendingLaunches(PlannedNode... plannedNodes) {
            recordPendingLaunches(Arrays.asList(plannedNodes));
        }

        public void recordPendingLaunches(Collection<PlannedNode> plannedNodes) {
            pending.addAll(plannedNodes);
        }
    }
}
