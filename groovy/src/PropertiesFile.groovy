import java.nio.ByteBuffer
import java.nio.charset.CharacterCodingException
import java.nio.charset.CodingErrorAction
import java.nio.charset.StandardCharsets
import java.nio.file.AccessDeniedException
import java.nio.file.Files
import java.nio.file.NoSuchFileException

/** A properties file in UTF-8, read so that what is wrong with it is said with its line; the name is for others to say. */
class PropertiesFile {
    final File file
    final Properties values = new Properties()
    /** key → the line, from 1, on which it begins. */
    final Map<String, Integer> lines = [:]

    /** Reads it; an IllegalArgumentException says what is wrong and what to do. */
    PropertiesFile(File file) {
        this.file = file
        logicalLines(text()).each { int number, String line -> take(number, line) }
    }

    /** What is wrong with one of its values, as an exception. */
    IllegalArgumentException wrong(String key, String why) {
        at(lines[key] ?: 0, "${key}=${values.getProperty(key, '')} ${why}")
    }

    /** One line for each key that is not known, with the nearest that is. */
    List<String> unknown(Collection<String> known) {
        (lines.keySet() - known).collect { String key ->
            String near = known.min { distance(key.toLowerCase(), it) }
            boolean meant = distance(key.toLowerCase(), near) <= Math.max(2, key.length().intdiv(3))
            place(lines[key]) + "unknown key \"${shown(key)}\" is ignored; " +
                    (meant ? "did you mean \"${near}\"?" : "known: ${known.join(', ')}")
        }
    }

    private String text() {
        try {
            String text = StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT)
                    .decode(ByteBuffer.wrap(Files.readAllBytes(file.toPath()))).toString()
            return text.startsWith('\ufeff') ? text.substring(1) : text // as some editors begin a file
        } catch (NoSuchFileException ignored) {
            throw new IllegalArgumentException('it does not exist; run `agentbroker init jenkins`')
        } catch (AccessDeniedException ignored) {
            throw new IllegalArgumentException("it cannot be read by the user of Jenkins; run: chmod a+r ${file}".toString())
        } catch (CharacterCodingException ignored) {
            throw new IllegalArgumentException('it is not in UTF-8; save it in that encoding')
        } catch (IOException failure) {
            throw new IllegalArgumentException("it cannot be read: ${failure.message}".toString())
        }
    }

    /** line number → a line with all that continues it. */
    private static Map<Integer, String> logicalLines(String text) {
        Map<Integer, String> found = [:]
        int begun = 0
        text.readLines().eachWithIndex { String line, int index ->
            boolean goesOn = begun > 0
            if (goesOn || (line.trim() && !(line.trim()[0] in ['#', '!']))) {
                begun = begun ?: index + 1
                found[begun] = (found[begun] ? found[begun] + '\n' : '') + line
                boolean continues = (line =~ /\\*$/)[0].length() % 2 == 1
                begun = continues ? begun : 0
            }
        }
        found
    }

    private void take(int number, String line) {
        Properties one = new Properties()
        try {
            one.load(new StringReader(line))
        } catch (IllegalArgumentException failure) {
            throw at(number, "is no key=value: ${failure.message}")
        }
        one.each { key, value ->
            if (lines.containsKey(key)) {
                throw at(number, "${shown(key)} is there twice, on line ${lines[key]} too; leave one of them")
            }
            lines[key] = number
            values.setProperty(key, value)
        }
    }

    private IllegalArgumentException at(int number, String why) {
        new IllegalArgumentException(place(number) + why)
    }

    private String place(int number) {
        number > 0 ? "line ${number}: ".toString() : ''
    }

    private static String shown(Object key) {
        Words.line(key).take(60)
    }

    /** Of Levenshtein. */
    private static int distance(String a, String b) {
        List<Integer> row = (0..b.length()) as List
        a.length().times { int i ->
            List<Integer> next = [i + 1]
            b.length().times { int j ->
                next << [row[j + 1] + 1, next[j] + 1, row[j] + (a[i] == b[j] ? 0 : 1)].min()
            }
            row = next
        }
        row.last()
    }
}
