import hudson.model.Queue
import jenkins.model.Jenkins

/**
 * Whether a pipeline may still ask for the agent that it had before a restart. Pipelines are read in the background
 * while the controller is up already, so an agent that is quick to come back stands there idle, and seems to have had
 * its builds. The builds themselves are there from the start: each holds a light executor, or waits for one.
 */
class Resumption {
    /** So long (ms) after an agent is back nobody asks for it any more. */
    private static final long PATIENCE_MS = 30_000
    /** An answer is as good as new for so long (ms): after a restart there may be many agents to ask for. */
    private static final long FRESH_MS = 250

    private static volatile long lookedAt = Long.MIN_VALUE / 2
    private static volatile boolean seen

    static boolean isExpected(BrokerAgent agent) {
        agent.adopted && !agent.hasBegun && agent.uses.get() > 0 &&
                System.currentTimeMillis() - agent.availableSince < PATIENCE_MS && isAnyPipelineThere()
    }

    private static boolean isAnyPipelineThere() {
        long now = System.currentTimeMillis()
        if (now - lookedAt >= FRESH_MS) {
            seen = Jenkins.get().computers.any { it.oneOffExecutors } ||
                    Jenkins.get().queue.items.any { it.task instanceof Queue.FlyweightTask }
            lookedAt = now
        }
        seen
    }
}
