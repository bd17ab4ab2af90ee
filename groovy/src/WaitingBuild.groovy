import hudson.model.Queue
import java.util.concurrent.CountDownLatch
import java.util.concurrent.Executor

/** What one waiting build has been told, and of which agent. Of the thread of the build log alone. */
class WaitingBuild {
    final long id
    final long since
    final String label
    final RunLog log
    final Queue.BuildableItem item
    /** When (ms) it was last seen in the queue. */
    long seenAt = System.currentTimeMillis()
    private BrokerAgent agent
    /** Lines have been written: so there is a last one, too. */
    boolean spoken
    /** Somebody has told the end of it. */
    boolean over
    private int seen
    /** Its agent is older than this controller's boot, and its story is still being told anew. */
    private boolean catchesUp
    private boolean failureTold
    private String told = ''
    private String linkTold = ''
    private long saidAt

    WaitingBuild(Queue.BuildableItem item, Executor writers) {
        this.item = item
        id = item.id
        since = item.buildableStartMilliseconds
        label = item.assignedLabel?.name ?: ''
        log = new RunLog(item.task, writers)
    }

    /** From now on it waits for this agent, which may have been asked for another build. */
    void take(BrokerAgent agent) {
        setAgent(agent)
        failureTold = false
        told = ''
        boolean mine = agent.itemId == id
        seen = mine ? 0 : agent.journal.count
        catchesUp = !mine && agent.replayed
        say(["${agent.nodeName}: ${label ?: 'no label'} -> policy ${agent.policy}${withLink(agent)}".toString()])
        if (!mine && !catchesUp) {
            say(["${now()} ${agent.nodeName}: ${agent.progress}".toString()])
        }
    }

    BrokerAgent getAgent() {
        agent
    }

    /** Null: it waits for none now. The broker knows for which build it was asked, and hears of another. */
    void setAgent(BrokerAgent next) {
        if (agent != null && item.task.is(agent.waitedForBy)) {
            agent.waitedForBy = null
        }
        if (next != null && next.itemId != id) {
            next.waitedForBy = item.task
        }
        agent = next
    }

    /** What has happened to its agent since the last look; `place`: which in line it is, 0 if it does not wait for room. */
    void follow(int place) {
        if (catchesUp) {
            if (agent.replayed && !agent.gone) {
                return
            }
            catchesUp = false
            seen = agent.journal.count
            say(["${now()} ${agent.nodeName}: ${agent.progress}".toString()])
        }
        List<Map> events = agent.journal.eventsAfter(seen)
        seen = agent.journal.count
        events.each { Map event ->
            if (event.outcome == 'failed' && event.event != 'gone') {
                failureTold = true
            }
            List<String> lines = BuildWords.event(event, place, agent.link)
            if (lines) {
                say(lines)
            }
        }
        if (agent.gone) {
            left()
        }
    }

    private void left() {
        if (!failureTold && agent.endCause == null && agent.why) {
            say(["${now()} ended: ${BuildWords.clean(agent.why)}".toString()])
        }
        setAgent(null)
    }

    /** Why there is no agent for it; said when it changes. */
    void tellWhy(List<String> lines) {
        String text = lines.join('\n')
        if (lines && text != told) {
            say(lines)
        }
        told = text
    }

    /** How the connection is: nothing while it has been as it was. */
    void tellLink(String text) {
        if (text != linkTold && (text || spoken)) {
            say(["${now()} ${text ?: 'the broker is reachable again'}".toString()])
        }
        linkTold = text
    }

    /** Nothing has changed for long: how it stands. */
    void beat(long everyMs, int place) {
        if (spoken && System.currentTimeMillis() - saidAt >= everyMs) {
            String what = agent == null ? (told ? told.readLines()[0] : 'waiting for an agent') : "${agent.nodeName}: ${agent.progressAt(place)}"
            say(["${now()} still ${what} (${BuildWords.age(System.currentTimeMillis() - since)} in all)".toString()])
        }
    }

    /** It runs now, on the node of this name. */
    void runsOn(String node, BrokerAgent its) {
        String after = ((System.currentTimeMillis() - since) / 1000d).round(1)
        String what = its == null ? "runs on ${node ?: 'a node'}, which is not of agentbroker, after ${after} s" :
                "online after ${after} s: ${node}${withLink(its)}"
        say(["${now()} ${what}".toString()])
    }

    void cancelled() {
        String whose = agent == null ? 'nothing is asked for it any more' : "the request for ${agent.nodeName} is withdrawn"
        say(["${now()} cancelled: ${whose}".toString()])
    }

    void say(List<String> lines, CountDownLatch written = null) {
        spoken = true
        saidAt = System.currentTimeMillis()
        log.say(lines, written)
    }

    private static String now() {
        BuildWords.at(System.currentTimeMillis())
    }

    private static String withLink(BrokerAgent agent) {
        agent.link ? "   ${agent.link}" : ''
    }
}
