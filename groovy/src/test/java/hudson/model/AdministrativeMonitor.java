package hudson.model;

import hudson.ExtensionPoint;

public abstract class AdministrativeMonitor implements ExtensionPoint {
    public final String id;

    protected AdministrativeMonitor(String id) {
        this.id = id;
    }

    public String getDisplayName() {
        return id;
    }

    public abstract boolean isActivated();
}
