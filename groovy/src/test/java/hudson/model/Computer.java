package hudson.model;

import hudson.remoting.Channel;
import hudson.security.ACL;
import hudson.slaves.OfflineCause;
import hudson.security.Permission;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import jenkins.model.Jenkins;
import org.kohsuke.stapler.StaplerRequest2;
import org.kohsuke.stapler.StaplerResponse2;

public abstract class Computer {
    public static final Permission CONFIGURE = null;
    public static final Permission EXTENDED_READ = null;
    public static final ExecutorService threadPoolForRemoting = Executors.newCachedThreadPool();
    protected volatile OfflineCause offlineCause;
    private final String name;
    private final List<Executor> executors = new ArrayList<>();
    private final List<Executor> oneOffExecutors = new CopyOnWriteArrayList<>();

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
        return temporaryCause() != null || getChannel() == null;
    }

    public void setTemporaryOfflineCause(OfflineCause cause) {
        getNode().setTemporaryOfflineCause(cause);
    }

    private OfflineCause temporaryCause() {
        Node node = getNode();
        return node == null ? null : node.getTemporaryOfflineCause();
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
        return temporaryCause() == null ? offlineCause : temporaryCause();
    }

    public void setOfflineCause(OfflineCause cause) {
        offlineCause = cause;
    }

    public String getOfflineCauseReason() {
        return getOfflineCause() == null ? "" : getOfflineCause().toString();
    }

    public List<Executor> getExecutors() {
        return executors;
    }

    public List<? extends Executor> getOneOffExecutors() {
        return oneOffExecutors;
    }

    public List<Executor> getAllExecutors() {
        List<Executor> all = new ArrayList<>(executors);
        all.addAll(oneOffExecutors);
        return all;
    }

    /** An executor that takes none of the node's: it has been given a light task, and has not begun it. */
    @io.agentbroker.testing.DoubleOnly
    public Executor giveLightTask() {
        Executor executor = new Executor(this, -1);
        executor.give();
        oneOffExecutors.add(executor);
        return executor;
    }

    void remove(Executor executor) {
        oneOffExecutors.remove(executor);
    }

    public void checkPermission(Permission permission) {}

    public void doConfigSubmit(StaplerRequest2 request, StaplerResponse2 response) throws IOException {
        throw new UnsupportedOperationException();
    }

    public void doConfigDotXml(StaplerRequest2 request, StaplerResponse2 response) throws IOException {
        throw new UnsupportedOperationException();
    }

    public final boolean isIdle() {
        return getAllExecutors().stream().noneMatch(Executor::isBusy);
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
