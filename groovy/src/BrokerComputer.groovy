import hudson.model.Executor
import hudson.security.ACL
import hudson.slaves.AbstractCloudComputer
import hudson.slaves.OfflineCause
import java.util.concurrent.Future
import jenkins.model.Jenkins
import jenkins.util.NonLocalizable

/** A node's living side. */
class BrokerComputer extends AbstractCloudComputer<BrokerAgent> {
    private volatile boolean starting

    BrokerComputer(BrokerAgent agent) {
        super(agent)
    }

    /** From launch() until it is online, unless the broker has no room for it: other clouds count by this. */
    @Override
    boolean isConnecting() {
        BrokerAgent agent = node
        super.isConnecting() || (starting && offline && agent != null && !agent.everOnline && !agent.gone && !agent.stalled)
    }

    /** While it starts, how far it is: the executors' widget and the queue's reasons show it. Nothing is known by this name. */
    @Override
    String getDisplayName() {
        try {
            BrokerAgent agent = node
            boolean live = agent != null && starting && offline && !agent.everOnline && !agent.gone
            return live ? "${name}: ${agent.progress}".toString() : super.displayName
        } catch (Throwable failure) {
            Log.fine("how far ${name} is cannot be said: ${failure}")
            return name
        }
    }

    /** Says why it is offline, in the broker's words; a cause of Jenkins' classes, so that it can be saved. */
    void explain() {
        BrokerAgent agent = node
        if (channel == null && agent?.why && offlineCauseReason != agent.why) {
            setOfflineCause(OfflineCause.create(new NonLocalizable(agent.why)))
        }
    }

    void launching() {
        starting = true
    }

    boolean isIdleTooLong() {
        idle && !node?.keepWarm && System.currentTimeMillis() - idleStartMilliseconds > (node?.idleTimeoutMs ?: Long.MAX_VALUE)
    }

    @Override
    Future disconnect(OfflineCause cause) {
        BrokerAgent agent = node
        boolean ours = agent != null && agent.gone && agent.why
        super.disconnect(ours ? OfflineCause.create(new NonLocalizable(agent.why)) : cause)
    }

    /** The build that it runs: its URL, or its name; empty when idle. */
    String getCurrentBuild() {
        Executor busy = executors.find { it.busy }
        def build = busy?.currentExecutable?.parentExecutable ?: busy?.currentExecutable
        build == null ? '' : (build.hasProperty('url') ? (Jenkins.get().rootUrl ?: '') + build.url : build.toString())
    }

    /** Called when the agent connects: Jenkins begins its log anew. */
    @Override
    OutputStream openLogFile() {
        Journal journal = node?.journal
        journal == null ? emptyLogFile() : (OutputStream) journal.reopen(listener.logger) { emptyLogFile() }
    }

    private OutputStream emptyLogFile() {
        super.openLogFile()
    }

    @Override
    ACL getACL() { // Groovy 2.4 does not see the default method of AccessControlled
        Jenkins.get().authorizationStrategy.getACL(this)
    }
}
