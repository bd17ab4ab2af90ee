package jenkins.model;

import hudson.ExtensionList;
import hudson.ExtensionPoint;
import hudson.model.Node;
import java.util.List;

public abstract class NodeListener implements ExtensionPoint {
    protected void onCreated(Node node) {}

    protected void onDeleted(Node node) {}

    public static List<NodeListener> all() {
        return ExtensionList.lookup(NodeListener.class);
    }
}
