import io.agentbroker.client.BrokerClient
import io.agentbroker.client.BrokerException

/** What the broker is to be told of agents, by name, until it has answered. Any thread puts in; the worker empties it. */
class Outbox {
    private static final int BATCH = 1_000
    private static final long BUSY_NS = 1_000_000_000L
    /** Statuses that say that this very call will never succeed; so does a message that is too large. */
    private static final Set<String> NEVER = ['INVALID_ARGUMENT', 'NOT_FOUND'] as Set

    private final Map<String, Map> requests = new LinkedHashMap<>()
    private final Map<String, Map> releases = new LinkedHashMap<>()
    /** Until then the broker wants to be asked for nothing: it has been asked for too much. Of the worker thread. */
    private long busyUntil
    private boolean busy

    void request(String name, Map what) {
        synchronized (requests) {
            requests[name] = what
        }
    }

    void release(String name, Map what) {
        synchronized (releases) {
            releases[name] = what
        }
    }

    void releaseAgain(String name, Map what) {
        synchronized (releases) {
            releases.putIfAbsent(name, what)
        }
    }

    void forgetRequest(String name) {
        forget(requests, [name])
    }

    boolean isUnanswered(String name) {
        synchronized (requests) {
            requests.containsKey(name)
        }
    }

    /** Tells all; throws what went wrong, and keeps then what is unanswered. What can never be told is dropped. */
    void empty(BrokerClient client, String bootId, NodeSync sync) {
        if (!busy || System.nanoTime() - busyUntil >= 0) {
            askForAll(client, bootId, sync)
        }
        List<Map> ended = firstOf(releases)
        while (ended) {
            giveBack(client, bootId, ended)
            ended = firstOf(releases)
        }
    }

    /** A broker that has been asked for too much is asked again later; all else goes on with it. */
    private void askForAll(BrokerClient client, String bootId, NodeSync sync) {
        try {
            List<Map> asked = firstOf(requests)
            while (asked) {
                ask(client, bootId, sync, asked)
                asked = firstOf(requests)
            }
            busy = false
        } catch (BrokerException failure) {
            if (!isBusy(failure)) {
                throw failure
            }
            String text = "the broker wants to be asked for less at once (${failure.message})"
            busy ? Log.fine(text) : Log.info(text)
            busy = true
            busyUntil = System.nanoTime() + BUSY_NS
        }
    }

    private void ask(BrokerClient client, String bootId, NodeSync sync, List<Map> asked) {
        try {
            asked.each { it.secret = jenkins.slaves.JnlpAgentReceiver.SLAVE_SECRET.mac(it.name) }
            List<Map> answers = client.requestAgents(bootId, asked)
            forget(requests, asked*.name)
            answers.each { sync.answered(it) }
        } catch (BrokerException failure) {
            if (!isHopeless(failure)) {
                throw failure
            }
            if (asked.size() > 1) { // one of them spoils the call
                asked.each { ask(client, bootId, sync, [it]) }
            } else {
                forget(requests, asked*.name)
                sync.answered([name: asked[0].name, accepted: false, reason: failure.code, message: failure.message])
            }
        }
    }

    private void giveBack(BrokerClient client, String bootId, List<Map> ended) {
        try {
            List<String> unknown = client.releaseAgents(bootId, ended)
            Log.fine("released ${ended*.name}, unknown ${unknown}")
            forget(releases, ended*.name)
        } catch (BrokerException failure) {
            if (!isHopeless(failure)) {
                throw failure
            }
            if (ended.size() > 1) {
                ended.each { giveBack(client, bootId, [it]) }
            } else {
                forget(releases, ended*.name)
                Log.warning("the broker cannot be told that ${ended[0].name} has ended (${failure.message})")
            }
        }
    }

    private static boolean isBusy(BrokerException failure) {
        failure.code == 'RESOURCE_EXHAUSTED' && !failure.tooLarge
    }

    /** Whether this very call would be refused again, however often. */
    static boolean isHopeless(BrokerException failure) {
        NEVER.contains(failure.code) || failure.tooLarge
    }

    private static List<Map> firstOf(Map<String, Map> box) {
        synchronized (box) {
            box.values().take(BATCH).collect { new LinkedHashMap(it) }
        }
    }

    private static void forget(Map<String, Map> box, List<String> names) {
        synchronized (box) {
            names.each { box.remove(it) }
        }
    }
}
