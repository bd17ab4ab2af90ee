package hudson.slaves;

import hudson.model.Slave;

public class AbstractCloudComputer<T extends AbstractCloudSlave> extends SlaveComputer {
    public AbstractCloudComputer(T slave) {
        super((Slave) slave);
    }

    @Override
    @SuppressWarnings("unchecked")
    public T getNode() {
        return (T) super.getNode();
    }
}
