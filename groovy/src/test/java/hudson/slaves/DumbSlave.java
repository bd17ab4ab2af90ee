package hudson.slaves;

import hudson.model.Computer;
import hudson.model.Slave;

public final class DumbSlave extends Slave {
    public DumbSlave(String name, String remoteFS, ComputerLauncher launcher) {
        super(name, remoteFS, launcher);
    }

    @Override
    public Computer createComputer() {
        throw new UnsupportedOperationException();
    }
}
