package hudson;

public class ExtensionComponent<T> {
    private final T instance;
    private final double ordinal;

    public ExtensionComponent(T instance, double ordinal) {
        this.instance = instance;
        this.ordinal = ordinal;
    }

    public T getInstance() {
        return instance;
    }

    public double ordinal() {
        return ordinal;
    }
}
