import hudson.model.Descriptor
import hudson.model.Failure
import hudson.model.Label
import hudson.model.User
import hudson.slaves.Cloud
import hudson.slaves.NodeProvisioner
import java.util.concurrent.CompletableFuture
import java.util.concurrent.atomic.AtomicLong
import net.sf.json.JSONObject
import org.kohsuke.stapler.HttpResponse
import org.kohsuke.stapler.HttpResponses
import org.kohsuke.stapler.StaplerRequest2
import org.kohsuke.stapler.interceptor.RequirePOST

/** What Jenkins sees as the cloud. It is never saved: see TransientClouds. */
class BrokerCloud extends Cloud {
    private final Fleet fleet
    private FleetGlance glance
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
        int places = policy.places
        List<BrokerAgent> agents = items.take(excess).collate(places).collect { fleet.plan(policy, it[0]) }
        agents.collect { BrokerAgent agent ->
            new NodeProvisioner.PlannedNode(agent.nodeName, CompletableFuture.completedFuture(agent), places)
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

    /** For the views: what is shown now. Whoever may look at Jenkins' clouds, may: Jenkins sees to that. */
    CloudPage getPage() {
        synchronized (asked) {
            glance = glance ?: new FleetGlance(fleet.link)
        }
        new CloudPage(this, fleet, glance)
    }

    /** *Launch an agent*, for whoever may provision. */
    @RequirePOST
    HttpResponse doLaunch(StaplerRequest2 request) {
        getACL().checkPermission(Cloud.PROVISION)
        Policy policy = fleet.policyNamed(request.getParameter('policy') ?: '')
        if (policy == null) {
            throw new Failure('There is no such policy (any more): go back and load the page again.')
        }
        if (!fleet.link.up) {
            throw new Failure("Nothing can be launched now: ${fleet.link.trouble ?: 'the broker has not answered yet'}".toString())
        }
        String user = User.current()?.id ?: ''
        BrokerAgent agent = fleet.launch(policy, user)
        Log.info("${agent.nodeName} is launched by ${user ?: 'an anonymous visitor'}, policy ${policy.name}")
        HttpResponses.redirectTo('.')
    }

    @Override
    String getIconClassName() {
        'symbol-cloud'
    }

    /** What a screen reader and a mouse that rests on the icon say. */
    @Override
    String getIconAltText() {
        int starting = CloudPage.starting(fleet).size()
        "${fleet.link.up ? 'connected' : 'not connected'}, ${starting} ${starting == 1 ? 'agent' : 'agents'} starting"
    }

    /** Settings are the broker's: saving the form changes nothing. */
    @Override
    Cloud reconfigure(StaplerRequest2 request, JSONObject form) {
        this
    }

    /** One of Cloud, for Jenkins' page of clouds shows none where it knows no kind of cloud; see NoNewCloud. */
    static class DescriptorImpl extends Descriptor<Cloud> {
        @Override
        String getDisplayName() {
            'agentbroker'
        }

        @Override
        Cloud newInstance(StaplerRequest2 request, JSONObject form) {
            throw new Failure('a broker is connected by its agentbroker.properties: run `agentbroker init jenkins`')
        }
    }
}
