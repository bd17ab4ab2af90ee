import hudson.model.Label
import hudson.model.Node
import hudson.model.Queue
import hudson.slaves.CloudProvisioningListener
import hudson.slaves.NodeProvisioner
import hudson.slaves.NodeProvisioner.Strategy
import hudson.slaves.NodeProvisioner.StrategyDecision
import hudson.slaves.NodeProvisioner.StrategyState
import jenkins.model.Jenkins

/**
 * Asks the broker for as many agents as builds would else wait for, at once and in one call.
 *
 * Reviews of two labels run at the same time, so the shortage is computed over the whole queue under one lock of ours.
 * Lock order: ours, then the queue's; whoever holds the queue's may not take ours.
 */
class BrokerStrategy extends Strategy {
    private final BrokerCloud cloud
    private final Fleet fleet
    private final Object lock = new Object()

    BrokerStrategy(BrokerCloud cloud, Fleet fleet) {
        this.cloud = cloud
        this.fleet = fleet
    }

    @Override
    StrategyDecision apply(StrategyState state) {
        try {
            if (fleet.policyFor(state.label) == null || !fleet.link.up) {
                return StrategyDecision.CONSULT_REMAINING_STRATEGIES
            }
            synchronized (lock) {
                return provision(state)
            }
        } catch (Throwable failure) {
            Log.warning('the review of a label failed', failure)
            return StrategyDecision.CONSULT_REMAINING_STRATEGIES
        }
    }

    private StrategyDecision provision(StrategyState state) {
        Label label = state.label
        List<Queue.BuildableItem> waiting = []
        List<BrokerAgent> agents = []
        Queue.withLock({
            waiting.addAll(fleet.waitingItems())
            agents.addAll(fleet.all())
        } as Runnable)
        Map places = fleet.places(agents) { true }
        List<Queue.BuildableItem> ours = waiting.findAll { it.assignedLabel == label }
        int missing = (shortage(waiting, places)[key(label)] ?: 0) - comingFromOthers(label)
        if (missing > 0 && fleet.policyFor(label).open && !blocked(label, missing)) {
            Collection planned = cloud.provisionFor(label, ours.takeRight(missing))
            state.recordPendingLaunches(planned)
            CloudProvisioningListener.all().each { it.onStarted(cloud, label, planned) }
            fleet.reviewSoon(label) // the nodes of planned nodes are added by the next review
            missing -= planned.size()
        }
        boolean covered = missing <= 0 && !reliesOnStalled(waiting, agents, label)
        covered ? StrategyDecision.PROVISIONING_COMPLETED : StrategyDecision.CONSULT_REMAINING_STRATEGIES
    }

    /** Executors of other clouds' nodes that are on their way, as every strategy counts them. */
    private static int comingFromOthers(Label label) {
        Collection<Node> nodes = label == null ? Jenkins.get().nodes.findAll { it.mode == Node.Mode.NORMAL } : label.nodes
        nodes.findAll { !(it instanceof BrokerAgent) && it.toComputer()?.connecting }.sum { it.numExecutors } ?: 0
    }

    /** Whether builds of this label wait for agents that the broker has no room for: others may serve them. */
    private boolean reliesOnStalled(List waiting, List<BrokerAgent> agents, Label label) {
        if (!agents.any { it.stalled }) {
            return false
        }
        Map places = fleet.places(fleet.all()) { BrokerAgent agent -> !agent.stalled }
        shortage(waiting, places).containsKey(key(label))
    }

    private Map shortage(List waiting, Map places) {
        Map<Object, Integer> byLabel = [:]
        Map<Object, Label> labels = [:]
        waiting.each {
            Object key = key(it.assignedLabel)
            byLabel[key] = (byLabel[key] ?: 0) + 1
            labels[key] = it.assignedLabel
        }
        Demand.shortage(byLabel, places) { key, kind -> Fleet.serves(kind, labels[key]) }
    }

    private static Object key(Label label) {
        label == null ? '' : label.name
    }

    private boolean blocked(Label label, int missing) {
        def state = new hudson.slaves.Cloud.CloudState(label, 0)
        CloudProvisioningListener.all().any { it.canProvision(cloud, state, missing) != null }
    }
}
