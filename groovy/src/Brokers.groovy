import hudson.ExtensionList
import hudson.init.InitMilestone
import hudson.model.Descriptor
import hudson.model.DescriptorVisibilityFilter
import jenkins.model.Jenkins

/**
 * All brokers of this controller: a cloud for each properties file, with a fleet and a link of its own. What fails of one
 * is told in one line and concerns no other.
 */
class Brokers {
    /** Called by the init script, on a thread of its own. Returns when the links work by themselves. */
    static void start(File files) {
        Incumbent mark = Incumbent.claim(files)
        if (mark == null) {
            return
        }
        boolean installed = false
        try {
            List<AgentBroker> ready = read(files)
            if (ready) {
                waitForBoot()
                install()
                installed = true
                Sight.open(ready*.fleet)
                ready.eachWithIndex { broker, place ->
                    broker.fleet.neighbours = ready*.fleet - broker.fleet
                    alone(broker.settings) { broker.start(place) }
                }
            }
        } finally {
            if (!installed) {
                mark.giveUp()
            }
        }
    }

    /** Brokers whose settings can be used, in the order in which they are asked for agents. */
    private static List<AgentBroker> read(File files) {
        List<File> found = (files.listFiles() ?: []).findAll { it.name ==~ /agentbroker(-.+)?\.properties/ }
        if (!found) {
            throw new FileNotFoundException("${files}/agentbroker.properties is missing; run `agentbroker init jenkins`")
        }
        List<AgentBroker> ready = []
        found.sort { it.name - '.properties' }.each { File file ->
            alone(null, file.name) {
                Settings settings = Settings.read(file)
                ready.each { it.settings.checkNotSame(settings) }
                alone(settings) {
                    AgentBroker broker = new AgentBroker(settings)
                    broker.open()
                    ready << broker
                }
            }
        }
        ready
    }

    private static void alone(Settings settings, String file = settings.file, Closure work) {
        try {
            Log.speakingFor(settings?.cloud, work)
        } catch (Throwable failure) {
            Log.speakingFor(settings?.cloud) {
                String text = failure instanceof IllegalArgumentException ? failure.message : failure.toString()
                Log.warning("not started: ${file}: ${text}; Jenkins goes on without it")
            }
            Log.fine(file, failure)
        }
    }

    /** A save before Jenkins has loaded everything would lose what is not loaded yet. */
    private static void waitForBoot() {
        while (Jenkins.get().initLevel != InitMilestone.COMPLETED) {
            Thread.sleep(50)
        }
    }

    /** What all share: without a broker none of it does anything. */
    private static void install() {
        TransientClouds.install()
        ExtensionList.lookup(DescriptorVisibilityFilter).add(new NoNewCloud())
        ExtensionList.lookup(Descriptor).add(descriptorOf('BrokerCloud'))
        ExtensionList.lookup(Descriptor).add(descriptorOf('BrokerAgent'))
    }

    /** Groovy 2.4 does not resolve a nested class of another file. */
    private static Object descriptorOf(String name) {
        Brokers.classLoader.loadClass(name + '$DescriptorImpl').newInstance()
    }
}
