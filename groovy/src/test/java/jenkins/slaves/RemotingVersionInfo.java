package jenkins.slaves;

public class RemotingVersionInfo {
    public static Object getMinimumSupportedVersion() {
        return "3176.v207ec082a_8c0";
    }
}
