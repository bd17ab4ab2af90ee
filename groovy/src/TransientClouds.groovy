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
    TransientClouds(Mapper mapper) {
        super(mapper)
    }

    /** To be called before our cloud gets into the list. */
    static void install() {
        Jenkins.XSTREAM2.registerConverter(new TransientClouds(Jenkins.XSTREAM2.mapper), XStream.PRIORITY_VERY_HIGH)
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
