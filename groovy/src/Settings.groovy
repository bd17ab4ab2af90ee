import jenkins.model.Jenkins

/** What the properties file of one broker says. */
class Settings {
    /** What a cloud may be called: a part of its page's address. */
    private static final String NAME = /[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}/

    /** The name of the file. */
    final String file
    final String broker
    /** The cloud's name in Jenkins; each broker has one of its own. */
    final String cloud
    final boolean tls
    /** PEM files of TLS; empty for the JVM's authorities, and for no certificate of ours. */
    final String caFile
    final String certFile
    final String keyFile
    final String tokenFile
    /** After so long (ms) without the broker administrators are told. */
    final long alertAfterMs

    private Settings(Properties values, String file = 'agentbroker.properties') {
        this.file = file
        broker = values.getProperty('broker', '').trim()
        cloud = values.getProperty('name', values.getProperty('cloud', 'agentbroker')).trim() // `cloud` until 0.2
        tls = values.getProperty('tls', 'true').trim() != 'false'
        caFile = expand(values.getProperty('ca_file', values.getProperty('ca', ''))) // its name before 0.2
        certFile = expand(values.getProperty('cert_file', ''))
        keyFile = expand(values.getProperty('key_file', ''))
        tokenFile = expand(values.getProperty('token_file', '$JENKINS_HOME/secrets/agentbroker.token'))
        alertAfterMs = ((values.getProperty('alert_after_s', '300').trim() as double) * 1000) as long
        if (!broker) {
            throw new IllegalArgumentException('there is no broker=HOST:PORT in it')
        }
        if (!(cloud ==~ NAME)) {
            throw new IllegalArgumentException("name=${cloud} cannot be a cloud's name: letters, digits and ._- only".toString())
        }
    }

    static Settings read(File file) {
        Properties values = new Properties()
        file.withReader('UTF-8') { values.load(it) }
        new Settings(values, file.name)
    }

    /** Throws when the other, which comes later, would be a second cloud of this name or a second link of this controller. */
    void checkNotSame(Settings other) {
        if (other.cloud == cloud) {
            throw new IllegalArgumentException("the name ${cloud} is that of ${file}; give it a name of its own".toString())
        }
        if (other.broker == broker && other.token != null && other.token == token) {
            throw new IllegalArgumentException("it has the broker and the token of ${file}; one of them is enough".toString())
        }
    }

    private String getToken() {
        File file = new File(tokenFile)
        file.canRead() ? file.text.trim() : null
    }

    private static String expand(String path) {
        path.trim().replace('$JENKINS_HOME', Jenkins.get().rootDir.path)
    }
}
