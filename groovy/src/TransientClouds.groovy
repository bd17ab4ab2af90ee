import com.thoughtworks.xstream.XStream
import com.thoughtworks.xstream.converters.MarshallingContext
import com.thoughtworks.xstream.io.HierarchicalStreamWriter
import com.thoughtworks.xstream.mapper.Mapper
import hudson.model.Hudson
import hudson.util.DescribableList
import jenkins.model.Jenkins

/**
 * Writes the clouds of Jenkins without ours: Jenkins refuses to save an object of a script's class, and a save that
 * fails at the end of boot keeps the controller down.
 */
class TransientClouds extends DescribableList.ConverterImpl {
    private static final int MOST_TRIES = 20

    TransientClouds(Mapper mapper) {
        super(mapper)
    }

    /**
     * To be called before our cloud gets into the list; throws when our cloud would be saved. XStream forgets the
     * converters that it has chosen before it takes a new one, so a save at just that moment makes it keep the old choice:
     * saves of Jenkins are kept out, and what it has chosen is looked at.
     */
    static void install() {
        synchronized (Jenkins.get()) { // as Jenkins.save()
            for (int tries = 0; tries < MOST_TRIES; tries++) {
                Jenkins.XSTREAM2.registerConverter(new TransientClouds(Jenkins.XSTREAM2.mapper), XStream.PRIORITY_VERY_HIGH)
                if (isChosen()) {
                    return
                }
            }
        }
        throw new IllegalStateException('Jenkins would save our cloud: another plugin writes its clouds')
    }

    private static boolean isChosen() {
        Jenkins.XSTREAM2.converterLookup.lookupConverterForType(Hudson.CloudList) instanceof TransientClouds
    }

    @Override
    boolean canConvert(Class type) {
        type != null && Hudson.CloudList.isAssignableFrom(type)
    }

    @Override
    void marshal(Object source, HierarchicalStreamWriter writer, MarshallingContext context) {
        for (Object cloud : (Iterable) source) {
            if (cloud.class.name != 'BrokerCloud') { // by name: a script run twice makes two classes
                writeItem(cloud, context, writer)
            }
        }
    }
}
