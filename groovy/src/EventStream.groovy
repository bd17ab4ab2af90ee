import io.agentbroker.client.AgentWatch
import io.agentbroker.client.BrokerException

/**
 * Reads what the broker tells of our agents, on a thread of its own, and writes it into their nodes' logs. Nothing else
 * depends on it: while it is broken, builds run all the same.
 */
class EventStream {
    private static final List<Integer> PAUSES_MS = [200, 1_000, 2_000, 5_000, 10_000]
    private static final long UNKNOWN_MS = 600_000
    private static final long FIRST_SILENCE_MS = 30_000

    private final Fleet fleet
    private final BrokerLink link
    private Thread thread
    /** The number of the last heartbeat: all up to there has been written. 0 asks for the story of all that live. */
    private volatile long after
    private volatile AgentWatch open
    private volatile boolean stopped
    /** What comes has happened before: from a resync until the heartbeat behind it. */
    volatile boolean replaying = true
    /** How often in a row a stream has ended without a word. */
    private int failures

    EventStream(Fleet fleet, BrokerLink link) {
        this.fleet = fleet
        this.link = link
    }

    /** Begins to read, if it has not: after the first sync, for only then all nodes are there to be written to. */
    synchronized void start() {
        if (thread == null) {
            thread = link.thread('-events') { follow() }
            thread.start()
        }
    }

    /** A node came whose agent is older: its story is asked for, with that of all others, who know it already. */
    void again() {
        after = 0
        open?.close()
    }

    void stop() {
        stopped = true
        thread?.interrupt()
    }

    private void follow() {
        while (!stopped) {
            long pause = PAUSES_MS[0]
            try {
                if (link.up) {
                    read()
                }
            } catch (InterruptedException ignored) {
                return
            } catch (BrokerException failure) {
                Log.fine("the stream of events ended: ${failure.message}")
                pause = failure.code == 'UNIMPLEMENTED' ? UNKNOWN_MS : PAUSES_MS[Math.min(failures++, PAUSES_MS.size() - 1)]
            } catch (Throwable failure) {
                Log.fine("the stream of events failed: ${failure}")
                pause = PAUSES_MS.last()
            }
            rest(pause)
        }
    }

    private void rest(long ms) {
        try {
            Thread.sleep(ms)
        } catch (InterruptedException ignored) {
            stopped = true
        }
    }

    private void read() {
        long silence = FIRST_SILENCE_MS
        long asked = after
        AgentWatch watch = link.watch(asked)
        open = watch
        try {
            for (Map message = watch.next(silence); message != null && !stopped; message = watch.next(silence)) {
                failures = 0
                if (message.kind == 'resync') {
                    replaying = true
                } else if (message.kind == 'heartbeat') {
                    replaying = false
                    if (after == asked) { // else somebody wants to hear more than this stream tells
                        asked = after = message.number as long
                    }
                    silence = Math.max(1_000L, (message.interval as double) * 3_000 as long)
                } else if (message.kind == 'event') {
                    tell(message)
                }
            }
        } finally {
            open = null
            watch.close()
        }
    }

    private void tell(Map event) {
        try {
            fleet.agent(event.agent)?.journal?.tell(event)
            fleet.buildLog?.nudge()
        } catch (Exception failure) {
            Log.fine("an event could not be written: ${event}: ${failure}")
        }
    }
}
