import hudson.model.Descriptor
import hudson.model.TaskListener
import hudson.slaves.ComputerLauncher
import hudson.slaves.JNLPLauncher
import hudson.slaves.SlaveComputer
import jenkins.model.Jenkins

/** Starts nothing: the broker does. Tells Jenkins that the agent is on its way, and returns at once. */
class BrokerLauncher extends JNLPLauncher {
    @Override
    boolean isLaunchSupported() { // else launch() is never called
        true
    }

    @Override
    void launch(SlaveComputer computer, TaskListener listener) {
        BrokerAgent agent = (BrokerAgent) computer.node
        if (agent != null) {
            agent.why = agent.why ?: "${agent.nodeName} is being started".toString()
            ((BrokerComputer) computer).explain() // with no cause set, Jenkins takes the launch for failed
        } else {
            computer.setOfflineCause(hudson.slaves.OfflineCause.create(
                    new jenkins.util.NonLocalizable("${computer.name} is being removed".toString())))
        }
        agent?.journal?.reopen(listener.logger)
        if (agent == null || agent.launched || agent.gone) { // Jenkins launches again while a node is being removed
            return
        }
        agent.launched = true
        ((BrokerComputer) computer).launching()
    }

    @Override
    Descriptor<ComputerLauncher> getDescriptor() {
        (Descriptor<ComputerLauncher>) Jenkins.get().getDescriptorOrDie(JNLPLauncher)
    }
}
