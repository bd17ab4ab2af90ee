import hudson.model.Descriptor
import hudson.model.Executor
import hudson.model.ExecutorListener
import hudson.model.Queue
import hudson.slaves.AbstractCloudComputer
import hudson.slaves.RetentionStrategy
import jenkins.model.Jenkins

/** Counts the builds of an agent, and ends it after its last one or when nobody has needed it for long. */
class BrokerRetention extends RetentionStrategy<AbstractCloudComputer> implements ExecutorListener {
    /** Every minute, under the queue's lock: nothing here may wait. Retirement knows better when; this is for the worst. */
    @Override
    long check(AbstractCloudComputer computer) {
        guarded {
            BrokerAgent agent = BrokerAgent.of(computer)
            agent?.fleet?.retirement?.consider(agent)
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
            BrokerAgent agent = BrokerAgent.of(executor.owner)
            agent?.begins(executor, task)
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
            BrokerAgent agent = BrokerAgent.of(executor.owner)
            if (agent != null && !Jenkins.get().terminating) { // a build that goes on after the restart keeps its agent
                agent.fleet.retirement.consider(agent)
                agent.fleet.link.syncSoon()
            }
        }
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
