package hudson;

public final class TcpSlaveAgentListener {
    public static String CLI_HOST_NAME;

    private TcpSlaveAgentListener() {}

    public int getAdvertisedPort() {
        return 50000;
    }
}
