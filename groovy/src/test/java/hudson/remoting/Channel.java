package hudson.remoting;

public class Channel {
    /** What a call over it fails with; null if it does not. */
    @io.agentbroker.testing.DoubleOnly
    public Throwable failure;

    @io.agentbroker.testing.DoubleOnly
    public Channel() {}

    public abstract static class Listener {}
}
