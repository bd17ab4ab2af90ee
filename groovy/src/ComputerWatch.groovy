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
        BrokerAgent agent = computer instanceof BrokerComputer ? computer.node : null
        if (agent != null && agent.fleet.is(fleet)) {
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
        BrokerAgent agent = computer instanceof BrokerComputer ? computer.node : null
        if (agent != null && agent.fleet.is(fleet)) {
            agent.availableSince = System.currentTimeMillis()
            fleet.retirement.consider(agent)
            fleet.link.syncSoon()
        }
    }

    /** A person has set it aside: a build that waits may need another one. */
    @Override
    void onTemporarilyOffline(Computer computer, OfflineCause cause) {
        if (computer instanceof BrokerComputer && computer.node?.fleet?.is(fleet)) {
            fleet.link.syncSoon()
            fleet.reviewAll()
        }
    }

    @Override
    void onIdle(Computer computer) {
        BrokerAgent agent = computer instanceof BrokerComputer ? computer.node : null
        if (agent != null && agent.fleet.is(fleet)) {
            fleet.retirement.consider(agent)
            fleet.link.syncSoon()
        }
    }
}
