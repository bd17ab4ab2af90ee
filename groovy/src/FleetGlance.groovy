import io.agentbroker.client.BrokerException
import java.util.concurrent.Future
import java.util.concurrent.LinkedBlockingQueue
import java.util.concurrent.ThreadFactory
import java.util.concurrent.ThreadPoolExecutor
import java.util.concurrent.TimeUnit
import java.util.concurrent.TimeoutException

/**
 * What the broker says of pools, policies and failures, for pages. A page waits for a second at most, however many look and
 * whatever hangs: one call at a time, on a thread that is there only while somebody looks.
 */
class FleetGlance {
    private static final long CALL_MS = 900
    static final long WAIT_MS = 1_000

    private final BrokerLink link
    private final ThreadPoolExecutor caller
    private Future running
    private long runningSince
    /** The last answer, and when (ms) it came; null and 0 before the first. */
    volatile Map answer
    volatile long answeredAt
    /** Why there is no newer one; empty when there is. */
    volatile String problem = ''
    /** The broker is older than this call. */
    volatile boolean unknown

    FleetGlance(BrokerLink link) {
        this.link = link
        caller = new ThreadPoolExecutor(1, 1, 10, TimeUnit.SECONDS, new LinkedBlockingQueue<Runnable>(), { Runnable work ->
            Thread thread = new Thread(work, 'agentbroker-page')
            thread.daemon = true
            thread
        } as ThreadFactory)
        caller.allowCoreThreadTimeOut(true)
    }

    /** Looks anew if the broker is there; returns within a second with what is known. */
    void look() {
        if (!link.up) {
            problem = link.trouble
            return
        }
        Future current
        long left
        synchronized (this) {
            if (running == null || running.done) {
                runningSince = System.currentTimeMillis()
                running = caller.submit({ ask() } as Runnable)
            }
            current = running
            left = runningSince + WAIT_MS - System.currentTimeMillis()
        }
        try {
            current.get(Math.max(0L, left), TimeUnit.MILLISECONDS)
        } catch (TimeoutException ignored) {
            problem = 'the broker has not answered within a second'
        } catch (Exception failure) {
            problem = BuildWords.clean(failure)
        }
    }

    private void ask() {
        try {
            answer = link.describeFleet(CALL_MS)
            answeredAt = System.currentTimeMillis()
            problem = ''
            unknown = false
        } catch (BrokerException failure) {
            unknown = failure.code == 'UNIMPLEMENTED'
            problem = BuildWords.clean(failure.message)
        } catch (Throwable failure) {
            problem = BuildWords.clean(failure)
        }
    }
}
