import java.time.Instant
import java.time.ZoneId
import java.time.format.DateTimeFormatter

/**
 * What has happened to one agent, for its node's log: each event once, for as long as the node lives. Jenkins empties the
 * log when it launches and when the agent connects; all is written again then. Any thread may call; none waits long.
 */
class Journal {
    private static final int MOST_LINES = 2_000
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern('HH:mm:ss').withZone(ZoneId.systemDefault())
    private static final String INDENT = ' ' * 11
    /** Events whose word is the phase that they lead to. */
    private static final Map<String, String> WORDS = [placed: 'launching', goal: 'ending']
    /** Events that repeat the reason which another one has told. */
    private static final Set<String> AFTERMATH = ['terminating', 'gone'] as Set

    private final List<String> lines = []
    /** The last events by number and time: a stream that begins anew repeats no more than the broker keeps of them. */
    private final Set<List> told = Collections.newSetFromMap(new LinkedHashMap<List, Boolean>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry eldest) {
            size() > MOST_LINES
        }
    })
    private final List<Map> events = []
    private int dropped
    private PrintStream log
    private boolean ended

    Journal(String head) {
        lines << "[agentbroker] ${head}".toString()
    }

    /** Jenkins has emptied the log, or will within `empty`: everything is written, and from now on as it comes. */
    synchronized Object reopen(PrintStream log, Closure empty = null) {
        Object result = empty?.call()
        this.log = log
        lines.each { log.println(it) }
        result
    }

    /** One event of the broker's. One that is known, by number and time, changes nothing. */
    synchronized void tell(Map event) {
        if (told.add([event.number, event.at])) {
            describe(event).each { write(it) }
            keep(event)
        }
    }

    /** What the broker has told of the instance that is booting or runs; empty before that. */
    synchronized String getInstance() {
        Map booting = events.reverse().find { it.event == 'booting' }
        BuildWords.lines(booting?.message).find() ?: ''
    }

    private void keep(Map event) {
        if (events.size() >= MOST_LINES) {
            events.remove(0)
            dropped++
        }
        events << event
    }

    /** The events behind the first `seen`, as far as they are kept. */
    synchronized List<Map> eventsAfter(int seen) {
        new ArrayList<>(events.drop(Math.max(0, seen - dropped)))
    }

    /** How many events there have been. */
    synchronized int getCount() {
        dropped + events.size()
    }

    /** The last event that says how far the agent is; null before the first. */
    synchronized Map getLast() {
        events ? events.last() : null
    }

    /** The pool of the last attempt; empty before the first. */
    String getPool() {
        last?.pool ?: ''
    }

    /** The end, where its event has not come: the words of the last sync. */
    synchronized void end(String reason, String message) {
        if (!ended) {
            failure(reason, message, '').each { write(it) }
            keep([event: 'goal', at: System.currentTimeMillis(), attempt: 0, pool: '', reason: reason ?: '',
                       message: message ?: '', hint: '', outcome: 'failed'])
        }
    }

    /** A line of our own. */
    synchronized void note(String line) {
        write("[${TIME.format(Instant.now())}] ${line}".toString())
    }

    private void write(String line) {
        if (lines.size() >= MOST_LINES) {
            lines.remove(1) // the oldest behind the head: the end is what people look for
        }
        lines << line
        log?.println(line)
    }

    private List<String> describe(Map event) {
        String word = WORDS[event.event] ?: event.event
        boolean failed = event.outcome == 'failed' && !AFTERMATH.contains(event.event)
        List<String> words = body(event, failed).readLines()
        List<String> text = ["[${TIME.format(Instant.ofEpochMilli(event.at as long))}] ${word.padRight(12)} ${words ? words[0] : ''}".
                toString().trim()]
        text.addAll(words.drop(1).collect { INDENT + it })
        failed ? text + failure(event.reason, event.message, event.hint) : text
    }

    private static String body(Map event, boolean failed) {
        String attempt = event.attempt > 1 ? " (attempt ${event.attempt})" : ''
        String pool = event.pool ? event.pool + attempt : ''
        String words = [event.reason, event.message].findAll().join(': ')
        if (event.event == 'placed') {
            return pool + (event.message ? "; not chosen: ${event.message}" : '')
        }
        if (event.event == 'gone') {
            return [pool, event.outcome].findAll().join(': ')
        }
        (failed || AFTERMATH.contains(event.event)) ? pool : [pool, words].findAll().join(': ')
    }

    private List<String> failure(String reason, String message, String hint) {
        ended = true
        List<String> words = [reason, message].findAll().unique().join(': ').readLines()
        List<String> text = ["ERROR: ${words ? words[0] : 'it failed'}".toString()]
        text.addAll(words.drop(1).collect { "       ${it}".toString() })
        hint ? text + "       hint: ${hint}".toString() : text
    }
}
