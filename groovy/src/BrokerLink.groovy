import io.agentbroker.client.AgentWatch
import io.agentbroker.client.BrokerClient
import io.agentbroker.client.BrokerException
import java.util.concurrent.Executors
import java.util.concurrent.RejectedExecutionException
import java.util.concurrent.ScheduledExecutorService
import java.util.concurrent.ThreadFactory
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicBoolean
import jenkins.model.Jenkins

/**
 * The connection to the broker. All calls are made by one worker thread, in order; everybody else only leaves names in
 * the outbox. What is unanswered is repeated until it is answered: all calls are idempotent.
 */
class BrokerLink {
    private static final long DEADLINE_MS = 5_000
    /** Agents wait at the gateway for 25 s: a broker that is back within half a minute is to be found within a second. */
    private static final List<Integer> PAUSES_S = [1] * 30 + [2] * 15 + [5] * 12 + [10]
    /** Until a broker is asked again that does not speak our version: other files need a restart of Jenkins or of it. */
    private static final int OTHER_VERSION_S = 60

    /** Policies that change at each look are not asked for at each look. */
    private static final long GREET_NS = 1_000_000_000L

    final String bootId = UUID.randomUUID().toString()
    NodeSync sync
    Closure afterSync
    final EventStream events
    final Connection connection
    /** Whether the broker answered the last call. */
    volatile boolean up
    private final Settings settings
    private final Fleet fleet
    private final ScheduledExecutorService worker
    private final Outbox outbox = new Outbox()
    private final AtomicBoolean flushing = new AtomicBoolean()
    private final AtomicBoolean syncing = new AtomicBoolean()
    private BrokerClient client
    private int failures
    private boolean failing
    private boolean refused
    private String revision
    /** What the broker knows of our port for agents. */
    private Map portTold = [:]
    private long greeted
    private final Remarks remarks = new Remarks()
    private double intervalS = 5
    private long nextSync
    /** Counts the connects: a chain of ticks ends with the connection that it began with. */
    private int connects

    BrokerLink(Settings settings, Fleet fleet) {
        this.settings = settings
        this.fleet = fleet
        connection = new Connection(settings)
        events = new EventStream(fleet, this)
        worker = Executors.newSingleThreadScheduledExecutor({ Runnable work ->
            thread('', work)
        } as ThreadFactory)
    }

    /** A thread of this link, whose lines in the log are about its cloud; not started yet. */
    Thread thread(String suffix, Runnable work) {
        String name = settings.cloud == 'agentbroker' ? 'agentbroker' : "agentbroker-${settings.cloud}".toString()
        Thread thread = new Thread({ Log.speakingFor(settings.cloud) { work.run() } } as Runnable, name + suffix)
        thread.daemon = true
        thread
    }

    /** Throws what is wrong with the settings, or a file that they name; nothing is sent. */
    void open() {
        client = client ?: BrokerClient.connect(settings.broker, settings.tls, settings.caFile, settings.certFile, settings.keyFile,
                settings.tokenFile, DEADLINE_MS)
    }

    void start() {
        later(0) { connect() }
    }

    /** Asks for an agent, from the worker thread, soon. */
    void request(String name, Map what) {
        outbox.request(name, what)
        flushSoon()
    }

    /** Tells the end of an agent, from the worker thread, soon. */
    void release(String name, Map what) {
        outbox.release(name, what)
        flushSoon()
    }

    /** Tells the end of an agent that the broker does not know of, unless that is on its way. */
    void releaseAgain(String name, Map what) {
        outbox.releaseAgain(name, what)
        flushSoon()
    }

    void forgetRequest(String name) {
        outbox.forgetRequest(name)
    }

    boolean isUnanswered(String name) {
        outbox.isUnanswered(name)
    }

    /** A sync in 50 ms; many calls are one. */
    void syncSoon() {
        if (up && syncing.compareAndSet(false, true)) {
            later(50) {
                syncing.set(false)
                exchange { synchronise() }
            }
        }
    }

    /** For the thread that reads it. */
    AgentWatch watch(long after) {
        client.watchAgents(bootId, after)
    }

    /** Pools, policies and failures, for a page that waits for it. Any thread; throws what went wrong. */
    Map describeFleet(long deadlineMs) {
        client.describeFleet(deadlineMs)
    }

    /** Why there is no connection, in a line; empty while there is one. */
    String getTrouble() {
        connection.trouble
    }

    void removeNode(BrokerAgent agent) {
        later(0) { Jenkins.get().removeNode(agent) }
    }

    private void flushSoon() {
        if (up && flushing.compareAndSet(false, true)) {
            later(0) {
                flushing.set(false)
                exchange { outbox.empty(client, bootId, sync) }
            }
        }
    }

    /** On the worker thread, which sees all of Jenkins. */
    void later(long ms, Closure work) {
        try {
            schedule(ms, work)
        } catch (RejectedExecutionException ignored) {
            Log.fine('Jenkins ends: nothing is done any more')
        }
    }

    private void schedule(long ms, Closure work) {
        worker.schedule({
            try {
                if (Jenkins.instanceOrNull?.terminating != false) {
                    events.stop()
                    worker.shutdownNow() // the broker learns from the next boot's first sync
                } else {
                    AsSystem.run(work)
                }
            } catch (Throwable failure) {
                Log.warning('failed unexpectedly', failure)
            }
        } as Runnable, ms, TimeUnit.MILLISECONDS)
    }

    /** Calls of the worker thread: a failure brings the link down, and it comes up by itself. */
    private void exchange(Closure calls) {
        if (!up) {
            return
        }
        try {
            calls.call()
            failing = false
        } catch (BrokerException failure) {
            down(failure)
        } catch (Throwable failure) {
            stumbled(failure)
        }
    }

    /** Something of ours or of Jenkins' went wrong: said once until it goes well again, and tried again. */
    private void stumbled(Throwable failure) {
        failing ? Log.fine(failure) : Log.warning('an exchange with the broker failed, and will be repeated', failure)
        failing = true
    }

    private void connect() {
        try {
            alone { sync.releaseSurplus() }
            open()
            handshake()
            failures = 0
            outbox.empty(client, bootId, sync)
            synchronise()
            up = true
            events.start()
            int mine = ++connects
            later(0) { tick(mine) }
            flushSoon() // what came in between
            connection.established(fleet.policies)
            alone { fleet.reviewAll() }
        } catch (BrokerException failure) {
            down(failure)
        } catch (IllegalArgumentException failure) { // a setting, or a file that it names
            client == null ? down('not asked', failure.message, false) : again(failure)
        } catch (Throwable failure) {
            again(failure)
        }
    }

    private void again(Throwable failure) {
        stumbled(failure)
        later(PAUSES_S.last() * 1000L) { connect() }
    }

    private void down(BrokerException failure) {
        if (failure.what in ['not trusted', 'not asked']) { // our files are read anew: somebody may have mended them
            client?.close()
            client = null
        }
        down(failure.what, failure.message, failure.code == 'FAILED_PRECONDITION')
    }

    private void down(String what, String why, boolean otherVersion) {
        int pause = otherVersion ? OTHER_VERSION_S : PAUSES_S[Math.min(failures, PAUSES_S.size() - 1)]
        connection.failed(what, why, pause)
        boolean lost = up
        up = false
        failures++
        later(pause * 1000L) { connect() }
        if (lost) {
            alone { fleet.reviewAll() } // others may serve what we have asked in vain
        }
    }

    /** For what may fail without an effect on the connection. */
    private static void alone(Closure work) {
        try {
            work.call()
        } catch (Exception failure) {
            Log.warning('something beside the exchange with the broker failed', failure)
        }
    }

    private void tick(int mine) {
        if (!up || mine != connects) {
            return
        }
        if (System.nanoTime() >= nextSync) {
            exchange { synchronise() }
        }
        later(Math.max(50L, ((nextSync - System.nanoTime()) / 1_000_000) as long)) { tick(mine) }
    }

    private Map handshake() {
        Map<String, Object> port = AgentPort.describe()
        Map reply = client.handshake(Jenkins.VERSION, Jenkins.get().rootUrl, bootId, port)
        portTold = port
        connection.told(reply)
        remarks.on(reply)
        greeted = System.nanoTime()
        revision = reply.policies_revision
        intervalS = Math.max(0.2d, Math.min(60d, reply.sync_interval as double))
        fleet.policies = reply.policies.collect { new Policy(it) }
        reply
    }

    /**
     * The truth of both sides. One that the broker refuses for good is told again without what is for people alone; null
     * if that is refused too. The link stays up: builds ask for agents all the same.
     */
    private Map exchangeNodes() {
        List<Map> nodes = sync.nodes()
        List<String> pending = sync.pending()
        try {
            Map reply = client.syncNodes(bootId, nodes, sync.queue(), pending, sync.unmatched())
            refused = false
            return reply
        } catch (BrokerException failure) {
            if (!Outbox.isHopeless(failure)) {
                throw failure
            }
            String text = "the broker refuses what Jenkins tells of its nodes (${failure.message}); it is told the least"
            refused ? Log.fine(text) : Log.warning(text)
            refused = true
        }
        try {
            return client.syncNodes(bootId, nodes.collect { it + [current_build: '', offline_cause: ''] }, [], pending, [])
        } catch (BrokerException failure) {
            if (!Outbox.isHopeless(failure)) {
                throw failure
            }
            Log.fine("that is refused, too: ${failure.message}")
            return null
        }
    }

    private void synchronise() {
        nextSync = System.nanoTime() + ((intervalS * 1e9) as long) // first: whatever fails is not repeated at once
        outbox.empty(client, bootId, sync)
        Map reply = exchangeNodes()
        if (reply == null) {
            return
        }
        remarks.on(reply)
        boolean mayGreet = System.nanoTime() - greeted >= GREET_NS
        if (reply.policies_revision != revision) {
            if (!mayGreet) {
                return // nothing is made of policies that are not known: the next sync tells the same
            }
            handshake()
            alone { fleet.reviewAll() } // builds that nobody has served may have their policy now
        } else if (mayGreet && AgentPort.describe() != portTold) {
            handshake() // Jenkins opens its port late, and an administrator may change it
        }
        sync.apply(reply)
        afterSync.call()
    }
}
