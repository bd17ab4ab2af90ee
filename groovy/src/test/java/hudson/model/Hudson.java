package hudson.model;

import java.io.File;
import jenkins.model.Jenkins;

public class Hudson extends Jenkins {
    @io.agentbroker.testing.DoubleOnly
    public Hudson(File root) {
        super(root);
    }

    public static class CloudList extends Jenkins.CloudList {
        public CloudList(Jenkins owner) {
            super(owner);
        }
    }
}
