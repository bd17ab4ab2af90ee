package hudson;

import java.util.AbstractList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import jenkins.ExtensionComponentSet;

/** Ordered by ordinal, then by class name, as core does. */
public class ExtensionList<T> extends AbstractList<T> {
    private static final Map<Class<?>, ExtensionList<?>> LISTS = new ConcurrentHashMap<>();

    private final Class<T> type;
    private final List<ExtensionComponent<T>> components = new CopyOnWriteArrayList<>();

    private ExtensionList(Class<T> type) {
        this.type = type;
    }

    @SuppressWarnings("unchecked")
    public static <T> ExtensionList<T> lookup(Class<T> type) {
        return (ExtensionList<T>) LISTS.computeIfAbsent(type, ExtensionList::new);
    }

    @Override
    public T get(int index) {
        return components.get(index).getInstance();
    }

    @Override
    public int size() {
        return components.size();
    }

    @Override
    public boolean add(T extension) {
        return insert(new ExtensionComponent<>(extension, 0));
    }

    @Override
    public boolean remove(Object extension) {
        return components.removeIf(component -> component.getInstance() == extension);
    }

    public boolean refresh(ExtensionComponentSet delta) {
        delta.find(type).forEach(this::insert);
        return true;
    }

    private boolean insert(ExtensionComponent<T> component) {
        components.add(component);
        components.sort((a, b) -> a.ordinal() != b.ordinal()
                ? Double.compare(b.ordinal(), a.ordinal())
                : a.getInstance().getClass().getName().compareTo(b.getInstance().getClass().getName()));
        return true;
    }
}
