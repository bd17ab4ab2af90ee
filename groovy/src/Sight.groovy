import hudson.ExtensionList
import hudson.model.AdministrativeMonitor

/** What people see of all brokers of this controller together: the logs of builds that wait, and the notice of administrators. */
class Sight {
    /** Before the links start. */
    static void open(List<Fleet> fleets) {
        BuildLog log = new BuildLog(fleets)
        fleets.each { it.buildLog = log }
        log.start()
        ExtensionList.lookup(AdministrativeMonitor).add(new BrokerMonitor(fleets*.link*.connection))
    }
}
