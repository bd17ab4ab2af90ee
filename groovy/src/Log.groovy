import java.util.logging.Level
import java.util.logging.LogRecord
import java.util.logging.Logger

/** The logger `agentbroker`; the system log names it as the source, and not the inside of Groovy's calls. */
class Log {
    static final Logger LOGGER = Logger.getLogger('agentbroker')

    static void fine(Object text) {
        write(Level.FINE, text, null)
    }

    static void info(Object text) {
        write(Level.INFO, text, null)
    }

    static void warning(Object text, Throwable failure = null) {
        write(Level.WARNING, text, failure)
    }

    private static void write(Level level, Object text, Throwable failure) {
        if (LOGGER.isLoggable(level)) {
            LogRecord record = new LogRecord(level, "agentbroker: ${text}".toString())
            record.loggerName = LOGGER.name
            record.sourceClassName = LOGGER.name
            record.thrown = failure
            LOGGER.log(record)
        }
    }
}
