package hudson.slaves;

import hudson.model.Computer;
import hudson.model.Slave;
import hudson.model.TaskListener;
import hudson.remoting.Channel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import jenkins.util.Timer;

public class SlaveComputer extends Computer {
    public static boolean ALLOW_UNSUPPORTED_REMOTING_VERSIONS;
    private final ByteArrayOutputStream log = new ByteArrayOutputStream();
    private volatile Channel channel;
    private volatile Future<?> lastConnectActivity;

    public SlaveComputer(Slave slave) {
        super(slave);
    }

    @Override
    public Slave getNode() {
        return (Slave) super.getNode();
    }

    @Override
    public Channel getChannel() {
        return channel;
    }

    public ComputerLauncher getLauncher() {
        return getNode().getLauncher();
    }

    @Override
    public boolean isConnecting() {
        Future<?> last = lastConnectActivity;
        return isOffline() && last != null && !last.isDone();
    }

    /** As core: a launch that leaves neither channel nor cause behind has failed. */
    @Override
    public Future<?> connect(boolean forceReconnect) {
        if (!forceReconnect && isConnecting()) {
            return lastConnectActivity;
        }
        lastConnectActivity = Timer.get().schedule(() -> {
            offlineCause = null;
            log.reset();
            Slave node = getNode();
            if (node != null) {
                node.getLauncher().launch(this, getListener());
            }
            if (channel == null && offlineCause == null) {
                ComputerListener.all().forEach(listener -> listener.onLaunchFailure(this, getListener()));
            }
            return null;
        }, 0, TimeUnit.MILLISECONDS);
        return lastConnectActivity;
    }

    public TaskListener getListener() {
        return new TaskListener() {
            @Override
            public PrintStream getLogger() {
                return new PrintStream(log, true);
            }

            @Override
            public PrintWriter error(String message) {
                return new PrintWriter(log, true);
            }
        };
    }

    /** As core: what was in the log is elsewhere. */
    public OutputStream openLogFile() {
        log.reset();
        return log;
    }

    @io.agentbroker.testing.DoubleOnly
    public String log() {
        return log.toString();
    }

    @Override
    public hudson.security.ACL getACL() {
        return null;
    }

    /** As core: asks the agent's side for its version first, before anything is changed. */
    public void setChannel(Channel channel, OutputStream launchLog, Channel.Listener listener)
            throws IOException, InterruptedException {
        if (channel.failure != null) {
            throw new IOException("Remote call failed", channel.failure);
        }
        channelIs(channel);
    }

    @io.agentbroker.testing.DoubleOnly
    public void channelIs(Channel channel) {
        if (channel != null) {
            new PrintStream(openLogFile(), true).println("Inbound agent connected");
        }
        this.channel = channel;
        if (channel != null) {
            offlineCause = null;
            ComputerListener.all().forEach(listener -> listener.onOnline(this, getListener()));
        } else {
            ComputerListener.all().forEach(listener -> listener.onOffline(this, offlineCause));
        }
    }
}
