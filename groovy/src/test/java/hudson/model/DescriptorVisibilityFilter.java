package hudson.model;

import hudson.ExtensionPoint;

public abstract class DescriptorVisibilityFilter implements ExtensionPoint {
    @SuppressWarnings("rawtypes")
    public abstract boolean filter(Object context, Descriptor descriptor);
}
