package hudson.model;

import hudson.model.queue.WorkUnit;
import hudson.slaves.ComputerListener;

public class Executor extends Thread {
    long idleSince = System.currentTimeMillis();
    private final Computer owner;
    private volatile Queue.Task task;
    private volatile WorkUnit work;

    Executor(Computer owner, int number) {
        this.owner = owner;
    }

    public Computer getOwner() {
        return owner;
    }

    public WorkUnit getCurrentWorkUnit() {
        return work;
    }

    public static Executor currentExecutor() {
        return null;
    }

    public boolean isBusy() {
        return task != null || work != null;
    }

    public Queue.Executable getCurrentExecutable() {
        return null;
    }

    @io.agentbroker.testing.DoubleOnly
    public Queue.Task running() {
        return task;
    }

    @io.agentbroker.testing.DoubleOnly
    public void begin(Queue.Task task) {
        this.task = task;
        give();
        listener().taskAccepted(this, task);
        listener().taskStarted(this, task);
    }

    /** The queue has chosen it. */
    @io.agentbroker.testing.DoubleOnly
    public void give() {
        work = work == null ? new WorkUnit() : work;
    }

    @io.agentbroker.testing.DoubleOnly
    public void finish() {
        listener().taskCompleted(this, task, 0);
        idleSince = System.currentTimeMillis();
        task = null;
        work = null;
        owner.remove(this);
        ComputerListener.all().forEach(listener -> listener.onIdle(owner));
    }

    private ExecutorListener listener() {
        return (ExecutorListener) ((Slave) owner.getNode()).getRetentionStrategy();
    }
}
