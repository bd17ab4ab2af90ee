package hudson.slaves;

public class JNLPLauncher extends ComputerLauncher {
    public JNLPLauncher() {}

    @Override
    public boolean isLaunchSupported() {
        return false;
    }
}
