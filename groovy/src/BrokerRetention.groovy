import hudson.model.Descriptor
import hudson.model.Executor
import hudson.model.ExecutorListener
import hudson.model.Queue
import hudson.slaves.AbstractCloudComputer
import hudson.slaves.RetentionStrategy
import jenkins.model.Jenkins

/** Counts the builds of an agent, and ends it after its last one or when nobody has needed it for long. */
class BrokerRetention extends RetentionStrategy<AbstractCloudComputer> implements ExecutorListener {
    /** Every minute, under the queue's lock: nothing here may wait. */
    @Override
    long check(AbstractCloudComputer computer) {
        BrokerAgent agent = agentOf(computer)
        if (agent == null || agent.gone || agent.resumes || !agent.everOnline || computer.offline || !computer.idle) {
            return 1
        }
        if (agent.usedUp) {
            agent.fleet.link.retire(agent, 'COMPLETED', 'its last build is done')
        } else if (((BrokerComputer) computer).idleTooLong) {
            agent.fleet.link.retire(agent, 'IDLE', "idle for ${agent.idleTimeoutMs.intdiv(1000)} s".toString())
        }
        1
    }

    @Override
    void start(AbstractCloudComputer computer) {
        computer.connect(false)
    }

    @Override
    void taskAccepted(Executor executor, Queue.Task task) {
        guarded {
            BrokerAgent agent = agentOf(executor.owner)
            if (agent != null && !(agent.resumes && agent.usedUp)) { // a build that goes on after a restart is no new use
                agent.uses.incrementAndGet()
            }
            agent?.fleet?.link?.syncSoon()
        }
    }

    @Override
    void taskStarted(Executor executor, Queue.Task task) {
    }

    @Override
    void taskCompleted(Executor executor, Queue.Task task, long durationMs) {
        done(executor)
    }

    @Override
    void taskCompletedWithProblems(Executor executor, Queue.Task task, long durationMs, Throwable problems) {
        done(executor)
    }

    private static void done(Executor executor) {
        guarded {
            BrokerAgent agent = agentOf(executor.owner)
            if (agent != null && !Jenkins.get().terminating) { // a build that goes on after the restart keeps its agent
                if (agent.usedUp) {
                    agent.fleet.link.retire(agent, 'COMPLETED', 'its last build is done')
                }
                agent.fleet.link.syncSoon()
            }
        }
    }

    private static BrokerAgent agentOf(Object computer) {
        computer instanceof BrokerComputer ? ((BrokerComputer) computer).node : null
    }

    private static void guarded(Closure action) {
        try {
            action.call()
        } catch (Throwable failure) {
            Log.warning('a build could not be counted', failure)
        }
    }

    @Override
    Descriptor<RetentionStrategy<?>> getDescriptor() {
        Jenkins.get().getDescriptorOrDie(RetentionStrategy.Always)
    }
}
