import hudson.model.Queue
import java.util.concurrent.Callable
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.atomic.AtomicBoolean

/**
 * Gives back at once what was asked for a build that has been cancelled in the queue: the agent that was named for it, or
 * else the youngest of the same kind. Never one that another waiting build needs, that has run a build, that the broker
 * keeps ready, or that somebody launched by hand.
 */
class Aborted {
    private static final String WHY = 'the build that it was asked for was cancelled'
    /** So often an agent is looked at that holds the cancelled build in an executor, every 100 ms. */
    private static final int LOOKS = 50

    private final Fleet fleet
    private final java.util.Queue<Map> items = new ConcurrentLinkedQueue<>()
    private final AtomicBoolean due = new AtomicBoolean()
    /** Items that we have cancelled ourselves: their agents have ended already. */
    private final Set<Long> ours = Collections.synchronizedSet(new HashSet<Long>())

    Aborted(Fleet fleet) {
        this.fleet = fleet
    }

    /** An item has been cancelled. Returns at once: the queue is locked. */
    void left(Queue.LeftItem item) {
        if (!ours.remove(item.id)) {
            look(0, [[id: item.id, label: item.assignedLabel, looks: LOOKS]])
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
    private void look(long ms, List<Map> more) {
        items.addAll(more)
        if (due.compareAndSet(false, true)) {
            fleet.link.later(ms) {
                due.set(false)
                giveBack()
            }
        }
    }

    private void giveBack() {
        List<Map> cancelled = []
        for (Map item = items.poll(); item != null; item = items.poll()) {
            cancelled << item
        }
        List<BrokerAgent> all = fleet.all()
        List<Map> pending = cancelled.findAll { it.looks > 0 && holds(all, it.id) }
        List<BrokerAgent> chosen = choose(cancelled - pending, all)
        chosen.each { it.end('CANCELLED', WHY) }
        if (pending) {
            look(100, pending.collect { it + [looks: it.looks - 1] })
        }
    }

    /** Whether an executor of its agent was given something which it has not begun: that may be this very build. */
    private static boolean holds(List<BrokerAgent> agents, long id) {
        BrokerAgent agent = agents.find { it.itemId == id }
        agent != null && agent.uses.get() == 0 && agent.toComputer()?.idle == false
    }

    /** Those that end, already closed to builds. Held against reviews, which else count on one of them. */
    private List<BrokerAgent> choose(List<Map> cancelled, List<BrokerAgent> all) {
        List<BrokerAgent> chosen = []
        synchronized (Fleet.PLANNING) {
            List<BrokerAgent> unused = all.findAll { isUnused(it) }.sort { -it.serial }
            if (!cancelled || !unused) {
                return []
            }
            Spare spare = new Spare(fleet)
            cancelled.each { Map item ->
                BrokerAgent named = unused.find { it.itemId == item.id }
                List kind = named?.kind ?: fleet.policyFor(item.label)?.kindFor(Overrides.of(item.label))
                List<BrokerAgent> candidates = ([named] + unused.findAll { it.kind == kind }).findAll().unique()
                BrokerAgent found = candidates.find { BrokerAgent one -> spare.take(one) { close(one) } }
                if (found != null) {
                    unused.remove(found)
                    chosen << found
                }
            }
        }
        chosen
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
