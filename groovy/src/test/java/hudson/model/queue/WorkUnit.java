package hudson.model.queue;

/** What an executor is given by the queue. */
public final class WorkUnit {
    @io.agentbroker.testing.DoubleOnly
    public WorkUnit() {}
}
