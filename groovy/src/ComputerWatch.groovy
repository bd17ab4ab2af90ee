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
            fleet.link.syncSoon()
        }
    }

    @Override
    void onOffline(Computer computer, OfflineCause cause) {
        if (computer instanceof BrokerComputer) {
            fleet.link.syncSoon()
        }
    }
}
