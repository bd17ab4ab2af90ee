package hudson.model;

import hudson.slaves.ComputerLauncher;
import hudson.slaves.RetentionStrategy;

public abstract class Slave extends Node {
    protected String name;
    private final String remoteFS;
    private final ComputerLauncher launcher;
    private RetentionStrategy<?> retentionStrategy;
    private String label = "";
    private String description = "";
    private int numExecutors = 1;
    private Node.Mode mode = Node.Mode.NORMAL;

    protected Slave(String name, String remoteFS, ComputerLauncher launcher) {
        this.name = name;
        this.remoteFS = remoteFS;
        this.launcher = launcher;
    }

    @Override
    public String getNodeName() {
        return name;
    }

    public void setNodeName(String value) {
        name = value;
    }

    public String getRemoteFS() {
        return remoteFS;
    }

    public ComputerLauncher getLauncher() {
        return launcher;
    }

    public RetentionStrategy getRetentionStrategy() {
        return retentionStrategy;
    }

    public void setRetentionStrategy(RetentionStrategy strategy) {
        retentionStrategy = strategy;
    }

    @Override
    public String getLabelString() {
        return label;
    }

    public void setLabelString(String labels) {
        label = labels;
    }

    public String getNodeDescription() {
        return description;
    }

    public void setNodeDescription(String value) {
        description = value;
    }

    @Override
    public int getNumExecutors() {
        return numExecutors;
    }

    public void setNumExecutors(int count) {
        numExecutors = count;
    }

    @Override
    public Node.Mode getMode() {
        return mode;
    }

    public void setMode(Node.Mode value) {
        mode = value;
    }

    @SuppressWarnings({"rawtypes", "unchecked"})
    public abstract static class SlaveDescriptor extends Descriptor {
        public boolean isInstantiable() {
            return true;
        }
    }
}
