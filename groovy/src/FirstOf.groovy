import hudson.ExtensionComponent
import jenkins.ExtensionComponentSet

/** Brings one extension into its list with an ordinal: ExtensionList.add() has none. */
class FirstOf extends ExtensionComponentSet {
    private final Class wanted
    private final Object extension
    private final double ordinal

    FirstOf(Class wanted, Object extension, double ordinal) {
        this.wanted = wanted
        this.extension = extension
        this.ordinal = ordinal
    }

    @Override
    public <T> Collection<ExtensionComponent<T>> find(Class<T> type) {
        type == wanted ? [new ExtensionComponent(extension, ordinal)] : []
    }
}
