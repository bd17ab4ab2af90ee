import hudson.model.AdministrativeMonitor

/**
 * Tells administrators when a broker has been away for long, or is newer than the files in this controller. Jenkins saves
 * that one was dismissed by its id, which therefore stays what it is; it saves nothing else of it.
 */
class BrokerMonitor extends AdministrativeMonitor {
    static final String ID = 'agentbroker'

    private final List<Connection> connections

    BrokerMonitor(List<Connection> connections) {
        super(ID)
        this.connections = connections
    }

    @Override
    String getDisplayName() {
        'agentbroker'
    }

    @Override
    boolean isActivated() {
        try {
            !lines.empty
        } catch (Throwable failure) {
            Log.fine("the administrative monitor failed: ${failure}")
            false
        }
    }

    /** What is wrong, and what to do; a line each. */
    List<String> getLines() {
        connections.collectMany { [away(it), old(it)] }.findAll()
    }

    private static String away(Connection connection) {
        if (connection.up || connection.awayMs < connection.settings.alertAfterMs) { // which may be 0: at once
            return ''
        }
        String why = connection.problem ? " (${connection.problem})" : ''
        "Cloud ${connection.settings.cloud}: the broker at ${connection.settings.broker} has not been reached for " +
                "${BuildWords.age(connection.awayMs)}${why}. Builds of its labels wait. Look at the broker's log and at " +
                "the address in the properties file in JENKINS_HOME/agentbroker."
    }

    private static String old(Connection connection) {
        if (!Versions.older(Connection.ownVersion, connection.version)) {
            return ''
        }
        "Cloud ${connection.settings.cloud}: the files in this Jenkins are of version ${Connection.ownVersion}, the broker is " +
                "${connection.version}. Run `agentbroker init jenkins` of the broker's version and restart Jenkins."
    }
}
