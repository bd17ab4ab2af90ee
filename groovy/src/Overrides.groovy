import groovy.transform.CompileStatic
import hudson.model.Label
import hudson.model.labels.LabelAtom
import java.util.regex.Pattern

/**
 * What a build asks for itself, by atoms of its label: `linux && cpu=4`. They are no labels of a policy, and whether they
 * are allowed the broker says; here they only keep builds and agents apart. Pure.
 */
@CompileStatic
class Overrides {
    /** Such an atom, of characters that a label may have. */
    private static final Pattern ONE = ~/(image|cpu|memory)=(?:-(?!>)|[^-&|!<>()\s"'\p{Cntrl}]){0,290}/
    private static final List<String> NONE = Collections.unmodifiableList(new ArrayList<String>())

    static boolean isOne(String atom) {
        ONE.matcher(atom).matches()
    }

    /** Those of a label, sorted: equal for builds that ask for the same. */
    static List<String> of(Label label) {
        if (label == null || label.name == null || label.name.indexOf('=') < 0) {
            return NONE
        }
        Set<String> found = new TreeSet<>()
        for (LabelAtom atom : label.listAtoms()) {
            if (isOne(atom.name)) {
                found.add(atom.name)
            }
        }
        new ArrayList<String>(found)
    }

    /** The same with their keys, as the broker is told; of a key that is there twice one: the broker refuses that. */
    static Map<String, String> texts(List<String> atoms) {
        Map<String, String> texts = [:]
        for (String atom : atoms) {
            int end = atom.indexOf('=')
            texts.put(atom.substring(0, end), atom.substring(end + 1))
        }
        texts
    }

    /** For agents that carry these labels beside the atoms of what they were asked for. */
    static Set<LabelAtom> with(Collection<LabelAtom> labels, List<String> atoms) {
        Set<LabelAtom> all = new HashSet<>(labels)
        for (String atom : atoms) {
            all.add(new LabelAtom(atom))
        }
        all
    }
}
