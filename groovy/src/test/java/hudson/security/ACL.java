package hudson.security;

import org.springframework.security.core.Authentication;

/** Two sights only: the system's, and that of an anonymous visitor, who sees no job. */
public abstract class ACL {
    public static final Authentication SYSTEM2 = new Authentication() {};
    private static final ThreadLocal<Authentication> CURRENT = new ThreadLocal<>();

    public static ACLContext as2(Authentication auth) {
        Authentication before = CURRENT.get();
        CURRENT.set(auth);
        return new ACLContext(() -> CURRENT.set(before));
    }

    public final void checkPermission(Permission permission) {}

    public final boolean hasPermission(Permission permission) {
        return true;
    }

    @io.agentbroker.testing.DoubleOnly
    public static boolean seesJobs() {
        return CURRENT.get() == SYSTEM2;
    }
}
