package hudson.model;

import hudson.remoting.Channel;
import hudson.security.ACL;
import hudson.slaves.OfflineCause;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Future;
import jenkins.model.Jenkins;

public abstract class Computer {
    protected volatile OfflineCause offlineCause;
    private volatile OfflineCause temporaryCause;
    private final String name;
    private final List<Executor> executors = new ArrayList<>();

    public Computer(Node node) {
        name = node.getNodeName();
        for (int i = 0; i < node.getNumExecutors(); i++) {
            executors.add(new Executor(this, i));
        }
    }

    public Node getNode() {
        return Jenkins.get().getNode(name);
    }

    public String getName() {
        return name;
    }

    public String getDisplayName() {
        return name;
    }

    public abstract Channel getChannel();

    public boolean isOffline() {
        return temporaryCause != null || getChannel() == null;
    }

    public void setTemporaryOfflineCause(OfflineCause cause) {
        temporaryCause = cause;
    }

    public final boolean isOnline() {
        return !isOffline();
    }

    public abstract boolean isConnecting();

    public abstract Future<?> connect(boolean forceReconnect);

    public Future<?> disconnect(OfflineCause cause) {
        offlineCause = cause;
        return null;
    }

    public OfflineCause getOfflineCause() {
        return offlineCause;
    }

    public void setOfflineCause(OfflineCause cause) {
        offlineCause = cause;
    }

    public String getOfflineCauseReason() {
        OfflineCause cause = temporaryCause == null ? offlineCause : temporaryCause;
        return cause == null ? "" : cause.toString();
    }

    public List<Executor> getExecutors() {
        return executors;
    }

    public final boolean isIdle() {
        return executors.stream().noneMatch(Executor::isBusy);
    }

    public final int countIdle() {
        return (int) executors.stream().filter(executor -> !executor.isBusy()).count();
    }

    public final long getIdleStartMilliseconds() {
        return executors.stream().mapToLong(executor -> executor.idleSince).max().orElse(0);
    }

    public boolean isAcceptingTasks() {
        return getNode() != null && getNode().isAcceptingTasks();
    }

    public abstract ACL getACL();
}
