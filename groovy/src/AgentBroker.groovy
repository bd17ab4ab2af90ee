import hudson.ExtensionList
import hudson.model.queue.QueueListener
import hudson.slaves.ComputerListener
import hudson.slaves.NodeProvisioner
import jenkins.model.Jenkins
import jenkins.model.NodeListener

/** Puts the parts of one broker together and into Jenkins. */
class AgentBroker {
    /** Before the strategies of all plugins known. */
    private static final double ORDINAL = 1000d

    final Settings settings
    final Fleet fleet = new Fleet()
    final BrokerLink link
    final NodeSync sync
    final BrokerCloud cloud
    /** Where the cloud was in Jenkins' list when it was last seen there; last of all after a boot. */
    private int place = Integer.MAX_VALUE

    AgentBroker(Settings settings) {
        this.settings = settings
        cloud = new BrokerCloud(settings.cloud, fleet)
        link = new BrokerLink(settings, fleet)
        sync = new NodeSync(fleet, link)
        fleet.link = link
        link.sync = sync
        link.afterSync = { register() }
    }

    /** Throws what is wrong with its settings; Jenkins has nothing of it yet. */
    void open() {
        link.open()
    }

    /** Returns when the link works by itself. `place`: 0 for the one that is asked for agents first, then 1, 2 … */
    void start(int place) {
        listen(ORDINAL - place)
        link.start()
    }

    /** All but the cloud: without a broker none of it does anything. */
    private void listen(double ordinal) {
        ExtensionList.lookup(QueueListener).add(new QueueWatch(fleet))
        ExtensionList.lookup(ComputerListener).add(new ComputerWatch(fleet))
        ExtensionList.lookup(NodeListener).add(new NodeWatch(fleet))
        ExtensionList.lookup(hudson.model.listeners.RunListener).add(new BuildWatch())
        ExtensionList strategies = ExtensionList.lookup(NodeProvisioner.Strategy)
        strategies.size() // a list that was never loaded ignores refresh()
        strategies.refresh(new FirstOf(NodeProvisioner.Strategy, new BrokerStrategy(cloud, fleet), ordinal))
    }

    /** After each sync, so not before the first: puts the cloud in, and in again when somebody has taken it out. */
    private void register() {
        List clouds = new ArrayList(Jenkins.get().clouds.toList())
        int now = clouds.findIndexOf { it.is(cloud) }
        if (now >= 0) {
            place = now
            return
        }
        if (place < clouds.size()) {
            clouds.add(place, cloud)
            Jenkins.get().clouds.replaceBy(clouds)
        } else {
            Jenkins.get().clouds.add(cloud)
        }
        fleet.reviewAll()
    }
}
