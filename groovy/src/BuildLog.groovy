import hudson.model.Label
import hudson.model.Queue
import java.util.concurrent.CountDownLatch
import java.util.concurrent.Executors
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.ScheduledExecutorService
import java.util.concurrent.ThreadFactory
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicBoolean
import jenkins.model.Jenkins

/**
 * Tells builds that wait why they do, in their own logs: at once when something changes, and every minute while nothing
 * does. A look at the queue each second finds them, so none is missed, after a restart neither; everybody else only asks
 * for a look. Nothing here is waited for, and nothing depends on it.
 */
class BuildLog {
    private static final long LOOK_MS = 1_000
    private static final long SOON_MS = 20
    /** A build that finds an agent within this time is told nothing. */
    private static final long PATIENCE_MS = 1_000
    private static final long FORGOTTEN_MS = 60_000
    private static final int WRITERS = 8
    /** How long a build that is cancelled is waited for; and after one whose log could not be written. */
    private static final long WRITE_MS = 1_000
    private static final long HURRIED_WRITE_MS = 20

    /** How long nothing is said while nothing changes. */
    volatile long heartbeatMs = 60_000
    private final List<Fleet> fleets
    private final Map<Long, WaitingBuild> builds = [:]
    private volatile long patience = WRITE_MS
    private final AtomicBoolean asked = new AtomicBoolean()
    private final ScheduledExecutorService worker
    private final ThreadPoolExecutor writers

    BuildLog(List<Fleet> fleets) {
        this.fleets = fleets
        ThreadFactory threads = { Runnable work ->
            Thread thread = new Thread(work, 'agentbroker-build-log')
            thread.daemon = true
            thread
        } as ThreadFactory
        worker = Executors.newSingleThreadScheduledExecutor(threads)
        writers = new ThreadPoolExecutor(WRITERS, WRITERS, 30, TimeUnit.SECONDS, new LinkedBlockingQueue<Runnable>(), threads)
        writers.allowCoreThreadTimeOut(true)
    }

    void start() {
        worker.scheduleWithFixedDelay({ guarded { look() } } as Runnable, LOOK_MS, LOOK_MS, TimeUnit.MILLISECONDS)
    }

    /** Something has changed: a look soon. Many calls are one. */
    void nudge() {
        if (asked.compareAndSet(false, true)) {
            soon(SOON_MS) {
                asked.set(false)
                look()
            }
        }
    }

    /** An item has left the queue; any thread, under the queue's lock too. */
    void left(Queue.LeftItem item) {
        if (RunListener.has(item.task)) {
            boolean cancelled = item.cancelled
            long id = item.id
            Object owner = cancelled ? null : item.outcome?.primaryWorkUnit?.executor?.owner
            soon(0) { end(id, cancelled, owner) }
        }
    }

    /**
     * For whoever cancels a waiting build for good: the last line of its log is why. Returns when it is written, or after a
     * second, and sooner after one that could not be written; not to be called under the queue's lock.
     */
    void cancelling(Queue.Item item, String reason, String message) {
        CountDownLatch written = new CountDownLatch(1)
        soon(0) {
            WaitingBuild build = builds[item.id] ?: adopt(item)
            if (build != null) {
                List<String> words = BuildWords.lines(message)
                String why = [BuildWords.clean(reason), words.find()].findAll().unique().join(': ')
                build.over = true
                build.say(words.drop(1).collect { "  ${it}".toString() } +
                        "${BuildWords.at(System.currentTimeMillis())} the build is cancelled: ${why}".toString(), written)
            } else {
                written.countDown()
            }
        }
        patience = written.await(patience, TimeUnit.MILLISECONDS) ? WRITE_MS : HURRIED_WRITE_MS
    }

    private WaitingBuild adopt(Object item) {
        if (item instanceof Queue.BuildableItem && RunListener.has(item.task)) {
            return builds.computeIfAbsent(item.id) { new WaitingBuild(item, writers) }
        }
        null
    }

    private void look() {
        List<Queue.BuildableItem> waiting = Jenkins.get().queue.buildableItems.findAll { !it.pending && RunListener.has(it.task) }
        if (!waiting && builds.isEmpty()) {
            return
        }
        long now = System.currentTimeMillis()
        waiting.each { adopt(it)?.seenAt = now }
        builds.values().removeAll { now - it.seenAt > FORGOTTEN_MS } // how it left was not told
        Partners partners = new Partners(fleets, waiting, builds.values())
        waiting.sort { it.id }.each { item ->
            WaitingBuild build = builds[item.id]
            if (!build.over) {
                tell(build, partners)
            }
        }
    }

    private void tell(WaitingBuild build, Partners partners) {
        Label label = build.item.assignedLabel
        if (build.agent != null) {
            build.follow(partners.placeOf(build.agent))
        }
        if (build.agent == null || partners.isLost(build.agent)) {
            BrokerAgent found = partners.takeFor(build)
            if (found == null) {
                build.agent = null
            } else if (!found.is(build.agent)) {
                build.take(found)
                build.follow(partners.placeOf(found))
            }
        }
        if (build.agent == null && System.currentTimeMillis() - build.since >= PATIENCE_MS) {
            build.tellWhy(partners.whyNone(label))
        }
        if (build.agent != null) {
            build.tellLink(build.agent.fleet.link.trouble)
        }
        build.beat(heartbeatMs, partners.placeOf(build.agent))
        build.log.pump() // the log of a pipeline that is being resumed comes late
    }

    private void end(long id, boolean cancelled, Object owner) {
        WaitingBuild build = builds.remove(id)
        if (build == null || !build.spoken || (build.over && cancelled)) {
            build?.agent = null
            return
        }
        if (build.agent != null) {
            build.follow(0)
        }
        if (cancelled) {
            build.cancelled()
        } else {
            BrokerAgent its = fleets.findResult { it.agent(owner?.name ?: '') }
            build.runsOn(owner?.name, its)
        }
        build.agent = null
    }

    private void soon(long ms, Closure work) {
        try {
            worker.schedule({ guarded(work) } as Runnable, ms, TimeUnit.MILLISECONDS)
        } catch (Throwable ignored) { // Jenkins ends
        }
    }

    private void guarded(Closure work) {
        try {
            if (Jenkins.instanceOrNull?.terminating != false) {
                worker.shutdownNow()
                writers.shutdown()
            } else {
                AsSystem.run(work)
            }
        } catch (Throwable failure) {
            Log.fine("the logs of waiting builds could not be written: ${failure}", failure)
        }
    }
}
