import hudson.model.Descriptor
import hudson.model.Label
import hudson.slaves.Cloud
import hudson.slaves.NodeProvisioner
import java.util.concurrent.CompletableFuture
import java.util.concurrent.atomic.AtomicLong

/** What Jenkins sees as the cloud. It is never saved: see TransientClouds. */
class BrokerCloud extends Cloud {
    private final Fleet fleet
    /** The waiting items to serve, while our own Strategy calls; nobody else gets nodes. */
    private final ThreadLocal<List> asked = new ThreadLocal<>()
    /** How often anybody has called provision(). */
    final AtomicLong provisionCalls = new AtomicLong()

    BrokerCloud(String name, Fleet fleet) {
        super(name)
        this.fleet = fleet
    }

    /** The truth always, with the broker away too: Jenkins forgets a label that nobody can provision. */
    @Override
    boolean canProvision(Cloud.CloudState state) {
        canProvision(state.label)
    }

    @Override
    boolean canProvision(Label label) {
        try {
            fleet.policyFor(label) != null
        } catch (Throwable failure) {
            Log.fine("canProvision failed: ${failure}")
            false
        }
    }

    @Override
    Collection<NodeProvisioner.PlannedNode> provision(Label label, int excess) {
        provision(new Cloud.CloudState(label, 0), excess)
    }

    /** Planned nodes that are complete at once, and whose names have been handed to the link: nothing here waits. */
    @Override
    Collection<NodeProvisioner.PlannedNode> provision(Cloud.CloudState state, int excess) {
        provisionCalls.incrementAndGet()
        List items = asked.get()
        Policy policy = items ? fleet.policyFor(state.label) : null
        if (policy == null) {
            return []
        }
        List<BrokerAgent> agents = items.take(excess).collect { fleet.plan(policy, it) }
        agents.collect { BrokerAgent agent ->
            new NodeProvisioner.PlannedNode(agent.nodeName, CompletableFuture.completedFuture(agent), policy.executors)
        }
    }

    /** For our Strategy: provision() with nodes for just these waiting items. */
    Collection<NodeProvisioner.PlannedNode> provisionFor(Label label, List items) {
        asked.set(items)
        try {
            provision(new Cloud.CloudState(label, 0), items.size())
        } finally {
            asked.remove()
        }
    }

    static class DescriptorImpl extends Descriptor<Cloud> {
        @Override
        String getDisplayName() {
            'agentbroker'
        }
    }
}
