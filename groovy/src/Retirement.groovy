import hudson.model.Computer
import hudson.model.Queue
import java.util.concurrent.Callable
import java.util.concurrent.Future
import java.util.concurrent.RejectedExecutionException
import java.util.concurrent.ScheduledThreadPoolExecutor
import java.util.concurrent.ThreadFactory
import java.util.concurrent.TimeUnit
import jenkins.model.Jenkins

/**
 * Ends agents that have done their builds or that nobody has needed for long, to the tenth of a second; Jenkins itself
 * looks once a minute only. On a thread of its own, for removing a node waits for the queue's lock and for listeners.
 *
 * A build may come in the very moment in which an agent ends. Builds are given out under the queue's lock; under that
 * lock the agent is looked at once more and, if it is idle still, takes no build from then on. Then its node is removed,
 * without a lock, and then the broker is told (NodeWatch).
 */
class Retirement {
    private static final long SOON_MS = 100
    /** So often an agent is looked at which a pipeline may still ask for. */
    private static final long RESUMPTION_MS = 500
    /** So often a used-up agent is looked at while the build that has just ended still holds its executor. */
    private static final int LOOKS = 50

    private final ScheduledThreadPoolExecutor worker = new ScheduledThreadPoolExecutor(1, { Runnable work ->
        Thread thread = new Thread(work, 'agentbroker-retention')
        thread.daemon = true
        thread
    } as ThreadFactory)

    Retirement() {
        worker.removeOnCancelPolicy = true // else an agent that is gone stays in memory for its idle timeout
    }

    /** Something about the agent has changed: it is ended as soon as it is time. Returns at once, with any lock held. */
    void consider(BrokerAgent agent) {
        if (agent.watched.compareAndSet(false, true)) {
            later(0) {
                agent.watched.set(false)
                look(agent, LOOKS)
            }
        }
    }

    /** Ends an agent that the broker says is over, its running builds with it. `why` is for people. Returns at once. */
    void dismiss(BrokerAgent agent, String why) {
        if (!agent.dismissed.compareAndSet(false, true)) {
            return
        }
        agent.gone = true
        // Many may end at once, and each waits for its connection's end.
        Computer.threadPoolForRemoting.submit({ guarded { agent.end(null, why) } } as Runnable)
    }

    private void look(BrokerAgent agent, int looks) {
        if (agent.gone || agent.resumes || !agent.everOnline) {
            return
        }
        BrokerComputer computer = (BrokerComputer) agent.toComputer()
        if (Resumption.isExpected(agent)) {
            later(RESUMPTION_MS) { consider(agent) }
        } else if (agent.usedUp) {
            if (!end(agent, 'COMPLETED', 'its last build is done') { isDone(agent, computer) } && looks > 0) {
                later(SOON_MS) { look(agent, looks - 1) }
            }
        } else if (computer != null && computer.idle && computer.online && !agent.keepWarm) {
            long left = computer.msOfIdleTimeLeft()
            if (left > 0) {
                agent.timer?.cancel(false)
                agent.timer = later(left) { consider(agent) }
            } else {
                end(agent, 'IDLE', "idle for ${agent.idleTimeoutMs.intdiv(1000)} s".toString()) { computer.idleTooLong }
            }
        }
    }

    /** Under the queue's lock: a build that it ran before a restart may have come back to the queue just now. */
    private static boolean isDone(BrokerAgent agent, BrokerComputer computer) {
        boolean idle = computer == null || computer.idle
        idle && !(agent.adopted && agent.resumptionWaits())
    }

    private static boolean end(BrokerAgent agent, String cause, String why, Closure<Boolean> over) {
        boolean free = Queue.withLock({
            boolean yes = !agent.gone && over.call()
            agent.gone = agent.gone || yes
            yes
        } as Callable)
        if (free) {
            agent.end(cause, why)
        }
        free || agent.gone
    }

    private Future later(long ms, Closure work) {
        try {
            return worker.schedule({
                if (Jenkins.instanceOrNull?.terminating != false) {
                    worker.shutdownNow() // nodes go with Jenkins, and come again
                } else {
                    guarded(work)
                }
            } as Runnable, ms, TimeUnit.MILLISECONDS)
        } catch (RejectedExecutionException ignored) {
            return null
        }
    }

    private static void guarded(Closure work) {
        try {
            AsSystem.run(work)
        } catch (Throwable failure) {
            Log.warning('an agent could not be ended', failure)
        }
    }
}
