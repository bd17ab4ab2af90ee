import hudson.model.Label
import java.time.Instant
import java.time.ZoneId
import java.time.format.DateTimeFormatter

/**
 * What stands in the log of a build that waits. Pure. Words of the broker and of clouds are cut, and cleaned of what a
 * terminal or a log would obey.
 */
class BuildWords {
    static final String PREFIX = '[agentbroker] '
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern('HH:mm:ss').withZone(ZoneId.systemDefault())
    private static final int MOST_LINES = 20
    private static final int LONGEST = 500
    private static final int LONGEST_LINE = 4_000
    private static final int MOST_POLICIES = 20
    private static final int MOST_LABELS = 60
    /** Events that tell a waiting build nothing: the head has said it, or another event has. */
    private static final Set<String> SILENT = ['requested', 'online', 'terminating', 'gone'] as Set
    /** How far an agent is, by its last event. */
    private static final Map<String, String> STATES =
            [requested: 'asked for', placed: 'launching', terminating: 'ending', goal: 'ending', gone: 'ended']

    static String at(long ms) {
        TIME.format(Instant.ofEpochMilli(ms))
    }

    /** `place`: which in line an agent that waits for room is; 0 where that is not known. */
    static List<String> event(Map event, int place, String link) {
        if (SILENT.contains(event.event)) {
            return []
        }
        List<String> words = lines(event.message)
        String time = at(event.at as long)
        String pool = clean(event.pool)
        boolean failed = event.event == 'failed' || event.outcome == 'failed'
        String said = words.size() == 1 && event.event == 'failed' ? "\"${words[0]}\"" : (words ? words[0] : '')
        String reason = [clean(event.reason), said].findAll().unique().join(': ')
        String text
        switch (event.event) {
            case 'placed':
                String usual = (event.usual ?: 0) > 0 ? ", usually online in ${age(((double) event.usual * 1000d) as long)}" : ''
                text = "${pool}${event.zone ? " (${clean(event.zone)})" : ''}: launching${attempt(event)}${usual}${said ? "; not chosen: ${said}" : ''}"
                break
            case 'waiting':
                text = "waiting${inLine(place)}: ${reason}"
                break
            case 'goal':
                text = "${failed ? 'failed' : 'ends'}: ${[pool, reason].findAll().join(': ')}"
                break
            default:
                String word = event.event == 'failed' ? '' : clean(event.event)
                text = [pool, word, reason].findAll().join(': ')
        }
        List<String> more = words.drop(1).collect { "  ${it}".toString() }
        if (event.hint) {
            more << "  hint: ${lines(event.hint).join(' ')}".toString()
        }
        if (failed && event.outcome == 'failed' && link) {
            more << "  more: ${link}".toString()
        }
        ["${time} ${text}".toString()] + more
    }

    /** How far an agent is, in a few words: `booting on fargate`. */
    static String state(Map last, int place) {
        String where = last.pool ? " on ${clean(last.pool)}" : ''
        if (last.event == 'waiting') {
            return "waiting${inLine(place)}: ${[clean(last.reason), lines(last.message).find()].findAll().unique().join(': ')}"
        }
        if (last.event == 'failed') {
            return "to be tried again after ${clean(last.reason)}${where}"
        }
        "${STATES[last.event] ?: clean(last.event)}${where}"
    }

    /** `18 s`, `2 min`: as people say it. */
    static String age(long ms) {
        long seconds = Math.max(0L, ms).intdiv(1000)
        seconds < 120 ? "${seconds} s" : (seconds < 7200 ? "${seconds.intdiv(60)} min" : "${seconds.intdiv(3600)} h")
    }

    /** Why nothing can run a build: what each policy lacks. `policies`: maps or objects with name and labels. */
    static List<String> unserved(Label label, Collection policies) {
        List<String> known = policies.collectMany { it.labels }.unique() as List
        String use = known ? ", or use one of the labels: ${known.take(MOST_LABELS).join(', ')}" : ''
        if (label == null) {
            return ['no policy takes builds that name no label'] + ["  ask an admin to add one${use}".toString()]
        }
        List<String> wanted = label.listAtoms().collect { it.name }.findAll { !Overrides.isOne(it) && !isExcluded(label, it) }.sort()
        boolean all = wanted && (wanted == [label.name] || !(label.name =~ /[|!]|->/))
        String head = all ? "no policy carries all of: ${wanted.join(', ')}" : "no policy matches ${clean(label.name)}"
        List rows = policies.collect { [name: it.name, has: wanted.findAll { w -> it.labels.contains(w) },
                                        lacks: wanted.findAll { w -> !it.labels.contains(w) }] }
        rows.sort { it.lacks.size() }
        int wide = rows.collect { it.name.length() }.max() ?: 0
        List<String> told = rows.take(MOST_POLICIES).collect { "  ${it.name.padRight(wide + 3)} ${compared(it)}".toString() }
        [head.toString()] + told + ["  ask an admin to add a policy${use}".toString()]
    }

    /** Whether the expression says that this label must not be there. */
    private static boolean isExcluded(Label label, String atom) {
        label.name =~ /!\s*"?${java.util.regex.Pattern.quote(atom)}(?:["\s&|)<-]|$)/
    }

    private static String compared(Map row) {
        String has = row.has ? "has ${row.has.join(', ')}" : 'has none of them'
        row.lacks ? "${has}; lacks ${row.lacks.join(', ')}" : "${has}; the expression excludes it"
    }

    private static String attempt(Map event) {
        String most = event.attempts > 1 ? " of ${event.attempts}" : ''
        event.attempt > 1 || most ? " (attempt ${event.attempt}${most})" : ''
    }

    static String inLine(int place) {
        if (place <= 0) {
            return ''
        }
        String end = ((place % 100) in 11..13) ? 'th' : ([1: 'st', 2: 'nd', 3: 'rd'][place % 10] ?: 'th')
        ", ${place}${end} in line"
    }

    /** Clean lines, not too many and not too long. */
    static List<String> lines(Object text) {
        List<String> all = (text ?: '').toString().readLines().collect { clean(it) }.findAll()
        all.size() > MOST_LINES ? all.take(MOST_LINES) + "(${all.size() - MOST_LINES} more lines)".toString() : all
    }

    static String clean(Object text) {
        plain((text ?: '').toString()).trim().take(LONGEST)
    }

    /** A line of ours, in which labels are as builds have them. */
    static String plain(String line) {
        line.replace('\t', ' ').replaceAll(/\p{Cntrl}/, '?').take(LONGEST_LINE)
    }
}
