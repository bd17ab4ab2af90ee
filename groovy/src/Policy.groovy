import groovy.transform.CompileStatic
import hudson.model.Label
import hudson.model.labels.LabelAtom
import java.util.concurrent.ConcurrentHashMap

/** A policy of the broker, as far as Jenkins needs it to name agents and to make nodes. */
class Policy {
    final String name
    final List<String> labels
    final boolean acceptUnlabelled
    final String prefix
    final int executors
    private final String remoteFs
    /** Each agent works in a directory of its own in it. */
    private final boolean ownDirectory
    final Map retention
    /** Its agents run builds of one job alone: how many of them a job may have is limited. */
    final boolean boundToJobs
    private final Set<LabelAtom> atoms
    /** Until when (System.nanoTime) nothing is asked of it, because the broker refused; and how long (ms) the next pause is. */
    private volatile long closedUntil = System.nanoTime()
    private volatile long pause = 5_000
    /** What builds ask for themselves and may not (their overrides) → the broker's answer. Policies come anew when they change. */
    private final Map<List<String>, Map> forbidden = new ConcurrentHashMap<>()
    private static final int FORBIDDEN_KEPT = 1_000

    Policy(Map told) {
        name = told.name
        labels = told.labels
        acceptUnlabelled = told.accept_unlabelled
        prefix = (told.name_prefix ?: told.name).take(24)
        executors = Math.max(1, told.executors as int)
        remoteFs = told.remote_fs ?: '/tmp/agentbroker'
        ownDirectory = told.own_directory
        retention = told.retention
        boundToJobs = (told.per_job ?: 0) > 0 && places == 1
        atoms = labels.collect { Label.parse(it) }.flatten().toSet()
    }

    @CompileStatic
    boolean serves(Label label) {
        List<String> overrides = Overrides.of(label)
        label == null ? acceptUnlabelled : label.matches(overrides.empty ? atoms : Overrides.with(atoms, overrides))
    }

    /** The root of the node of that name. */
    @CompileStatic
    String remoteFsOf(String agent) {
        String between = remoteFs.contains('\\') ? '\\' : '/'
        ownDirectory ? "${remoteFs.endsWith(between) ? remoteFs[0..-2] : remoteFs}${between}${agent}" : remoteFs
    }

    /** Builds that one new agent of it can run at once: an executor more than it may have builds would never be used. */
    int getPlaces() {
        int most = retention.max_uses as int
        most > 0 ? Math.min(executors, most) : executors
    }

    /** What its agents can serve that were asked for with these overrides: equal for policies with equal labels. */
    List kindFor(List<String> overrides) {
        [labels.toSorted(), acceptUnlabelled && !overrides, overrides]
    }

    boolean isOpen() {
        System.nanoTime() - closedUntil >= 0
    }

    /** Whether agents are asked of it for builds of a label. */
    boolean isOpenFor(Label label) {
        open && refusalOf(label) == null
    }

    /** The broker's answer to what such builds ask for themselves; null where it has not said no. */
    Map refusalOf(Label label) {
        forbidden.empty ? null : forbidden.get(Overrides.of(label))
    }

    /** What builds with these overrides ask for is not allowed, and will not be before the policies change: others go on. */
    void forbid(List<String> overrides, Map answer) {
        if (forbidden.size() >= FORBIDDEN_KEPT) {
            forbidden.clear()
        }
        forbidden.put(overrides, answer)
    }

    /** The broker refused an agent: others get a chance, and we do not ask every second. */
    void refused() {
        if (open) {
            closedUntil = System.nanoTime() + pause * 1_000_000
            pause = Math.min(pause * 2, 60_000)
        }
    }

    void accepted() {
        pause = 5_000
    }
}
