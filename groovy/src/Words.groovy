import java.nio.channels.ClosedChannelException
import java.util.regex.Matcher

/** What is written for people, short enough to be sent. */
class Words {
    private static final int MOST = 300
    /** Of a class file: that of Java 8 is 52. */
    private static final int JAVA_0 = 44

    /** The first line, of at most 300 characters. */
    static String line(Object text) {
        (text ?: '').toString().trim().readLines().find { it }?.take(MOST) ?: ''
    }

    /** What is at the bottom of a failure that the other side of a channel may have had; empty if it has only gone. */
    static String ofCause(Throwable failure) {
        Throwable bottom = failure
        for (int depth = 0; bottom.cause != null && bottom.cause != bottom && depth < 20; depth++) {
            bottom = bottom.cause
        }
        if (bottom instanceof ClosedChannelException || bottom instanceof EOFException) {
            return ''
        }
        Matcher java = bottom.message =~ /\(class file version (\d+)\.\d+\).* up to (\d+)\./
        java ? "its Java is too old: it is Java ${(java[0][2] as int) - JAVA_0}, and Jenkins needs ${(java[0][1] as int) - JAVA_0}" :
                line("${bottom.class.simpleName}: ${bottom.message ?: ''}")
    }
}
