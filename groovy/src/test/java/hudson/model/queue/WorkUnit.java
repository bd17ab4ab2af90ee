package hudson.model.queue;

/** What an executor is given by the queue. */
public final class WorkUnit {
    public final SubTask work = null;

    @io.agentbroker.testing.DoubleOnly
    public WorkUnit() {}
}
