import hudson.TcpSlaveAgentListener
import hudson.slaves.SlaveComputer
import jenkins.model.Jenkins
import jenkins.model.identity.InstanceIdentityProvider
import jenkins.slaves.RemotingVersionInfo

/** What Jenkins answers agents that ask where its TCP port is, and whose it is: the broker hears it over a connection that has a token. */
class AgentPort {
    /** Reads nothing but memory; what Jenkins does not have, or cannot say, is left out. Never throws. */
    static Map<String, Object> describe() {
        Map<String, Object> found = [:]
        [instance_identity: { InstanceIdentityProvider.RSA.publicKey?.encoded?.encodeBase64()?.toString() },
         agent_host: { TcpSlaveAgentListener.CLI_HOST_NAME },
         agent_port: { Jenkins.get().tcpSlaveAgentListener?.advertisedPort },
         remoting_minimum_version: { oldest() }].each { String key, Closure look ->
            try {
                def value = look.call()
                if (value) {
                    found[key] = value
                }
            } catch (Throwable unusable) { // a plugin's, or another Jenkins than those we have seen
                Log.fine(unusable)
            }
        }
        found
    }

    private static String oldest() {
        SlaveComputer.ALLOW_UNSUPPORTED_REMOTING_VERSIONS ? '' : RemotingVersionInfo.minimumSupportedVersion.toString()
    }
}
