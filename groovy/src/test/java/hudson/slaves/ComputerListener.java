package hudson.slaves;

import hudson.ExtensionList;
import hudson.ExtensionPoint;
import hudson.model.Computer;
import hudson.model.TaskListener;

public abstract class ComputerListener implements ExtensionPoint {
    public void onOnline(Computer computer, TaskListener listener) {}

    public void onOffline(Computer computer, OfflineCause cause) {}

    public void onLaunchFailure(Computer computer, TaskListener listener) {}

    public void onTemporarilyOnline(Computer computer) {}

    public void onTemporarilyOffline(Computer computer, OfflineCause cause) {}

    public void onIdle(Computer computer) {}

    public static ExtensionList<ComputerListener> all() {
        return ExtensionList.lookup(ComputerListener.class);
    }
}
