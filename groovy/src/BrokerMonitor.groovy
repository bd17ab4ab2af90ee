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
        if (connection.awayMs < connection.settings.alertAfterMs) {
            return ''
        }
        String why = connection.problem ? " (${connection.problem})" : ''
        "Cloud ${connection.settings.cloud}: the broker at ${connection.settings.broker} has not been reached for " +
                "${BuildWords.age(connection.awayMs)}${why}. Builds of its labels wait. Look at the broker's log and at " +
                "the address in the properties file in JENKINS_HOME/agentbroker."
    }

    private static String old(Connection connection) {
        if (!older(Connection.ownVersion, connection.version)) {
            return ''
        }
        "Cloud ${connection.settings.cloud}: the files in this Jenkins are of version ${Connection.ownVersion}, the broker is " +
                "${connection.version}. Run `agentbroker init jenkins` of the broker's version and restart Jenkins."
    }

    /** By the first two numbers: a patch changes nothing that the other side would notice. */
    static boolean older(String ours, String theirs) {
        List<Integer> mine = numbers(ours)
        List<Integer> other = numbers(theirs)
        if (mine.size() < 2 || other.size() < 2) {
            return false
        }
        mine[0] < other[0] || (mine[0] == other[0] && mine[1] < other[1])
    }

    private static List<Integer> numbers(String version) {
        (version ?: '').findAll(/\d+/).take(2).collect { it as int }
    }
}
