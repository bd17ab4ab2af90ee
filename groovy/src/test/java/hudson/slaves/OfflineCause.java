package hudson.slaves;

import org.jvnet.localizer.Localizable;

public abstract class OfflineCause {
    public static OfflineCause create(Localizable description) {
        return new OfflineCause() {
            @Override
            public String toString() {
                return description.toString();
            }
        };
    }
}
