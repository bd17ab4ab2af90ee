import java.util.logging.Level
import java.util.logging.LogRecord
import java.util.logging.Logger

/** The logger `agentbroker`; the system log names it as the source, and not the inside of Groovy's calls. */
class Log {
    static final Logger LOGGER = Logger.getLogger('agentbroker')
    /** What stands before a line: the name of the cloud that it is about, unless it has the usual one. */
    private static final ThreadLocal<String> ABOUT = ThreadLocal.withInitial { '' }
    private static final String USUAL = 'agentbroker'

    static void fine(Object text, Throwable failure = null) {
        write(Level.FINE, text, failure)
    }

    static void info(Object text) {
        write(Level.INFO, text, null)
    }

    static void warning(Object text, Throwable failure = null) {
        write(Level.WARNING, text, failure)
    }

    /** Lines of `work` are about this cloud; null for none. */
    static Object speakingFor(String cloud, Closure work) {
        String before = ABOUT.get()
        ABOUT.set(cloud && cloud != USUAL ? "${cloud}: ".toString() : '')
        try {
            work.call()
        } finally {
            ABOUT.set(before)
        }
    }

    private static void write(Level level, Object text, Throwable failure) {
        if (LOGGER.isLoggable(level)) {
            LogRecord record = new LogRecord(level, "agentbroker: ${ABOUT.get()}${text}".toString())
            record.loggerName = LOGGER.name
            record.sourceClassName = LOGGER.name
            record.thrown = failure
            LOGGER.log(record)
        }
    }
}
