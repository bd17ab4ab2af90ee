// Starts agentbroker in this controller: everything else is in $JENKINS_HOME/agentbroker/. To uninstall, delete this
// file and that directory and restart (or run `agentbroker init jenkins --home DIR --remove`).
// Nothing here may stop or hold up Jenkins' boot: all is done by a thread of its own, and every failure is one line.
import java.util.logging.Level
import java.util.logging.Logger
import jenkins.model.Jenkins

Jenkins controller = Jenkins.get()
File files = new File(controller.rootDir, 'agentbroker')
Thread.startDaemon('agentbroker-start') {
    Logger log = Logger.getLogger('agentbroker')
    try {
        File jar = new File(files, 'lib/agentbroker-client.jar')
        if (!jar.file) {
            throw new FileNotFoundException("${jar} is missing; run `agentbroker init jenkins` again".toString())
        }
        // A half of an older version beside a half of a newer one would fail much later, and less clearly.
        File manifest = new File(files, 'files.sha256')
        (manifest.file ? manifest.readLines('UTF-8') : []).each { String line ->
            List<String> words = line.split('  ', 2) as List
            File told = new File(controller.rootDir, words[1])
            byte[] sum = told.file ? java.security.MessageDigest.getInstance('SHA-256').digest(told.bytes) : null
            if (sum?.encodeHex()?.toString() != words[0]) {
                String wrong = told.file ? 'is not of the version of the others' : 'is missing'
                throw new IllegalStateException("${told} ${wrong}; run `agentbroker init jenkins` again".toString())
            }
        }
        GroovyClassLoader loader = new GroovyClassLoader(controller.pluginManager.uberClassLoader)
        loader.addURL(jar.toURI().toURL())
        loader.addURL(new File(files, 'src').toURI().toURL())
        loader.addURL(new File(files, 'views').toURI().toURL())
        loader.loadClass('io.agentbroker.client.BrokerClient')
        loader.loadClass('Brokers').start(files)
    } catch (Throwable failure) {
        boolean plain = failure instanceof IllegalArgumentException || failure instanceof FileNotFoundException
        String why = (plain ? failure.message : failure.toString()).readLines().find { it.trim() }
        String text = "agentbroker: not started: ${why}; Jenkins goes on without it"
        log.logp(Level.WARNING, 'agentbroker', null, text)
        log.log(Level.FINE, text, failure)
    }
}
