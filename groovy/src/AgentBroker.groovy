import hudson.ExtensionList
import hudson.init.InitMilestone
import hudson.model.Descriptor
import hudson.model.queue.QueueListener
import hudson.slaves.ComputerListener
import hudson.slaves.NodeProvisioner
import jenkins.model.Jenkins
import jenkins.model.NodeListener

/** Puts the parts together and into Jenkins. */
class AgentBroker {
    final Settings settings
    final Fleet fleet = new Fleet()
    final BrokerLink link
    final NodeSync sync
    final BrokerCloud cloud

    private AgentBroker(Settings settings) {
        this.settings = settings
        cloud = new BrokerCloud(settings.cloud, fleet)
        link = new BrokerLink(settings, fleet)
        sync = new NodeSync(fleet, link)
        fleet.link = link
        link.sync = sync
        link.afterSync = { register() }
    }

    /** Called once per boot, on a thread of its own. Returns when the link works by itself. */
    static void start(File files) {
        if (ExtensionList.lookup(QueueListener).any { it.class.name == 'QueueWatch' }) {
            Log.info('runs already; restart Jenkins to load its files anew')
            return
        }
        AgentBroker broker = new AgentBroker(Settings.read(new File(files, 'agentbroker.properties')))
        waitForBoot()
        broker.listen()
        broker.fleet.buildLog = new BuildLog([broker.fleet])
        broker.fleet.buildLog.start()
        broker.link.start()
    }

    /** A save before Jenkins has loaded everything would lose what is not loaded yet. */
    private static void waitForBoot() {
        while (Jenkins.get().initLevel != InitMilestone.COMPLETED) {
            Thread.sleep(50)
        }
    }

    /** All but the cloud: without a broker none of it does anything. */
    private void listen() {
        TransientClouds.install()
        ExtensionList.lookup(Descriptor).add(descriptorOf('BrokerCloud'))
        ExtensionList.lookup(Descriptor).add(descriptorOf('BrokerAgent'))
        ExtensionList.lookup(QueueListener).add(new QueueWatch(fleet))
        ExtensionList.lookup(ComputerListener).add(new ComputerWatch(fleet))
        ExtensionList.lookup(NodeListener).add(new NodeWatch(fleet))
        ExtensionList strategies = ExtensionList.lookup(NodeProvisioner.Strategy)
        strategies.size() // a list that was never loaded ignores refresh()
        strategies.refresh(new FirstOf(NodeProvisioner.Strategy, new BrokerStrategy(cloud, fleet), 1000d))
    }

    /** After each sync, so not before the first: puts the cloud in, and in again when somebody has taken it out. */
    private void register() {
        if (!Jenkins.get().clouds.any { it.is(cloud) }) {
            Jenkins.get().clouds.add(cloud)
            fleet.reviewAll()
        }
    }

    /** Groovy 2.4 does not resolve a nested class of another file. */
    private static Object descriptorOf(String name) {
        AgentBroker.classLoader.loadClass(name + '$DescriptorImpl').newInstance()
    }
}
