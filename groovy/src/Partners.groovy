import hudson.model.Label
import hudson.model.Node
import hudson.model.Queue
import jenkins.model.Jenkins

/** For one look at the queue: which agent each waiting build waits for, as far as one can say, and why there is none. */
class Partners {
    private final List<Fleet> fleets
    private final Set<BrokerAgent> taken
    private final Map<Long, BrokerAgent> askedFor = [:]
    private final List<BrokerAgent> free
    private final Map<BrokerAgent, Integer> places = [:]
    private final Map<Object, List<String>> whys = [:]

    Partners(List<Fleet> fleets, List<Queue.BuildableItem> waiting, Collection<WaitingBuild> builds) {
        this.fleets = fleets
        List<BrokerAgent> all = fleets.collectMany { it.all() }.findAll { !it.gone }.sort { it.serial }
        taken = builds*.agent.findAll().toSet()
        all.findAll { it.itemId && !isLost(it) }.each { askedFor[it.itemId] = it }
        Set<Long> ids = waiting*.id as Set
        free = all.findAll { !isLost(it) && !(it.itemId && ids.contains(it.itemId)) }
        all.findAll { !it.everOnline && (it.waitsForRoom || it.journal.last?.event == 'waiting') }.sort { it.line }.groupBy { it.policy }.each { policy, agents ->
            agents.eachWithIndex { agent, number -> places[agent] = number + 1 }
        }
    }

    /** Another build has it, or it takes none any more. */
    static boolean isLost(BrokerAgent agent) {
        agent.gone || agent.places <= 0
    }

    /** Which in line, among those of its policy that wait for room; 0 for one that does not. The stream tells before the sync. */
    int placeOf(BrokerAgent agent) {
        places[agent] ?: 0
    }

    /** Its own agent, else one that was asked for by nobody who still waits; null for none. */
    BrokerAgent takeFor(WaitingBuild build) {
        Label label = build.item.assignedLabel
        BrokerAgent own = askedFor[build.id]
        BrokerAgent found = own != null && !taken.contains(own) ? own :
                free.find { !taken.contains(it) && Fleet.serves(it.kind, label) }
        if (found != null) {
            taken << found
        }
        found
    }

    /** Nothing where Jenkins itself, or another cloud, may run it. */
    List<String> whyNone(Label label) {
        whys.computeIfAbsent(Fleet.key(label)) { reasons(label) }
    }

    private List<String> reasons(Label label) {
        Fleet serving = fleets.find { it.policyFor(label) != null }
        if (serving == null) {
            return othersServe(label) ? [] : nobody(label)
        }
        Policy policy = serving.policyFor(label)
        if (serving.link.trouble) {
            return ["policy ${policy.name}: ${serving.link.trouble}".toString()]
        }
        Map refusal = policy.refusalOf(label)
        if (refusal != null) {
            return ["${refusal.reason}: ${BuildWords.lines(refusal.message).find() ?: ''}".toString(),
                    '  it is asked for again when the policies of the broker change']
        }
        policy.open ? ["waiting for an agent of policy ${policy.name}".toString()] :
                ["policy ${policy.name}: the broker has refused the last agent; it is asked again within a minute".toString()]
    }

    private List<String> nobody(Label label) {
        Fleet unknown = fleets.find { !it.link.connection.everUp }
        unknown != null ? ["${unknown.link.trouble ?: 'the broker has not answered yet'}; what it could run is not known".toString()] :
                BuildWords.unserved(label, fleets.collectMany { it.policies })
    }

    /** Whether Jenkins itself, or another cloud, may run builds of a label that no policy serves. */
    static boolean othersServe(Label label) {
        if (label != null) {
            return !label.empty
        }
        Jenkins jenkins = Jenkins.get()
        jenkins.numExecutors > 0 || jenkins.nodes.any { it.mode == Node.Mode.NORMAL && it.numExecutors > 0 } ||
                jenkins.clouds.any { it.canProvision(new hudson.slaves.Cloud.CloudState(null, 0)) }
    }
}
