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

    public abstract static class UserCause extends OfflineCause {}

    public abstract static class ByCLI extends OfflineCause {}
}
