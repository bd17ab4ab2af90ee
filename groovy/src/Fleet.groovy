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
    volatile List<Policy> policies = []
    BrokerLink link
    /** Who tells the builds that wait. */
    volatile BuildLog buildLog
    /** Those of this controller's other brokers. */
    volatile List<Fleet> neighbours = []
    private final Map<String, BrokerAgent> agents = new ConcurrentHashMap<>()
    /** Names that are over: a late reply must not bring them back. Names are never reused. */
    private final Set<String> ended = Collections.newSetFromMap(new LinkedHashMap<String, Boolean>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry eldest) {
            size() > ENDED_KEPT
        }
    })

    /** The policy that serves a label: the first that matches; null if none does. */
    Policy policyFor(Label label) {
        policies.find { it.serves(label) }
    }

    Policy policyNamed(String name) {
        policies.find { it.name == name }
    }

    static boolean serves(List kind, Label label) {
        label == null ? kind[1] : label.matches(kind[0].collect { new LabelAtom(it) })
    }

    BrokerAgent agent(String name) {
        agents[name]
    }

    List<BrokerAgent> all() {
        new ArrayList<>(agents.values())
    }

    /** Waiting builds that could be served, oldest first. Items that an executor already has are no demand. */
    List<Queue.BuildableItem> waitingItems() {
        served(Jenkins.get().queue.buildableItems.findAll { !it.pending })
    }

    /** Those of the items that a policy serves and that may run, oldest first: none before a shutdown. Each label is matched once: queues are long, labels few. */
    List<Queue.BuildableItem> served(List<Queue.BuildableItem> items) {
        Map<Object, Boolean> known = [:]
        items.findAll { item ->
            Label label = item.assignedLabel
            !Queue.isBlockedByShutdown(item.task) && known.computeIfAbsent(key(label)) { policyFor(label) != null }
        }.sort { it.id }
    }

    /** label (see key()) → waiting builds that neither these agents nor other clouds' coming nodes will serve. */
    Map<Object, Integer> shortage(List<Queue.BuildableItem> waiting, List<BrokerAgent> agents) {
        Map<Object, Label> labels = [:]
        Map<Object, Integer> byLabel = [:]
        (Neighbours.waiting(this) + waiting).each {
            Label label = it.assignedLabel
            labels[key(label)] = label
            byLabel[key(label)] = (byLabel[key(label)] ?: 0) + 1
        }
        Map<List, Integer> places = [:]
        (agents + Neighbours.coming(this)).each { places[it.kind] = (places[it.kind] ?: 0) + it.places }
        Map<Object, Integer> missing = Demand.shortage(byLabel, places) { key, kind -> serves(kind, labels[key]) }
        missing.collectEntries { key, count -> [key, count - comingFromOthers(labels[key])] }.findAll { it.value > 0 }
    }

    static Object key(Label label) {
        label == null ? '' : label.name
    }

    /** Executors of other plugins' nodes on their way, as every strategy counts them. */
    private static int comingFromOthers(Label label) {
        Collection<Node> nodes = label == null ? Jenkins.get().nodes.findAll { it.mode == Node.Mode.NORMAL } : label.nodes
        nodes.findAll { it.class.name != 'BrokerAgent' && it.toComputer()?.connecting }.sum { it.numExecutors } ?: 0
    }

    /** Names an agent for a waiting item and hands it to the link. */
    BrokerAgent plan(Policy policy, Queue.BuildableItem item) {
        String label = item.assignedLabel?.name
        String job = item.task.ownerTask.fullDisplayName
        ask(policy, job + (label ? " (${label})" : ''),
                [cause: 'QUEUE', label_expression: label ?: '', job: job, queued_at: item.buildableStartMilliseconds], item.id)
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

    private BrokerAgent ask(Policy policy, String wanted, Map what, long itemId = 0) {
        String name = policy.prefix + '-' + (1..8).collect { ALPHABET[RANDOM.nextInt(ALPHABET.length())] }.join('')
        BrokerAgent agent = new BrokerAgent(name, policy.name, policy.labels, policy.acceptUnlabelled, policy.executors,
                policy.remoteFs, policy.retention, this, wanted)
        agent.cause = what.cause
        agent.launchId = what.launch_id ?: ''
        agent.itemId = itemId
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
                Math.max(1, told.executors as int), told.remote_fs ?: '/tmp/agentbroker', told.retention, this)
        agent.uses.set(told.uses as int)
        agent.adopted = true
        agent.told(told)
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
        waitingItems().collect { it.assignedLabel }.unique().each { reviewSoon(it) }
    }

    /** 250 ms later: a review at once would not see the item yet. */
    void reviewSoon(Label label) {
        Timer.get().schedule({
            NodeProvisioner reviewer = label == null ? Jenkins.get().unlabeledNodeProvisioner : label.nodeProvisioner
            reviewer.suggestReviewNow()
        } as Runnable, 250, TimeUnit.MILLISECONDS)
    }
}
