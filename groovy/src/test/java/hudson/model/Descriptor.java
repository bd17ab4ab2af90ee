package hudson.model;

import net.sf.json.JSONObject;
import org.kohsuke.stapler.StaplerRequest2;

public abstract class Descriptor<T extends Describable<T>> {
    protected Descriptor() {}

    public String getDisplayName() {
        return getClass().getName();
    }

    public T newInstance(StaplerRequest2 request, JSONObject form) {
        throw new UnsupportedOperationException("no form makes one here");
    }
}
