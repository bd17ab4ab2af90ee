import jenkins.model.Jenkins

/** What agentbroker.properties says. */
class Settings {
    final String broker
    final String cloud
    final boolean tls
    /** PEM files of TLS; empty for the JVM's authorities, and for no certificate of ours. */
    final String caFile
    final String certFile
    final String keyFile
    final String tokenFile

    private Settings(Properties values) {
        broker = values.getProperty('broker', '').trim()
        cloud = values.getProperty('cloud', 'agentbroker').trim()
        tls = values.getProperty('tls', 'true').trim() != 'false'
        caFile = expand(values.getProperty('ca_file', values.getProperty('ca', ''))) // its name before 0.2
        certFile = expand(values.getProperty('cert_file', ''))
        keyFile = expand(values.getProperty('key_file', ''))
        tokenFile = expand(values.getProperty('token_file', '$JENKINS_HOME/secrets/agentbroker.token'))
        if (!broker) {
            throw new IllegalArgumentException('agentbroker.properties has no broker=HOST:PORT')
        }
    }

    static Settings read(File file) {
        Properties values = new Properties()
        file.withReader('UTF-8') { values.load(it) }
        new Settings(values)
    }

    private static String expand(String path) {
        path.trim().replace('$JENKINS_HOME', Jenkins.get().rootDir.path)
    }
}
