import hudson.model.Computer
import hudson.model.TaskListener
import hudson.slaves.ComputerListener
import hudson.slaves.OfflineCause

/** Tells the broker at once when an agent of ours comes or goes. */
class ComputerWatch extends ComputerListener {
    private final Fleet fleet

    ComputerWatch(Fleet fleet) {
        this.fleet = fleet
    }

    @Override
    void onOnline(Computer computer, TaskListener listener) {
        BrokerAgent agent = ours(computer)
        if (agent != null) {
            agent.everOnline = true
            agent.availableSince = System.currentTimeMillis()
            fleet.retirement.consider(agent)
            fleet.link.syncSoon()
        }
    }

    @Override
    void onOffline(Computer computer, OfflineCause cause) {
        if (computer instanceof BrokerComputer) {
            fleet.link.syncSoon()
        }
    }

    /** A person has brought it back. */
    @Override
    void onTemporarilyOnline(Computer computer) {
        BrokerAgent agent = ours(computer)
        if (agent != null) {
            agent.availableSince = System.currentTimeMillis()
            fleet.retirement.consider(agent)
            fleet.link.syncSoon()
        }
    }

    /** A person has set it aside: a build that waits may need another one. */
    @Override
    void onTemporarilyOffline(Computer computer, OfflineCause cause) {
        if (ours(computer) != null) {
            fleet.link.syncSoon()
            fleet.reviewAll()
        }
    }

    @Override
    void onIdle(Computer computer) {
        BrokerAgent agent = ours(computer)
        if (agent != null) {
            fleet.retirement.consider(agent)
            fleet.link.syncSoon()
        }
    }

    /** The agent of this fleet, if it is one. */
    private BrokerAgent ours(Computer computer) {
        BrokerAgent agent = BrokerAgent.of(computer)
        agent?.fleet?.is(fleet) ? agent : null
    }
}
