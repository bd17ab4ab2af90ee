import groovy.transform.CompileStatic
import hudson.model.Computer
import hudson.model.Descriptor
import hudson.model.Executor
import hudson.model.Job
import hudson.model.Label
import hudson.model.Node
import hudson.model.Queue
import hudson.model.Slave
import hudson.model.User
import hudson.model.queue.CauseOfBlockage
import hudson.slaves.AbstractCloudComputer
import hudson.slaves.AbstractCloudSlave
import hudson.slaves.DumbSlave
import hudson.slaves.EphemeralNode
import hudson.slaves.JNLPLauncher
import hudson.model.TaskListener
import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.Future
import java.util.concurrent.atomic.AtomicBoolean
import java.util.concurrent.atomic.AtomicInteger
import java.util.concurrent.atomic.AtomicLong
import jenkins.model.Jenkins
import jenkins.util.NonLocalizable

/** The node of one agent. Its flags are here, not on the computer: Jenkins makes a second computer of a node at will. */
class BrokerAgent extends AbstractCloudSlave implements EphemeralNode {
    private static final AtomicLong MADE = new AtomicLong()

    final String policy
    final List kind
    /** The order in which agents were named. */
    final long serial = MADE.incrementAndGet()
    final long namedAt = System.currentTimeMillis()
    final int maxUses
    final long idleTimeoutMs
    final Fleet fleet
    /** What the node's log shows. */
    final Journal journal
    /** Builds that it has begun, those before a restart of this controller included. */
    final AtomicInteger uses = new AtomicInteger()
    volatile boolean launched
    volatile boolean everOnline
    /** Over: no launch, no build, no capacity any more. Set before anything else when it ends. */
    volatile boolean gone
    /** Why it ends, for the broker; null if the broker said so. A node that somebody deletes is cancelled. */
    volatile String endCause = 'CANCELLED'
    /** One line for people: what the broker last said of it. */
    volatile String why = ''
    /** What the broker last said: its phase, and whether it may still take a build. */
    private volatile String phase = ''
    private volatile boolean toldToTakeBuilds = true
    /** A build has begun on it since its node was made. */
    volatile boolean hasBegun
    /** The broker has no room for it now. */
    volatile boolean waitsForRoom
    /** When (ms) the broker has taken the request on, by its clock; 0 before it has said so. */
    private volatile long requestedAt
    /** A build that was interrupted by a restart waits for just this node. */
    volatile boolean resumes
    /** Why it was asked for: QUEUE for a build, WARM for the broker's stock, MANUAL by hand. Set before anybody sees it. */
    volatile String cause = 'QUEUE'
    /** With WARM and MANUAL: which wish of the broker's it fulfils; else empty. */
    volatile String launchId = ''
    /** Since when (ms) its build has waited at least, also before a restart of this controller. */
    volatile long askedAt = namedAt
    /** The queue's number of the build that it was asked for; 0 where there is none, or none is known. */
    volatile long itemId
    /** The task of a build that waits for it though it was asked for for another; null for none. */
    volatile Queue.Task waitedForBy
    /** The full name of the job whose builds it runs alone; empty: of any. */
    volatile String job = ''
    /** Kept ready though it is idle: its idle time does not end it now. */
    volatile boolean keepWarm
    /** Its node was made again: what happened to it before is told anew, and is no news. */
    volatile boolean adopted
    /** Since when (ms) no build needs it, while it has not been started. */
    volatile long surplusSince
    /** Since when (ms) it could have taken a build, if nothing has kept it busy. */
    volatile long availableSince
    /** Builds on it → what writes into their logs. */
    final Map<Object, TaskListener> voices = new ConcurrentHashMap<>()
    /** Of Retirement: a look at it is due; its end has begun; the look at the end of its idle time. */
    final AtomicBoolean watched = new AtomicBoolean()
    final AtomicBoolean dismissed = new AtomicBoolean()
    volatile Future timer
    /** The work of an executor that counts in `uses`. */
    private final Set counted = Collections.newSetFromMap(new WeakHashMap())
    private final AtomicBoolean ending = new AtomicBoolean()

    BrokerAgent(String name, String policy, List<String> labels, boolean acceptUnlabelled, int executors,
                String remoteFs, Map retention, Fleet fleet, String wanted = '', List<String> overrides = []) {
        super(name, remoteFs, new BrokerLauncher())
        this.policy = policy
        this.fleet = fleet
        journal = new Journal("${name}${wanted ? " for ${wanted}" : ''}, policy ${policy}".toString())
        boolean anyBuild = acceptUnlabelled && !overrides
        kind = [labels.toSorted(), anyBuild, overrides]
        maxUses = retention.max_uses as int
        idleTimeoutMs = Math.max(1L, ((retention.idle_timeout as double) * 1000) as long)
        numExecutors = executors
        mode = anyBuild ? Node.Mode.NORMAL : Node.Mode.EXCLUSIVE
        labelString = (labels + overrides).join(' ')
        retentionStrategy = new BrokerRetention()
    }

    /** Whose living side this is; null for a computer that is not ours, or whose node is gone. */
    static BrokerAgent of(Object computer) {
        computer instanceof BrokerComputer ? ((BrokerComputer) computer).node : null
    }

    /** Takes over what the broker says of it. */
    void told(Map state) {
        if (state.phase == 'draining' && phase != 'draining') {
            // The broker believes the next report that it is idle and takes no build: nothing may be on its way to it then.
            Queue.withLock({ phase = state.phase } as Runnable)
        }
        phase = state.phase
        toldToTakeBuilds = state.takes_builds
        why = state.why ?: "${state.phase}".toString()
        waitsForRoom = state.waits_for_room
        requestedAt = (state.requested_at ?: 0) as long
        boolean wasWarm = keepWarm
        keepWarm = state.keep_warm ?: false
        if (wasWarm && !keepWarm) {
            fleet.retirement.consider(this) // its idle time may be over
        }
        cause = ['WARM', 'MANUAL'].contains(state.cause) ? state.cause : cause
        ((BrokerComputer) toComputer())?.explain()
    }

    /** Who it is, of which policy, where it runs as far as the broker has told, and where people read more. */
    @Override
    String getNodeDescription() {
        try {
            [nodeName, "policy ${policy}", journal.pool, journal.instance, link].findAll().join(' · ')
        } catch (Throwable failure) {
            Log.fine("a node cannot be described: ${failure}")
            nodeName
        }
    }

    /** Where people read about it; empty where no URL is known. */
    String getLink() {
        String page = fleet.link.connection.agentPage
        page ? page + nodeName : ''
    }

    /** How far it is, in a few words: `booting on fargate, 18 s`. */
    String getProgress() {
        progressAt(0)
    }

    /** The same, with its place in the line of those that wait for room; 0 for none. */
    String progressAt(int place) {
        Map last = journal.last
        String state = last == null ? (phase ?: 'asked for') : BuildWords.state(last, place)
        long from = last == null ? namedAt : last.at as long
        "${state}, ${BuildWords.age(System.currentTimeMillis() - from)}"
    }

    /** It is older than this boot, and what has happened to it is still being told anew. */
    boolean isReplayed() {
        adopted && fleet.link.events.replaying
    }

    /** Once it is connected here, only its end can forbid builds: the broker hears later than we see. */
    @CompileStatic
    boolean isTakesBuilds() {
        everOnline ? phase != 'draining' : toldToTakeBuilds
    }

    @CompileStatic
    boolean isUsedUp() {
        maxUses > 0 && getCommitted() >= maxUses
    }

    /** A build has begun on an executor. One that goes on after a restart of this controller is no new use. */
    void begins(Executor executor, Queue.Task task) {
        synchronized (counted) {
            hasBegun = true
            boolean goesOn = adopted && uses.get() > 0 && isOfThisNode(task, task.assignedLabel)
            if (counted.add(executor.currentWorkUnit) && !goesOn) {
                uses.incrementAndGet()
            }
        }
    }

    /**
     * Builds that it has begun, and those that the queue has given to an executor which has not begun yet. A light task
     * takes none of its executors and leaves its traces all the same: its executor, made for it alone, counts too.
     */
    @CompileStatic
    private int getCommitted() {
        List<Object> given = []
        Computer computer = resumes ? null : toComputer()
        if (computer != null) {
            for (Executor executor : computer.allExecutors) {
                Object work = executor.currentWorkUnit
                if (work != null) {
                    given.add(work)
                }
            }
        }
        synchronized (counted) {
            int committed = uses.get()
            for (Object work : given) {
                committed += counted.contains(work) ? 0 : 1
            }
            committed
        }
    }

    /** Nothing has been started for it, and it is not known when that will be. */
    boolean isStalled() {
        !everOnline && (waitsForRoom || (!fleet.link.up && fleet.link.isUnanswered(nodeName)))
    }

    /** What those that wait for room are sorted by, as the broker serves them: by their call, and in it by their names. */
    String getLine() {
        String.format('%020d %s', requestedAt ?: Long.MAX_VALUE, nodeName)
    }

    /** How many builds it can take now, or when it comes online. */
    @CompileStatic
    int getPlaces() {
        int left = gone || !isTakesBuilds() ? 0 : maxUses > 0 ? maxUses - getCommitted() : Integer.MAX_VALUE
        if (left <= 0) {
            return 0
        }
        int free = numExecutors
        if (everOnline) {
            Computer computer = toComputer()
            free = computer != null && computer.online && computer.acceptingTasks ? computer.countIdle() : 0
        } else if (temporaryOfflineCause != null) {
            return 0 // a person has set it aside before it came
        }
        Math.min(free, left)
    }

    @Override
    boolean isAcceptingTasks() {
        !gone && takesBuilds && (!usedUp || resumes)
    }

    /** What the build that it was made for has asked for itself. */
    List<String> getOverrides() {
        kind[2]
    }

    /**
     * A used-up agent takes nothing but the build that it ran before, one that was made as a build has asked no build that
     * asks for less, one that is bound to a job no build of another. Jenkins asks this alone of light-weight tasks.
     */
    @Override
    CauseOfBlockage canTake(Queue.BuildableItem item) {
        if (usedUp && !isResumption(item)) {
            return CauseOfBlockage.fromMessage(new NonLocalizable("${nodeName} has had its builds".toString()))
        }
        if (overrides && item.assignedLabel?.name != nodeName && Overrides.of(item.assignedLabel) != overrides) {
            return CauseOfBlockage.fromMessage(new NonLocalizable("${nodeName} is for builds that ask for ${overrides.join(', ')}".toString()))
        }
        if (job && item.assignedLabel?.name != nodeName && Origin.job(item.task) != job) {
            return CauseOfBlockage.fromMessage(new NonLocalizable("${nodeName} is for builds of ${job}".toString()))
        }
        acceptingTasks ? super.canTake(item) :
                CauseOfBlockage.fromMessage(new NonLocalizable("${nodeName} takes no more builds".toString()))
    }

    /** A step of a build that wants just this node, not a job that happens to be tied to it. */
    boolean isResumption(Queue.Item item) {
        isOfThisNode(item.task, item.assignedLabel)
    }

    /** Such a step is in the queue. */
    boolean resumptionWaits() {
        Jenkins.get().queue.items.any { isResumption(it) }
    }

    private boolean isOfThisNode(Queue.Task task, Label label) {
        !(task instanceof Job) && label?.name == nodeName
    }

    /** Ends the agent: its node is removed, and the broker told unless it knows (`cause` null). Any thread but none that holds the queue's lock for long. */
    void end(String cause, String why) {
        gone = true
        endCause = cause
        this.why = why
        if (Jenkins.get().getNode(nodeName).is(this)) {
            terminate()
        } else {
            fleet.forget(this) // its planned node may still be added: NodeWatch removes it
        }
    }

    /** Called before the node is removed, whether by us or by the button Delete. Any thread that holds no lock. */
    @Override
    protected void _terminate(TaskListener listener) {
        boolean byPerson = !gone
        gone = true
        timer?.cancel(false)
        if (!ending.compareAndSet(false, true)) {
            return
        }
        if (byPerson) {
            deletedByHand()
        }
        BrokerComputer computer = (BrokerComputer) toComputer()
        if (computer != null && !computer.idle) {
            Farewell.say(computer, this, why)
            computer.hangUp()
        }
    }

    /** Somebody has removed its node: the broker is told who, as far as that is known. */
    void deletedByHand() {
        why = "its node was deleted in Jenkins${User.current() ? ' by ' + User.current().id : ''}".toString()
    }

    @Override
    AbstractCloudComputer createComputer() {
        new BrokerComputer(this)
    }

    @Override
    Node asNode() {
        this
    }

    /** Nobody renames it: broker and machine know it by its name alone. */
    @Override
    void setNodeName(String other) {
        keepsName(other)
    }

    /** Tells the log that it was to have another name, if so. */
    void keepsName(String other) {
        if (other && other != nodeName) {
            Log.info("${nodeName} keeps its name, for broker and machine know it by that alone; it was to be ${Words.line(other)}")
        }
    }

    /** Settings are the broker's: saving the form changes nothing. */
    @Override
    Node reconfigure(org.kohsuke.stapler.StaplerRequest2 request, net.sf.json.JSONObject form) {
        this
    }

    /** For its configuration page. */
    String getRetentionText() {
        String builds = maxUses > 0 ? "at most ${maxUses}" : 'any number'
        "${builds}; it ends when no build has needed it for ${idleTimeoutMs.intdiv(1000)} s".toString()
    }

    /** A node of Jenkins' own classes with these settings, to be shown: ours may not be written. */
    Node likeness() {
        DumbSlave copy = new DumbSlave(nodeName, remoteFS, new JNLPLauncher())
        copy.nodeDescription = nodeDescription
        copy.numExecutors = numExecutors
        copy.mode = mode
        copy.labelString = labelString
        copy
    }

    static class DescriptorImpl extends Slave.SlaveDescriptor {
        @Override
        String getDisplayName() {
            'agentbroker agent'
        }

        @Override
        boolean isInstantiable() {
            false
        }
    }
}
