package jenkins.slaves;

import jenkins.security.HMACConfidentialKey;

public abstract class JnlpAgentReceiver {
    public static final HMACConfidentialKey SLAVE_SECRET = new HMACConfidentialKey();
}
