package hudson;

public final class TcpSlaveAgentListener {
    public static String CLI_HOST_NAME;

    @io.agentbroker.testing.DoubleOnly
    public TcpSlaveAgentListener() {}

    public int getAdvertisedPort() {
        return 50000;
    }
}
