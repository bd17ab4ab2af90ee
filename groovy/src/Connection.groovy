import io.agentbroker.client.BrokerClient

/** How the connection to one broker is, for people: since when, why not, and one line in the system log at each change. */
class Connection {
    final Settings settings
    volatile boolean up
    /** Since when (ms) it is as it is. */
    volatile long since = System.currentTimeMillis()
    volatile boolean everUp
    /** What was last wrong, in the words of its beginning, and when that was; kept when it is over. */
    volatile String problem = ''
    volatile long problemAt
    /** What the broker said of itself; empty before it has. */
    volatile String version = ''
    volatile String controller = ''
    volatile String gatewayUrl = ''
    /** Where people read of an agent: its name is to be appended; empty where no URL is known. */
    volatile String agentPage = ''
    private String kind = ''
    /** The broker's version that the system log was told of. */
    private String versionTold = ''

    Connection(Settings settings) {
        this.settings = settings
    }

    /** A handshake's reply. */
    void told(Map reply) {
        version = reply.broker_version
        controller = reply.controller
        gatewayUrl = reply.gateway_url
        agentPage = reply.agent_page
    }

    void established(List<Policy> policies) {
        String after = everUp || problem ? ", back after ${BuildWords.age(System.currentTimeMillis() - since)}" : ''
        since = System.currentTimeMillis()
        up = true
        everUp = true
        kind = ''
        Log.info("connected to ${settings.broker} (broker ${version}, cloud \"${settings.cloud}\", " +
                "${policies.size()} policies: ${policies*.name.join(', ')})${after}")
        if (version != versionTold) {
            Versions.tell(ownVersion, version)
            versionTold = version
        }
    }

    /** A try has failed, the first or a later one: a line when that is news. `now`: what it is, in two words. */
    void failed(String now, String why, int pauseS) {
        if (up || !problemAt) {
            since = System.currentTimeMillis()
        }
        up = false
        String text = "${settings.broker} ${now} (${why}); Jenkins goes on without it, next try in ${pauseS} s"
        if (now == kind) {
            Log.fine(text)
            return
        }
        kind = now
        problem = BuildWords.clean(why)
        problemAt = System.currentTimeMillis()
        Log.warning(text)
    }

    /** One line, the same for as long as it lasts; empty while all is well, and before the first answer. */
    String getTrouble() {
        String how = [('refused us'): 'has refused us', ('not asked'): 'is not asked'].getOrDefault(kind, "is ${kind}")
        up || !kind ? '' : "the broker at ${settings.broker} ${how} since ${BuildWords.at(since)} (${problem}); it is tried again by itself"
    }

    /** How long (ms) the broker has been away; 0 while it is there. */
    long getAwayMs() {
        up ? 0L : Math.max(0L, System.currentTimeMillis() - since)
    }

    /** The version of the files in this controller. */
    static String getOwnVersion() {
        BrokerClient.VERSION
    }
}
