import hudson.model.Queue
import java.util.concurrent.Callable
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.atomic.AtomicBoolean

/**
 * Gives back what was asked for a build that has been cancelled in the queue: an agent that waits for room at once, one
 * that was launched a little later, for who cancels a build often queues it anew. Which one, `Spare` says. Never one that
 * another waiting build needs, that has run a build, that the broker keeps ready, or that somebody launched by hand.
 */
class Aborted {
    private static final String WHY = 'the build that it was asked for was cancelled'
    /** So often an agent is looked at that holds the cancelled build in an executor, every 100 ms. */
    private static final int LOOKS = 50
    private static final long AGAIN_MS = 100
    /** For so long an agent that was launched is kept for the next build. */
    private static final long LAUNCHED_MS = 2_000

    private final Fleet fleet
    private final java.util.Queue<Map> items = new ConcurrentLinkedQueue<>()
    private final AtomicBoolean due = new AtomicBoolean()
    /** Items, by their id, whose agents are kept for the next build until LAUNCHED_MS are over. */
    private final Map<Long, Map> kept = new ConcurrentHashMap<>()
    /** Items that we have cancelled ourselves: their agents have ended already. */
    private final Set<Long> ours = Collections.synchronizedSet(new HashSet<Long>())

    Aborted(Fleet fleet) {
        this.fleet = fleet
    }

    /** An item has been cancelled. Returns at once: the queue is locked. */
    void left(Queue.LeftItem item) {
        if (!ours.remove(item.id)) {
            look([[id: item.id, label: item.assignedLabel, task: item.task, looks: LOOKS]])
        }
    }

    /** For whoever cancels an item together with its agent. */
    void expect(long id) {
        ours.add(id)
    }

    void expectNoMore(long id) {
        ours.remove(id)
    }

    /** Many items at once are one look. */
    private void look(List<Map> more) {
        items.addAll(more)
        if (due.compareAndSet(false, true)) {
            fleet.link.later(0) {
                due.set(false)
                giveBack()
            }
        }
    }

    private void lookIn(long ms, List<Map> more) {
        if (more) {
            fleet.link.later(ms) { look(more) }
        }
    }

    private void giveBack() {
        List<Map> cancelled = []
        for (Map item = items.poll(); item != null; item = items.poll()) {
            cancelled << item
        }
        List<BrokerAgent> all = fleet.all()
        List<Map> pending = cancelled.findAll { it.looks > 0 && holds(all, it.id) }
        lookIn(AGAIN_MS, pending.collect { it + [looks: it.looks - 1] })
        def (List<Map> late, List<Map> fresh) = (cancelled - pending).split { kept.remove(it.id) != null }
        List<BrokerAgent> chosen = []
        try {
            synchronized (Fleet.PLANNING) { // held against reviews, which else count on one of them
                List<Map> left = choose(fresh, all, false, chosen)
                left.each { kept[it.id] = it }
                lookIn(LAUNCHED_MS, left)
                choose(late, all, true, chosen)
            }
        } finally {
            chosen.each { it.end('CANCELLED', WHY) }
        }
    }

    /** Whether an executor of its agent was given something which it has not begun: that may be this very build. */
    private static boolean holds(List<BrokerAgent> agents, long id) {
        BrokerAgent agent = agents.find { it.itemId == id }
        agent != null && agent.uses.get() == 0 && agent.toComputer()?.idle == false
    }

    /** Adds to `chosen` those that end, already closed to builds. Returns the builds for which none does. */
    private List<Map> choose(List<Map> cancelled, List<BrokerAgent> all, boolean launchedToo, List<BrokerAgent> chosen) {
        List<BrokerAgent> unused = cancelled ? all.findAll { isUnused(it) } : []
        if (!unused) {
            return cancelled
        }
        Backlog waiting = fleet.backlog()
        if (launchedToo) {
            kept.values().each { waiting.expect(it.label) } // each may come to need one of those agents
        }
        Spare spare = new Spare(all, { Map<List, Integer> places -> fleet.shortageBeside(waiting, places).values().sum() ?: 0 })
        cancelled.findAll { Map item ->
            BrokerAgent named = unused.find { it.itemId == item.id }
            BrokerAgent found = spare.take(named, unused, like(named, item), launchedToo) { close(it) }
            if (found != null) {
                unused.remove(found)
                chosen << found
            }
            found == null
        }
    }

    /** Kind and job of the agents that a build is served by. */
    private List like(BrokerAgent named, Map item) {
        Policy policy = named == null ? fleet.policyFor(item.label) : null
        named != null ? [named.kind, named.job] :
                [policy?.kindFor(Overrides.of(item.label)), policy?.boundToJobs ? Origin.job(item.task) : '']
    }

    private static boolean isUnused(BrokerAgent agent) {
        !agent.gone && agent.cause == 'QUEUE' && !agent.keepWarm && !agent.resumes && agent.uses.get() == 0
    }

    /** Builds are given out under this lock: an agent that is idle here takes none any more. */
    private static boolean close(BrokerAgent agent) {
        Queue.withLock({
            boolean idle = agent.uses.get() == 0 && agent.toComputer()?.idle != false
            agent.gone = agent.gone || idle
            idle
        } as Callable)
    }
}
