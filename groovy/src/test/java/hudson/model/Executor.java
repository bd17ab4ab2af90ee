package hudson.model;

public class Executor extends Thread {
    long idleSince = System.currentTimeMillis();
    private final Computer owner;
    private volatile Queue.Task task;

    Executor(Computer owner, int number) {
        this.owner = owner;
    }

    public Computer getOwner() {
        return owner;
    }

    public boolean isBusy() {
        return task != null;
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
        listener().taskAccepted(this, task);
        listener().taskStarted(this, task);
    }

    @io.agentbroker.testing.DoubleOnly
    public void finish() {
        listener().taskCompleted(this, task, 0);
        idleSince = System.currentTimeMillis();
        task = null;
    }

    private ExecutorListener listener() {
        return (ExecutorListener) ((Slave) owner.getNode()).getRetentionStrategy();
    }
}
