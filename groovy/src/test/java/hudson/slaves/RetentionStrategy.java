package hudson.slaves;

import hudson.model.Computer;
import hudson.model.Describable;
import hudson.model.Descriptor;

public abstract class RetentionStrategy<T extends Computer> implements Describable<RetentionStrategy<?>> {
    public abstract long check(T computer);

    public void start(T computer) {
        check(computer);
    }

    public boolean isAcceptingTasks(T computer) {
        return true;
    }

    @Override
    public Descriptor<RetentionStrategy<?>> getDescriptor() {
        return null;
    }

    public static class Always extends RetentionStrategy<SlaveComputer> {
        public Always() {}

        @Override
        public long check(SlaveComputer computer) {
            return 1;
        }
    }
}
