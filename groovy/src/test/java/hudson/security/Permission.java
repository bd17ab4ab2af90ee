package hudson.security;

public final class Permission {
    @io.agentbroker.testing.DoubleOnly
    public Permission() {}
}
