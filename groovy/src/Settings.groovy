import jenkins.model.Jenkins

/** What agentbroker.properties says. */
class Settings {
    final String broker
    final String cloud
    final boolean tls
    final String ca
    final String tokenFile

    private Settings(Properties values) {
        broker = values.getProperty('broker', '').trim()
        cloud = values.getProperty('cloud', 'agentbroker').trim()
        tls = values.getProperty('tls', 'true').trim() != 'false'
        ca = expand(values.getProperty('ca', ''))
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
