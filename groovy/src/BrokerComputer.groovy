import groovy.transform.CompileStatic
import hudson.model.Executor
import hudson.remoting.Channel
import hudson.security.ACL
import hudson.slaves.AbstractCloudComputer
import hudson.slaves.OfflineCause
import java.util.concurrent.Future
import java.util.concurrent.TimeUnit
import jenkins.model.Jenkins
import jenkins.util.NonLocalizable
import org.kohsuke.stapler.HttpResponses
import org.kohsuke.stapler.Stapler
import org.kohsuke.stapler.StaplerRequest2
import org.kohsuke.stapler.StaplerResponse2
import org.kohsuke.stapler.WebMethod
import org.kohsuke.stapler.verb.POST

/** A node's living side. */
class BrokerComputer extends AbstractCloudComputer<BrokerAgent> {
    private static final long HANG_UP_S = 5
    /** Twice as long as Jenkins takes at the most to look which builds an executor could run. */
    private static final long FIRST_BUILD_MS = 10_000

    private volatile boolean starting
    /** Why its last connection was of no use to Jenkins, which says so in the node's log alone; empty once one was. */
    private volatile String unusable = ''
    /** What the broker has said last of why it is offline. */
    private volatile OfflineCause told

    BrokerComputer(BrokerAgent agent) {
        super(agent)
    }

    /** From launch() until it is online, unless the broker has no room for it: other clouds count by this. */
    @Override
    boolean isConnecting() {
        BrokerAgent agent = node
        super.isConnecting() || (starting && offline && agent != null && !agent.everOnline && !agent.gone && !agent.stalled)
    }

    /** While it starts, how far it is: the executors' widget and the queue's reasons show it. Programs get the name alone. */
    @Override
    String getDisplayName() {
        try {
            BrokerAgent agent = node
            boolean live = agent != null && starting && offline && !agent.everOnline && !agent.gone
            return live && !answersProgram ? "${name}: ${agent.progress}".toString() : super.displayName
        } catch (Throwable failure) {
            Log.fine("how far ${name} is cannot be said: ${failure}")
            return name
        }
    }

    private static boolean isAnswersProgram() {
        String asked = Stapler.currentRequest2?.requestURI ?: ''
        asked.contains('/computer/') && asked.contains('/api/')
    }

    /** Says why it is offline, in the broker's words unless a person has; a cause of Jenkins' classes: it can be saved. */
    void explain() {
        BrokerAgent agent = node
        if (channel == null && !saidByPerson && agent?.why && offlineCauseReason != agent.why) {
            told = OfflineCause.create(new NonLocalizable(agent.why))
            setOfflineCause(told)
        }
    }

    /** Why it is offline, for the broker, which knows its own words; empty while it is online. */
    String getSaidByJenkins() {
        OfflineCause ours = told
        online ? '' : unusable ?: Words.line(ours != null && ours.is(getOfflineCause()) ? '' : offlineCauseReason)
    }

    private boolean isSaidByPerson() {
        offlineCause instanceof OfflineCause.UserCause || offlineCause instanceof OfflineCause.ByCLI
    }

    void launching() {
        starting = true
    }

    /** Whether nobody has needed it for long. True at one moment only if it took no build until then. */
    boolean isIdleTooLong() {
        BrokerAgent agent = node
        agent != null && idle && online && !agent.keepWarm && msOfIdleTimeLeft() <= 0
    }

    /**
     * Idle time counts from when it could take a build: an agent may start for longer than it may be idle. A new one is
     * given the time to be given its build, however short its idle time is.
     */
    long msOfIdleTimeLeft() {
        BrokerAgent agent = node
        long since = Math.max(idleStartMilliseconds, agent?.availableSince ?: 0L)
        long most = agent?.idleTimeoutMs ?: Long.MAX_VALUE / 2
        since + (agent?.uses?.get() == 0 ? Math.max(most, FIRST_BUILD_MS) : most) - System.currentTimeMillis()
    }

    @Override
    @CompileStatic
    void setChannel(Channel channel, OutputStream launchLog, Channel.Listener listener) {
        try {
            super.setChannel(channel, launchLog, listener)
            unusable = ''
        } catch (Throwable failure) {
            unusable = Words.ofCause(failure) ?: unusable
            throw failure
        }
    }

    @Override
    Future disconnect(OfflineCause cause) {
        BrokerAgent agent = node
        boolean ours = agent != null && agent.gone && agent.why
        super.disconnect(ours ? OfflineCause.create(new NonLocalizable(agent.why)) : cause)
    }

    /** Ends the connection, and returns when it has ended: at most some seconds. */
    void hangUp() {
        try {
            disconnect(offlineCause)?.get(HANG_UP_S, TimeUnit.SECONDS)
        } catch (Exception failure) {
            Log.fine("${name} was not disconnected in time: ${failure}")
        }
    }

    /** The build that it runs: its URL, or its name; empty when idle. */
    String getCurrentBuild() {
        Executor busy = allExecutors.find { it.busy }
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

    /** Settings are the broker's: whatever form is sent, nothing changes. */
    @Override
    @POST
    void doConfigSubmit(StaplerRequest2 request, StaplerResponse2 response) {
        checkPermission(CONFIGURE)
        node?.keepsName(request.getParameter('name'))
        response.sendRedirect2('.')
    }

    /** Read: a static node of Jenkins' own with the same settings, for ours cannot be written. Write: refused. */
    @Override
    @WebMethod(name = 'config.xml')
    void doConfigDotXml(StaplerRequest2 request, StaplerResponse2 response) {
        if (request.method != 'GET') {
            checkPermission(CONFIGURE)
            throw HttpResponses.errorWithoutStack(400, "${name} is configured in broker.yaml of the broker; nothing has changed".toString())
        }
        checkPermission(EXTENDED_READ)
        BrokerAgent agent = node
        if (agent == null) {
            throw HttpResponses.notFound()
        }
        response.contentType = 'application/xml'
        Jenkins.XSTREAM2.toXMLUTF8(agent.likeness(), response.outputStream)
    }

    @Override
    ACL getACL() { // Groovy 2.4 does not see the default method of AccessControlled
        Jenkins.get().authorizationStrategy.getACL(this)
    }
}
