import hudson.model.Executor
import hudson.model.Run
import hudson.model.TaskListener
import hudson.model.listeners.RunListener

/** Keeps at hand what writes into the log of each build that runs on an agent of ours: see Farewell. */
class BuildWatch extends RunListener<Run> {
    BuildWatch() {
        super(Run)
    }

    @Override
    void onStarted(Run build, TaskListener log) {
        agent()?.voices?.put(build, log)
    }

    @Override
    void onCompleted(Run build, TaskListener log) {
        agent()?.voices?.remove(build)
    }

    private static BrokerAgent agent() {
        BrokerAgent.of(Executor.currentExecutor()?.owner)
    }
}
