package hudson.util;

import com.thoughtworks.xstream.converters.UnmarshallingContext;
import com.thoughtworks.xstream.converters.collections.AbstractCollectionConverter;
import com.thoughtworks.xstream.io.HierarchicalStreamReader;
import com.thoughtworks.xstream.mapper.Mapper;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

public class DescribableList<T, D> implements Iterable<T> {
    private final List<T> items = new CopyOnWriteArrayList<>();

    public DescribableList() {}

    public void add(T item) throws java.io.IOException {
        items.add(item);
    }

    public List<T> toList() {
        return new java.util.ArrayList<>(items);
    }

    public void replaceBy(java.util.Collection<? extends T> others) throws java.io.IOException {
        items.clear();
        items.addAll(others);
    }

    @Override
    public Iterator<T> iterator() {
        return items.iterator();
    }

    public static class ConverterImpl extends AbstractCollectionConverter {
        public ConverterImpl(Mapper mapper) {
            super(mapper);
        }

        @Override
        public boolean canConvert(Class type) {
            return false;
        }

        @Override
        public void marshal(Object source, com.thoughtworks.xstream.io.HierarchicalStreamWriter writer,
                com.thoughtworks.xstream.converters.MarshallingContext context) {}

        @Override
        public Object unmarshal(HierarchicalStreamReader reader, UnmarshallingContext context) {
            return null;
        }
    }
}
