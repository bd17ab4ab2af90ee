package jenkins.model;

import hudson.PluginManager;
import hudson.TcpSlaveAgentListener;
import hudson.init.InitMilestone;
import hudson.model.Computer;
import hudson.model.Descriptor;
import hudson.model.Hudson;
import hudson.model.Label;
import hudson.model.Node;
import hudson.model.Queue;
import hudson.model.Slave;
import hudson.model.labels.LabelAtom;
import hudson.slaves.AbstractCloudSlave;
import hudson.slaves.Cloud;
import hudson.slaves.NodeProvisioner;
import hudson.slaves.RetentionStrategy;
import hudson.slaves.SlaveComputer;
import hudson.util.DescribableList;
import hudson.util.XStream2;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

public class Jenkins {
    public static final XStream2 XSTREAM2 = new XStream2();
    public static String VERSION = "double";
    private static volatile Jenkins instance;

    public final Hudson.CloudList clouds = new Hudson.CloudList(this);
    public final transient NodeProvisioner unlabeledNodeProvisioner = new NodeProvisioner(null);
    public final transient PluginManager pluginManager = new PluginManager();
    private final Map<String, Node> nodes = new ConcurrentHashMap<>();
    private final Map<Node, Computer> computers = new ConcurrentHashMap<>();
    private final Queue queue = new Queue();
    private final File root;
    private volatile boolean quietingDown;
    private volatile TcpSlaveAgentListener tcpSlaveAgentListener;

    @io.agentbroker.testing.DoubleOnly
    protected Jenkins(File root) {
        this.root = root;
        instance = this;
    }

    public static Jenkins get() {
        return instance;
    }

    public static Jenkins getInstanceOrNull() {
        return instance;
    }

    public TcpSlaveAgentListener getTcpSlaveAgentListener() {
        return tcpSlaveAgentListener;
    }

    @io.agentbroker.testing.DoubleOnly
    public void setTcpSlaveAgentListener(TcpSlaveAgentListener listener) {
        tcpSlaveAgentListener = listener;
    }

    public File getRootDir() {
        return root;
    }

    public PluginManager getPluginManager() {
        return pluginManager;
    }

    public InitMilestone getInitLevel() {
        return InitMilestone.COMPLETED;
    }

    public boolean isTerminating() {
        return false;
    }

    public boolean isQuietingDown() {
        return quietingDown;
    }

    @io.agentbroker.testing.DoubleOnly
    public void setQuietingDown(boolean quietingDown) {
        this.quietingDown = quietingDown;
    }

    public String getRootUrl() {
        return "http://127.0.0.1/";
    }

    public static void checkGoodName(String name) {
        if (name.isBlank() || name.matches(".*[?*/\\\\%!@#$^&|<>\\[\\]:;].*")) {
            throw new IllegalArgumentException("the name is not good: " + name);
        }
    }

    public LabelAtom getLabelAtom(String name) {
        return new LabelAtom(name);
    }

    public Queue getQueue() {
        return queue;
    }

    public Computer[] getComputers() {
        return computers.values().toArray(new Computer[0]);
    }

    public List<Node> getNodes() {
        return new ArrayList<>(nodes.values());
    }

    public Node getNode(String name) {
        return nodes.get(name);
    }

    @SuppressWarnings({"rawtypes", "unchecked"})
    public void addNode(Node node) throws IOException {
        if (nodes.put(node.getNodeName(), node) == node) {
            return;
        }
        Computer computer = ((AbstractCloudSlave) node).createComputer();
        computers.put(node, computer);
        ((RetentionStrategy) ((Slave) node).getRetentionStrategy()).start(computer);
        NodeListener.all().forEach(listener -> listener.onCreated(node));
    }

    public void removeNode(Node node) throws IOException {
        if (nodes.get(node.getNodeName()) != node) {
            return;
        }
        Queue.withLock((Runnable) () -> {
            Computer computer = node.toComputer();
            computer.disconnect(hudson.slaves.OfflineCause.create(new jenkins.util.NonLocalizable("is being removed")));
            nodes.remove(node.getNodeName());
            ((SlaveComputer) computer).channelIs(null);
        });
        computers.remove(node);
        NodeListener.all().forEach(listener -> listener.onDeleted(node));
    }

    public Descriptor getDescriptorOrDie(Class type) {
        throw new UnsupportedOperationException();
    }

    @io.agentbroker.testing.DoubleOnly
    public Computer computerOf(Node node) {
        return computers.get(node);
    }

    public static class CloudList extends DescribableList<Cloud, Descriptor<Cloud>> {
        public CloudList(Jenkins owner) {}
    }
}
