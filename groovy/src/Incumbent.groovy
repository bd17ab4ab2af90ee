import hudson.ExtensionList
import hudson.model.queue.QueueListener
import java.security.MessageDigest

/**
 * The mark of the one agentbroker of this controller, in a list that Jenkins has but once. A script that runs twice makes
 * classes of its own, which share nothing but their names with those of the first run.
 */
class Incumbent extends QueueListener {
    private final File files
    /** Of the files when they were loaded. */
    private final String digest

    private Incumbent(File files) {
        this.files = files
        digest = digestOf(files)
    }

    /** The mark, when nobody has it; else null, and a line that says what whoever ran the script again may want to know. */
    static Incumbent claim(File files) {
        Incumbent mine = new Incumbent(files)
        Object first = null
        synchronized ('agentbroker: who runs'.intern()) { // one text for all class loaders
            first = ExtensionList.lookup(QueueListener).find { it.class.name == Incumbent.name }
            if (first == null) {
                ExtensionList.lookup(QueueListener).add(mine)
                return mine
            }
        }
        boolean changed = first.digest != mine.digest
        Log.info(changed ? 'runs already, from files that have changed since: restart Jenkins to load the new ones'
                : 'runs already, from these very files: nothing was done')
        null
    }

    /** Nothing was started: the next run of the script may try. */
    void giveUp() {
        ExtensionList.lookup(QueueListener).remove(this)
    }

    private static String digestOf(File folder) {
        MessageDigest sum = MessageDigest.getInstance('SHA-256')
        List<File> found = []
        folder.eachFileRecurse { found << it }
        found.findAll { it.file }.sort { it.path }.each {
            sum.update("${it.path}\n${it.length()}\n".getBytes('UTF-8'))
            sum.update(it.bytes)
        }
        sum.digest().encodeHex().toString()
    }
}
