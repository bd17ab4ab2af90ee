import jenkins.model.Jenkins

/** What the properties file of one broker says. */
class Settings {
    /** `cloud` and `ca` were the names of name and ca_file before 0.2. */
    private static final List<String> KEYS =
            ['broker', 'name', 'cloud', 'tls', 'ca_file', 'ca', 'cert_file', 'key_file', 'token_file', 'alert_after_s']
    /** What a cloud may be called: a part of its page's address. */
    private static final String NAME = /[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}/

    private static final String SECONDS = /\d{1,8}(\.\d{1,3})?/

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
        caFile = expand(values.getProperty('ca_file', values.getProperty('ca', '')))
        certFile = expand(values.getProperty('cert_file', ''))
        keyFile = expand(values.getProperty('key_file', ''))
        tokenFile = expand(values.getProperty('token_file', '$JENKINS_HOME/secrets/agentbroker.token'))
        String alert = values.getProperty('alert_after_s', '300').trim()
        alertAfterMs = alert ==~ SECONDS ? ((alert as double) * 1000) as long : -1
    }

    /** An IllegalArgumentException says what is wrong, on which line, and what to do. */
    static Settings read(File file) {
        PropertiesFile read = new PropertiesFile(file)
        read.unknown(KEYS).each { Log.warning("${file.name}: ${it}") }
        Settings settings = new Settings(read.values, file.name)
        settings.check(read)
        settings
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

    private void check(PropertiesFile read) {
        if (!broker) {
            throw new IllegalArgumentException('there is no broker=HOST:PORT in it')
        }
        int port = broker.lastIndexOf(':') > 0 && broker ==~ /.*:\d{1,5}/ ? broker.substring(broker.lastIndexOf(':') + 1) as int : 0
        if (port < 1 || port > 65_535 || broker ==~ /.*\s.*|.*:\/\/.*/) {
            throw read.wrong('broker', 'is no HOST:PORT, such as broker.example.com:7071; it is where server.grpc of the broker listens')
        }
        if (!(read.values.getProperty('tls', 'true').trim() in ['true', 'false'])) {
            throw read.wrong('tls', 'is neither true nor false')
        }
        if (!(cloud ==~ NAME)) {
            throw read.wrong(read.lines.containsKey('name') ? 'name' : 'cloud', 'cannot be the name of a cloud: letters, digits and ._- only')
        }
        if (alertAfterMs < 0) {
            throw read.wrong('alert_after_s', 'is no number of seconds')
        }
        if (!tokenFile) {
            throw read.wrong('token_file', 'names no file; without that line it is $JENKINS_HOME/secrets/agentbroker.token')
        }
    }

    private static String expand(String path) {
        path.trim().replace('$JENKINS_HOME', Jenkins.get().rootDir.path)
    }
}
