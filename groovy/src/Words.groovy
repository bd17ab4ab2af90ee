/** What is written for people, short enough to be sent. */
class Words {
    private static final int MOST = 300

    /** The first line, of at most 300 characters. */
    static String line(Object text) {
        (text ?: '').toString().trim().readLines().find { it }?.take(MOST) ?: ''
    }
}
