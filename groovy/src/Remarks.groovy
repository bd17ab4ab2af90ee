/** What is odd about the broker's answers: each kind is told once an hour at most, however often it is met. */
class Remarks {
    private static final long CLOCK_MS = 60_000
    private static final long QUIET_NS = 3_600_000_000_000L

    private final Map<String, Long> told = [:]

    /** Looks at a reply of the client; of the worker thread. */
    void on(Map reply) {
        if (reply.left_out) {
            once('left out', "the broker said what cannot be used, and it was left out: ${reply.left_out}")
        }
        List useless = (reply.policies ?: []).findAll { !it.labels && !it.accept_unlabelled }
        if (useless) {
            once('labels', "policy ${useless*.name.take(10).collect { "\"${it}\"" }.join(', ')} has no labels and takes no build " +
                    'without one: it serves none')
        }
        long ahead = (reply.ahead_ms ?: 0) as long
        if (Math.abs(ahead) >= CLOCK_MS) {
            once('clock', "the clock of this controller is ${span(Math.abs(ahead))} ${ahead > 0 ? 'ahead of' : 'behind'} the " +
                    "broker's; builds are not held up by it, but times that people compare differ")
        } else if (reply.containsKey('ahead_ms')) {
            told.remove('clock')
        }
    }

    private void once(String kind, String text) {
        Long before = told[kind]
        boolean due = before == null || System.nanoTime() - before > QUIET_NS
        if (due) {
            told[kind] = System.nanoTime()
        }
        due ? Log.warning(text) : Log.fine(text)
    }

    /** The two largest units: 3 h 20 min. */
    private static String span(long ms) {
        List<List> units = [[86_400_000L, 'd'], [3_600_000L, 'h'], [60_000L, 'min'], [1_000L, 's']]
        int first = units.findIndexOf { ms >= it[0] }
        long rest = ms
        units.drop(first).take(2).collect {
            long count = rest.intdiv(it[0])
            rest %= it[0]
            count > 0 ? "${count} ${it[1]}" : null
        }.findAll().join(' ')
    }
}
