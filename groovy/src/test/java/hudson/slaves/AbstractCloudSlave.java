package hudson.slaves;

import hudson.model.Slave;
import hudson.model.TaskListener;
import java.io.IOException;
import jenkins.model.Jenkins;

public abstract class AbstractCloudSlave extends Slave {
    protected AbstractCloudSlave(String name, String remoteFS, ComputerLauncher launcher) {
        super(name, remoteFS, launcher);
    }

    @Override
    public abstract AbstractCloudComputer createComputer();

    public void terminate() throws InterruptedException, IOException {
        _terminate(null);
        Jenkins.get().removeNode(this);
    }

    protected abstract void _terminate(TaskListener listener) throws IOException, InterruptedException;
}
