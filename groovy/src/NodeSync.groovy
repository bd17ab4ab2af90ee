import hudson.model.Queue
import jenkins.model.Jenkins

/** The full truth of both sides, exchanged: what Jenkins has, and what the broker says that it must have. */
class NodeSync {
    private static final long SURPLUS_MS = 5_000
    /** After so long the planned node of an agent is lost: Jenkins adds it within 2 s. */
    private static final long PLANNED_MS = 10_000
    /** Ends that need no word. */
    private static final Set<String> ORDINARY = ['Completed', 'IdleTimeout', 'Cancelled'] as Set

    private final Fleet fleet
    private final BrokerLink link
    private final Unmatched unserved

    NodeSync(Fleet fleet, BrokerLink link) {
        this.fleet = fleet
        unserved = new Unmatched(fleet)
        this.link = link
    }

    List<Map> nodes() {
        List<BrokerAgent> before = fleet.all().findAll { it.resumes } // who is marked from now on stays so
        Set<String> resumed = resumedNodes()
        before.findAll { !resumed.contains(it.nodeName) }.each { it.resumes = false }
        fleet.all().findAll { exists(it) }.collect { BrokerAgent agent ->
            agent.resumes = agent.resumes || resumed.contains(agent.nodeName)
            describe(agent)
        }
    }

    /** Names of our agents for which a build waits that they ran before: found in one walk over the queue. */
    private Set<String> resumedNodes() {
        Set<String> found = new HashSet<>()
        for (Queue.Item item : Jenkins.get().queue.items) {
            BrokerAgent agent = fleet.agent(item.assignedLabel?.name ?: '')
            if (agent?.isResumption(item)) {
                found << agent.nodeName
            }
        }
        found
    }

    private static Map describe(BrokerAgent agent) {
        BrokerComputer computer = (BrokerComputer) agent.toComputer()
        int uses = agent.uses.get() // first: a build that begins just now is told as busy, and never as one that is done
        boolean online = computer?.channel != null // a person who sets it aside does not end its connection
        [name         : agent.nodeName,
         online       : online,
         accepting    : online && computer.online && computer.acceptingTasks && agent.acceptingTasks && !agent.usedUp,
         busy         : agent.resumes || Resumption.isExpected(agent) || (computer != null && !computer.idle),
         uses         : uses,
         current_build: computer?.currentBuild ?: buildThatWaits(agent),
         offline_cause: computer?.saidByJenkins ?: '']
    }

    private static Object buildThatWaits(BrokerAgent agent) {
        Queue.Task task = agent.waitedForBy
        task == null ? '' : Origin.build(task)
    }

    List<Map> queue() {
        long now = System.currentTimeMillis()
        Backlog waiting = fleet.backlog()
        waiting.keys.collect { key ->
            List<Queue.BuildableItem> items = waiting.of(key)
            [policy          : fleet.policyFor(waiting.label(key))?.name ?: '',
             label_expression: key,
             length          : items.size(),
             oldest_age      : Math.max(0L, now - items*.buildableStartMilliseconds.min()) / 1000d]
        }
    }

    /** Labels of waiting builds that nothing serves. */
    List<Map> unmatched() {
        unserved.list(Jenkins.get().queue.buildableItems)
    }

    List<String> pending() {
        fleet.all().findAll { !exists(it) }*.nodeName
    }

    /** Makes the nodes of this controller what the reply says. */
    void apply(Map reply) {
        unserved.arrived()
        boolean wereStalled = fleet.all().any { it.stalled }
        eachAlone(reply.agents) { Map told ->
            BrokerAgent agent = fleet.agent(told.name)
            agent == null ? fleet.adopt(told) : tell(agent, told)
        }
        eachAlone(reply.remove) {
            if (it.cancel_build) {
                Overdue.cancelBuild(it, fleet)
            }
            remove(it.name, it.reason, it.message)
        }
        eachAlone(reply.unknown.findAll { !link.isUnanswered(it) }) { remove(it, '', 'the broker does not know it') }
        eachAlone(reply.wanted) { Wishes.fulfil(it, fleet) }
        releaseSurplus()
        if (!wereStalled && fleet.all().any { it.stalled }) {
            fleet.reviewAll() // other clouds may serve what we have no room for
        }
    }

    /** One that fails keeps no other from its turn; the next sync tries it again. */
    private static void eachAlone(Collection items, Closure action) {
        items.each {
            try {
                action.call(it)
            } catch (Exception failure) {
                Log.warning("a node could not be made what the broker says: ${it}", failure)
            }
        }
    }

    /** An answer to RequestAgents: a refused agent ends here, and its words are its offline cause. */
    void answered(Map answer) {
        BrokerAgent agent = fleet.agent(answer.name)
        Policy policy = fleet.policyNamed(agent?.policy ?: '')
        if (answer.accepted) {
            policy?.accepted()
            return
        }
        String why = [answer.reason, answer.message].findAll().join(': ')
        if (agent == null || agent.cause == 'QUEUE') {
            if (answer.reason == 'OverrideForbidden' && agent?.overrides) {
                policy?.forbid(agent.overrides, answer) // nobody else's builds have to do with it
            } else {
                policy?.refused()
            }
            Log.info("${answer.name} was refused: ${why}")
        } else { // a wish of the broker's that something has overtaken: builds may be served all the same
            Log.fine("${answer.name} was refused: ${why}")
        }
        if (agent != null) {
            agent.journal.end(answer.reason, answer.message)
            agent.end(null, why)
        }
    }

    private void tell(BrokerAgent agent, Map state) {
        agent.told(state)
        if (!agent.gone && !exists(agent) && System.currentTimeMillis() - agent.namedAt > PLANNED_MS) {
            Jenkins.get().addNode(agent)
        }
    }

    private void remove(String name, String reason, String message) {
        BrokerAgent agent = fleet.agent(name)
        if (agent == null) {
            return
        }
        if (!ORDINARY.contains(reason)) {
            String text = "${name} ended: ${[reason, Words.line(message)].findAll().unique().join(': ')}".toString()
            Log.info(text)
            agent.journal.end(reason, message)
        }
        if (agent.toComputer()?.idle == false) {
            fleet.retirement.dismiss(agent, [reason, Words.line(message)].findAll().unique().join(': '))
        } else {
            agent.end(null, message ?: reason)
        }
    }

    /**
     * Gives back agents that wait for room, or for the broker, while no build waits for them: another cloud serves it, or
     * it was aborted. Those that are being started may come: retention ends them when they stay idle.
     */
    void releaseSurplus() {
        List<BrokerAgent> all = fleet.all()
        List<BrokerAgent> stalled = all.findAll { it.stalled && !it.gone && it.cause == 'QUEUE' && exists(it) }
        if (!stalled) {
            return
        }
        Backlog waiting = fleet.backlog()
        Map<Object, Integer> missing = fleet.shortage(waiting, all.findAll { !it.stalled })
        stalled.groupBy { it.kind }.each { kind, agents ->
            Collection labels = waiting.keys.findAll { Fleet.serves(kind, waiting.label(it)) }
            int needed = labels.sum { missing[it] ?: 0 } ?: 0
            agents.sort { it.serial }
            agents.take(needed).each { it.surplusSince = 0 }
            agents.drop(needed).each { releaseWhenOld(it) }
        }
    }

    private static void releaseWhenOld(BrokerAgent agent) {
        long now = System.currentTimeMillis()
        agent.surplusSince = agent.surplusSince ?: now
        if (now - agent.surplusSince >= SURPLUS_MS) {
            agent.end('CANCELLED', 'no build waits for it any more')
        }
    }

    private static boolean exists(BrokerAgent agent) {
        Jenkins.get().getNode(agent.nodeName).is(agent)
    }
}
