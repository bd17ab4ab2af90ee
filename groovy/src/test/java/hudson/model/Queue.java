package hudson.model;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import hudson.model.queue.QueueListener;
import hudson.model.queue.SubTask;
import jenkins.model.Jenkins;

public class Queue {
    private static final ReentrantLock LOCK = new ReentrantLock();
    private static final AtomicLong IDS = new AtomicLong();

    private final List<BuildableItem> buildables = new CopyOnWriteArrayList<>();

    @io.agentbroker.testing.DoubleOnly
    public Queue() {}

    public interface Task extends SubTask {
        String getFullDisplayName();

        default Task getOwnerTask() {
            return this;
        }
    }

    public interface FlyweightTask extends Task {}

    public interface Executable {
        SubTask getParent();

        default Executable getParentExecutable() {
            return null;
        }
    }

    public abstract static class Item {
        public final Task task;
        private final Label assignedLabel;
        private final long id;
        private final long inQueueSince = System.currentTimeMillis();

        Item(Task task, Label assignedLabel) {
            this(task, assignedLabel, IDS.incrementAndGet());
        }

        Item(Task task, Label assignedLabel, long id) {
            this.task = task;
            this.assignedLabel = assignedLabel;
            this.id = id;
        }

        public long getId() {
            return id;
        }

        public Label getAssignedLabel() {
            return assignedLabel;
        }

        public long getInQueueSince() {
            return inQueueSince;
        }
    }

    public abstract static class NotWaitingItem extends Item {
        public final long buildableStartMilliseconds = System.currentTimeMillis();

        NotWaitingItem(Task task, Label assignedLabel) {
            super(task, assignedLabel);
        }
    }

    public static final class BuildableItem extends NotWaitingItem {
        BuildableItem(Task task, Label assignedLabel) {
            super(task, assignedLabel);
        }

        public boolean isPending() {
            return false;
        }
    }

    public static final class LeftItem extends Item {
        private final boolean cancelled;

        LeftItem(Item item, boolean cancelled) {
            super(item.task, item.assignedLabel, item.id);
            this.cancelled = cancelled;
        }

        public boolean isCancelled() {
            return cancelled;
        }
    }

    public static <V> V withLock(Callable<V> work) throws Exception {
        LOCK.lock();
        try {
            return work.call();
        } finally {
            LOCK.unlock();
        }
    }

    public static void withLock(Runnable work) {
        LOCK.lock();
        try {
            work.run();
        } finally {
            LOCK.unlock();
        }
    }

    public List<BuildableItem> getBuildableItems() {
        return new ArrayList<>(buildables);
    }

    /** Those that the current thread may see, as core does. */
    public Item[] getItems() {
        return hudson.security.ACL.seesJobs() ? buildables.toArray(new Item[0]) : new Item[0];
    }

    public static boolean isBlockedByShutdown(Task task) {
        return Jenkins.get().isQuietingDown();
    }

    public Item getItem(long id) {
        return buildables.stream().filter(item -> item.getId() == id).findFirst().orElse(null);
    }

    public boolean cancel(Item item) {
        boolean there = buildables.remove(item);
        QueueListener.all().forEach(listener -> listener.onLeft(new LeftItem(item, true)));
        return there;
    }

    @io.agentbroker.testing.DoubleOnly
    public void schedule(Task task, Label label) {
        BuildableItem item = new BuildableItem(task, label);
        buildables.add(item);
        QueueListener.all().forEach(listener -> listener.onEnterBuildable(item));
    }

    /** Gives waiting items to idle executors. */
    @io.agentbroker.testing.DoubleOnly
    public void maintain() {
        withLock((Runnable) () -> buildables.forEach(item -> executorFor(item).stream().findFirst().ifPresent(executor -> {
            buildables.remove(item);
            executor.begin(item.task);
        })));
    }

    private static List<Executor> executorFor(BuildableItem item) {
        return Jenkins.get().getNodes().stream()
                .filter(node -> node.canTake(item) == null && node.toComputer() != null)
                .map(Node::toComputer)
                .filter(computer -> computer.isOnline() && computer.isAcceptingTasks())
                .flatMap(computer -> computer.getExecutors().stream())
                .filter(executor -> !executor.isBusy())
                .toList();
    }
}
