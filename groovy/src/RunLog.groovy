import hudson.model.TaskListener
import java.util.concurrent.CountDownLatch
import java.util.concurrent.Executor

/**
 * Lines on their way into the log of one build. say() never waits: a log that is slow, or whose build is not ready, keeps
 * its own lines waiting and nobody else; of too many the oldest are left out.
 */
class RunLog {
    private static final int MOST_WAITING = 200

    private final Object task
    private final Executor writers
    private final LinkedList<String> waiting = new LinkedList<>()
    private final List<CountDownLatch> asked = []
    private int leftOut
    private boolean writing
    private TaskListener listener

    RunLog(Object task, Executor writers) {
        this.task = task
        this.writers = writers
    }

    /** `written` is counted down when all lines so far are in the log. */
    void say(List<String> lines, CountDownLatch written = null) {
        synchronized (waiting) {
            waiting.addAll(lines)
            while (waiting.size() > MOST_WAITING) {
                waiting.removeFirst()
                leftOut++
            }
            if (written != null) {
                asked << written
            }
        }
        pump()
    }

    /** Tries to write what waits, on a thread of the writers. */
    void pump() {
        synchronized (waiting) {
            if (writing || waiting.empty) {
                return
            }
            writing = true
        }
        try {
            writers.execute({ write() } as Runnable)
        } catch (Throwable failure) { // they have been stopped
            synchronized (waiting) {
                writing = false
            }
        }
    }

    private void write() {
        try {
            AsSystem.run { writeAll() }
        } catch (Throwable failure) {
            Log.fine("the log of a build cannot be written: ${failure}")
            synchronized (waiting) {
                writing = false
            }
        }
    }

    private void writeAll() {
        listener = listener ?: RunListener.of(task)
        for (List<String> lines = taken(); lines; lines = taken()) {
            lines.each { listener.logger.println(BuildWords.PREFIX + BuildWords.plain(it)) }
            listener.logger.flush()
        }
    }

    /** All that waits; nothing when the writing has ended: there are no lines, or no log yet. */
    private List<String> taken() {
        synchronized (waiting) {
            if (listener == null || waiting.empty) {
                writing = false
                if (waiting.empty) {
                    asked*.countDown()
                    asked.clear()
                }
                return []
            }
            List<String> lines = (leftOut ? ["(${leftOut} lines are left out here)".toString()] : []) + waiting
            leftOut = 0
            waiting.clear()
            lines
        }
    }
}
