import hudson.model.Label
import hudson.model.Queue
import hudson.slaves.CloudProvisioningListener
import hudson.slaves.NodeProvisioner
import hudson.slaves.NodeProvisioner.Strategy
import hudson.slaves.NodeProvisioner.StrategyDecision
import hudson.slaves.NodeProvisioner.StrategyState
import java.util.concurrent.atomic.AtomicLong
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
    /** How often a label has been reviewed, how long that took in all, and the last one alone (ns). */
    final AtomicLong reviews = new AtomicLong()
    final AtomicLong reviewNanos = new AtomicLong()
    volatile long lastReviewNanos

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
            synchronized (Fleet.PLANNING) {
                return measured { provision(state) }
            }
        } catch (Throwable failure) {
            Log.warning('the review of a label failed', failure)
            return StrategyDecision.CONSULT_REMAINING_STRATEGIES
        }
    }

    private StrategyDecision measured(Closure<StrategyDecision> review) {
        long start = System.nanoTime()
        try {
            return review.call()
        } finally {
            lastReviewNanos = System.nanoTime() - start
            reviewNanos.addAndGet(lastReviewNanos)
            reviews.incrementAndGet()
        }
    }

    private StrategyDecision provision(StrategyState state) {
        Label label = state.label
        List<Queue.BuildableItem> items = []
        List<BrokerAgent> agents = []
        Queue.withLock({ // a copy and no more: all of Jenkins waits meanwhile
            items.addAll(Backlog.waiting(Jenkins.get().queue.buildableItems))
            agents.addAll(fleet.all())
        } as Runnable)
        Backlog waiting = fleet.backlogOf(items)
        Object key = Fleet.key(label)
        int missing = fleet.shortage(waiting, agents, label)
        Policy policy = fleet.policyFor(label)
        List<Queue.BuildableItem> unserved = missing > 0 ? inOrder(waiting.startable(key), agents, policy).takeRight(missing) : []
        if (unserved && policy?.isOpenFor(label) && !blocked(label, missing)) {
            Collection planned = cloud.provisionFor(label, unserved)
            state.recordPendingLaunches(planned)
            CloudProvisioningListener.all().each { announce(it, label, planned) }
            fleet.reviewSoon(label) // the nodes of planned nodes are added by the next review
            missing -= planned.sum { it.numExecutors } ?: 0
        }
        boolean covered = missing <= 0 && !reliesOnStalled(waiting, agents, label)
        covered ? StrategyDecision.PROVISIONING_COMPLETED : StrategyDecision.CONSULT_REMAINING_STRATEGIES
    }

    /** Where agents are bound to jobs, those that have none of their own come last: they are the ones to ask for. */
    private static List<Queue.BuildableItem> inOrder(List<Queue.BuildableItem> items, List<BrokerAgent> agents, Policy policy) {
        if (!policy?.boundToJobs) {
            return items
        }
        Set<Long> named = agents.findAll { it.places > 0 }*.itemId as Set
        items.findAll { named.contains(it.id) } + items.findAll { !named.contains(it.id) }
    }

    /** A listener that fails is not ours: the nodes are planned all the same. */
    private void announce(CloudProvisioningListener listener, Label label, Collection planned) {
        try {
            listener.onStarted(cloud, label, planned)
        } catch (Throwable failure) {
            Log.warning("${listener.class.name} failed when it was told of planned nodes", failure)
        }
    }

    /** Whether builds of this label wait for agents that the broker has no room for: others may serve them. */
    private boolean reliesOnStalled(Backlog waiting, List<BrokerAgent> agents, Label label) {
        agents.any { it.stalled } && fleet.shortage(waiting, agents.findAll { !it.stalled }, label) > 0
    }

    private boolean blocked(Label label, int missing) {
        def state = new hudson.slaves.Cloud.CloudState(label, 0)
        CloudProvisioningListener.all().any { it.canProvision(cloud, state, missing) != null }
    }
}
