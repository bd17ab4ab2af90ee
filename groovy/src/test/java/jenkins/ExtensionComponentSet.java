package jenkins;

import hudson.ExtensionComponent;
import java.util.Collection;

public abstract class ExtensionComponentSet {
    public abstract <T> Collection<ExtensionComponent<T>> find(Class<T> type);
}
