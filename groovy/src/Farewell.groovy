import hudson.model.Executor
import hudson.model.Queue
import hudson.model.TaskListener

/**
 * Tells the builds that run on an agent why it ends, in their own logs, while they still have one. Jenkins itself would
 * only say that a channel was closed.
 *
 * What makes a pipeline's `retry(conditions: [agent(), nonresumable()])` run the block again (workflow-durable-task-step,
 * commit 46cb22f): AgentErrorCondition.test is true for a FlowInterruptedException with a cause that is Retryable
 * (RemovedNodeCause, RemovedNodeTimeoutCause, QueueTaskCancelled), for an AgentOfflineException and for a closed channel.
 * ExecutorStepExecution.RemovedNodeListener.onDeleted cancels the body with a RemovedNodeCause at once when the node is
 * an AbstractCloudSlave (else after 5 min), but only if its computer is still there, which it is while its executor is
 * busy, and is *offline* by then. Nodes.removeNode closes the channel on another thread (SlaveComputer.disconnect), so
 * the listener may find it open; then nothing cancels the body before the 5 min of DurableTaskStep are over. Therefore:
 * first the channel is closed and waited for (BrokerAgent._terminate), then the node is removed.
 */
class Farewell {
    /** Writes `why` into the log of each build on this computer. Never fails. */
    static void say(BrokerComputer computer, BrokerAgent agent, String why) {
        (computer.executors + computer.oneOffExecutors).each { Executor executor ->
            try {
                Queue.Executable executable = executor.currentExecutable
                boolean step = RunListener.has(executable?.parent)
                TaskListener log = step ? RunListener.of(executable.parent) : agent.voices[executable]
                log?.logger?.println("[agentbroker] ${agent.nodeName} ends: ${why}".toString())
                if (step) {
                    log?.logger?.println('[agentbroker]   retry(count: 2, conditions: [agent(), nonresumable()]) around the ' +
                            'node block runs it again on another agent')
                }
            } catch (Throwable failure) {
                Log.fine("a build on ${agent.nodeName} could not be told why it ends: ${failure}")
            }
        }
    }
}
