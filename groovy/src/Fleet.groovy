import groovy.transform.CompileStatic
import hudson.model.Computer
import hudson.model.Label
import hudson.model.Node
import hudson.model.Queue
import hudson.model.labels.LabelAtom
import hudson.slaves.NodeProvisioner
import java.security.SecureRandom
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.TimeUnit
import jenkins.model.Jenkins
import jenkins.util.Timer

/**
 * What this controller knows of the broker: its policies, and our agents from the moment they are named until their
 * node is gone. Any thread may read; nothing here waits.
 */
class Fleet {
    private static final String ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789'
    private static final int ENDED_KEPT = 10_000
    private static final SecureRandom RANDOM = new SecureRandom()

    final Retirement retirement = new Retirement()
    private volatile List<Policy> policies = []
    BrokerLink link
    /** Who tells the builds that wait. */
    volatile BuildLog buildLog
    /** Those of this controller's other brokers. */
    volatile List<Fleet> neighbours = []
    /** Builds that were cancelled in the queue: their agents are given back. */
    final Aborted aborted = new Aborted(this)
    /** Labels whose review is due. */
    private final Set<Object> due = ConcurrentHashMap.newKeySet()
    private final Map<String, BrokerAgent> agents = new ConcurrentHashMap<>()
    /** Names that are over: a late reply must not bring them back. Names are never reused. */
    private final Set<String> ended = Collections.newSetFromMap(new LinkedHashMap<String, Boolean>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry eldest) {
            size() > ENDED_KEPT
        }
    })

    /** Whatever reads the queue to decide about agents holds this, for all brokers. Taken before the queue's lock, never under it. */
    static final Object PLANNING = new Object()
    /** What one label or pair was found to be, for as long as the policies stay; emptied when it grows. */
    private static final int KNOWN_KEPT = 10_000
    private static final Object NONE = new Object()
    private final Map<Object, Object> policyOf = new ConcurrentHashMap<>()
    private final Map<List, Boolean> pairs = new ConcurrentHashMap<>()

    List<Policy> getPolicies() {
        policies
    }

    void setPolicies(List<Policy> policies) {
        this.policies = policies
        policyOf.clear()
        pairs.clear()
    }

    /** The policy that serves a label: the first that matches; null if none does. */
    @CompileStatic
    Policy policyFor(Label label) {
        List<Policy> known = policies
        Object key = key(label)
        Object found = policyOf.get(key)
        if (found == null) {
            Policy first = known.find { Policy policy -> policy.serves(label) }
            found = first == null ? NONE : first
            if (known.is(policies)) { // else what was found is of yesterday
                remember(policyOf, key, found)
            }
        }
        found.is(NONE) ? null : (Policy) found
    }

    @CompileStatic
    private static void remember(Map map, Object key, Object value) {
        if (map.size() >= KNOWN_KEPT) {
            map.clear()
        }
        map.put(key, value)
    }

    Policy policyNamed(String name) {
        policies.find { it.name == name }
    }

    static boolean serves(List kind, Label label) {
        List<String> overrides = Overrides.of(label)
        if (overrides != kind[2]) {
            return false // it is another machine than the build asks for
        }
        label == null ? kind[1] : label.matches(Overrides.with(kind[0].collect { new LabelAtom(it) }, overrides))
    }

    /** The same, and each pair is matched once. */
    @CompileStatic
    private boolean mayServe(List kind, Object key, Label label) {
        List pair = [key, kind]
        Boolean known = pairs.get(pair)
        if (known == null) {
            known = serves(kind, label)
            remember(pairs, pair, known)
        }
        known
    }

    BrokerAgent agent(String name) {
        agents[name]
    }

    List<BrokerAgent> all() {
        new ArrayList<>(agents.values())
    }

    /** Waiting builds that could be served, by label. Items that an executor already has are no demand. */
    Backlog backlog() {
        backlogOf(Backlog.waiting(Jenkins.get().queue.buildableItems))
    }

    Backlog backlogOf(List<Queue.BuildableItem> items) {
        new Backlog(items, { Label label -> policyFor(label) != null }, Neighbours.waiting(this, items))
    }

    /** Waiting builds of this label that neither these agents nor other clouds' coming nodes will serve. */
    @CompileStatic
    int shortage(Backlog waiting, List<BrokerAgent> agents, Label label) {
        Integer missing = shortageBeside(waiting, placesOf(agents)).get(key(label))
        missing == null ? 0 : Math.max(0, missing - comingFromOthers(label))
    }

    /** The same by label (see key()), for all; only those that have some. */
    Map<Object, Integer> shortage(Backlog waiting, List<BrokerAgent> agents) {
        Map<Object, Integer> missing = shortageBeside(waiting, placesOf(agents))
        missing.collectEntries { key, count -> [key, count - comingFromOthers(waiting.label(key))] }.findAll { it.value > 0 }
    }

    /** kind → builds that these agents can take. */
    @CompileStatic
    static Map<List, Integer> placesOf(List<BrokerAgent> agents) {
        Map<List, Integer> places = [:]
        for (BrokerAgent agent : agents) {
            int free = agent.getPlaces()
            if (free > 0) {
                Integer before = places.get(agent.kind)
                places.put(agent.kind, (before == null ? 0 : before) + free)
            }
        }
        places
    }

    /** label → waiting builds for which there is none of these places. */
    @CompileStatic
    Map<Object, Integer> shortageBeside(Backlog waiting, Map<List, Integer> places) {
        Map<List, Integer> all = Neighbours.coming(this, places)
        Demand.shortage(waiting.allCounts, (Map) all) { Object key, Object kind -> mayServe((List) kind, key, waiting.label(key)) }
    }

    @CompileStatic
    static Object key(Label label) {
        Backlog.key(label)
    }

    /** Executors of other plugins' nodes on their way, as every strategy counts them. */
    private static int comingFromOthers(Label label) {
        int coming = 0
        for (Node node : label == null ? Jenkins.get().nodes : label.nodes) {
            if ((label != null || node.mode == Node.Mode.NORMAL) && node.getClass().name != 'BrokerAgent') {
                Computer computer = node.toComputer()
                coming += computer != null && computer.connecting ? node.numExecutors : 0
            }
        }
        coming
    }

    /** Names an agent for a waiting item and hands it to the link. */
    BrokerAgent plan(Policy policy, Queue.BuildableItem item) {
        String label = item.assignedLabel?.name
        List<String> overrides = Overrides.of(item.assignedLabel)
        ask(policy, item.task.ownerTask.fullDisplayName + (label ? " (${label})" : ''),
                [cause: 'QUEUE', label_expression: label ?: '', overrides: Overrides.texts(overrides), job: Origin.job(item.task),
                 build_url: Origin.build(item.task), queued_at: item.buildableStartMilliseconds], overrides, item.id)
    }

    /** An agent by hand, with its node at once. `userId` says who wants it. Not under the queue's lock. */
    BrokerAgent launch(Policy policy, String userId) {
        launch(policy, 'MANUAL', '', userId ?: '')
    }

    /** An agent that no build has asked for, with its node at once. Not under the queue's lock. */
    BrokerAgent launch(Policy policy, String cause, String launchId, String userId) {
        BrokerAgent agent = ask(policy, '',
                [cause: cause, launch_id: launchId, requested_by: userId, queued_at: System.currentTimeMillis()])
        Jenkins.get().addNode(agent)
        agent
    }

    private BrokerAgent ask(Policy policy, String wanted, Map what, List<String> overrides = [], long itemId = 0) {
        String name = policy.prefix + '-' + (1..8).collect { ALPHABET[RANDOM.nextInt(ALPHABET.length())] }.join('')
        BrokerAgent agent = new BrokerAgent(name, policy.name, policy.labels, policy.acceptUnlabelled, policy.places,
                policy.remoteFsOf(name), policy.retention, this, wanted, overrides)
        agent.cause = what.cause
        agent.launchId = what.launch_id ?: ''
        agent.itemId = itemId
        agent.job = policy.boundToJobs ? (what.job ?: '') : ''
        agents[name] = agent
        link.request(name, what + [name: name, policy: policy.name])
        buildLog?.nudge()
        agent
    }

    /** Makes the node of an agent that the broker says must have one. */
    void adopt(Map told) {
        if (agents.containsKey(told.name) || Jenkins.get().getNode(told.name) != null) {
            return
        }
        if (isEnded(told.name)) { // the broker has missed it, and would keep it for ever
            link.releaseAgain(told.name, [name: told.name, cause: 'CANCELLED', message: 'ended in Jenkins', uses: told.uses])
            return
        }
        if (!Adoption.isAllowed(told.name, this)) {
            return
        }
        Policy policy = policyNamed(told.policy)
        BrokerAgent agent = new BrokerAgent(told.name, told.policy, Adoption.labels(told, policy), policy?.acceptUnlabelled ?: false,
                Math.max(1, told.executors as int), told.remote_fs ?: '/tmp/agentbroker', told.retention, this, '',
                Adoption.overrides(told))
        agent.uses.set(told.uses as int)
        agent.adopted = true
        agent.job = policy?.boundToJobs ? (told.job ?: '') : ''
        agent.askedAt = Math.min(agent.namedAt, (told.requested_at ?: 0) as long)
        agent.told(told)
        agent.resumes = agent.resumptionWaits() // it may be there before the node is
        agents[told.name] = agent
        Jenkins.get().addNode(agent)
        link.events.again()
    }

    /** The node is gone. `cause` null: the broker knows already. */
    void forget(BrokerAgent agent) {
        agent.gone = true
        synchronized (ended) {
            ended << agent.nodeName
        }
        agents.remove(agent.nodeName)
        link.forgetRequest(agent.nodeName)
        if (agent.endCause != null) {
            link.release(agent.nodeName, [name: agent.nodeName, cause: agent.endCause, message: Words.line(agent.why),
                                          uses: agent.uses.get()])
        }
        link.syncSoon()
    }

    boolean isEnded(String name) {
        synchronized (ended) {
            ended.contains(name)
        }
    }

    void reviewAll() {
        Backlog waiting = backlog()
        waiting.keys.each { reviewSoon(waiting.label(it)) }
    }

    /** 250 ms later: a review at once would not see the item yet. One for all that ask meanwhile. */
    void reviewSoon(Label label) {
        if (!due.add(key(label))) {
            return
        }
        Timer.get().schedule({
            due.remove(key(label)) // before the review, which may miss what comes now
            NodeProvisioner reviewer = label == null ? Jenkins.get().unlabeledNodeProvisioner : label.nodeProvisioner
            reviewer.suggestReviewNow()
        } as Runnable, 250, TimeUnit.MILLISECONDS)
    }
}
