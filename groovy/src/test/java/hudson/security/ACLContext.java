package hudson.security;

public class ACLContext implements AutoCloseable {
    private final Runnable end;

    ACLContext(Runnable end) {
        this.end = end;
    }

    @Override
    public void close() {
        end.run();
    }
}
