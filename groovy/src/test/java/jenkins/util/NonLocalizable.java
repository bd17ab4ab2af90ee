package jenkins.util;

import org.jvnet.localizer.Localizable;

public class NonLocalizable extends Localizable {
    private final String text;

    public NonLocalizable(String nonLocalizable) {
        text = nonLocalizable;
    }

    @Override
    public String toString() {
        return text;
    }
}
