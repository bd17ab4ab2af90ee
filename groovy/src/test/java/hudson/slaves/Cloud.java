package hudson.slaves;

import hudson.ExtensionPoint;
import hudson.model.Describable;
import hudson.model.Descriptor;
import hudson.model.Label;
import hudson.security.ACL;
import hudson.security.Permission;
import java.util.Collection;
import net.sf.json.JSONObject;
import org.kohsuke.stapler.StaplerRequest2;

public abstract class Cloud implements ExtensionPoint, Describable<Cloud> {
    public static final Permission PROVISION = new Permission();

    public String name;

    protected Cloud(String name) {
        this.name = name;
    }

    public Collection<NodeProvisioner.PlannedNode> provision(Label label, int excessWorkload) {
        throw new UnsupportedOperationException();
    }

    public Collection<NodeProvisioner.PlannedNode> provision(CloudState state, int excessWorkload) {
        return provision(state.getLabel(), excessWorkload);
    }

    public boolean canProvision(Label label) {
        throw new UnsupportedOperationException();
    }

    public boolean canProvision(CloudState state) {
        return canProvision(state.getLabel());
    }

    public ACL getACL() {
        return null;
    }

    public String getIconClassName() {
        return "symbol-cloud";
    }

    public String getIconAltText() {
        return getClass().getSimpleName();
    }

    public Cloud reconfigure(StaplerRequest2 request, JSONObject form) {
        throw new UnsupportedOperationException();
    }

    @Override
    public Descriptor<Cloud> getDescriptor() {
        return null;
    }

    public static final class CloudState {
        private final Label label;

        public CloudState(Label label, int additionalPlannedCapacity) {
            this.label = label;
        }

        public Label getLabel() {
            return label;
        }
    }
}
