// Run by GroovyMain with src, the double of Jenkins and the client jar on the class path; an assertion that fails ends it.
import com.thoughtworks.xstream.converters.Converter
import hudson.model.Hudson
import hudson.slaves.Cloud
import jenkins.model.Jenkins

class TheirCloud extends Cloud {
    TheirCloud() {
        super('theirs')
    }
}

new Hudson(File.createTempDir())
xstream = Jenkins.XSTREAM2
chosen = { xstream.converterLookup.lookupConverterForType(Hudson.CloudList).class.simpleName }

original = xstream.metaClass.getMetaMethod('registerConverter', [Converter, int] as Class[])
register = { Converter converter, int priority -> original.invoke(xstream, [converter, priority] as Object[]) }
registered = 0
xstream.metaClass.registerConverter = { Converter converter, int priority ->
    register(converter, priority)
    if (++registered == 1) { // as when another thread saves while XStream takes it on: another choice stays
        register(new hudson.util.DescribableList.ConverterImpl(xstream.mapper) {
            boolean canConvert(Class type) {
                type == Hudson.CloudList
            }
        }, priority)
    }
}
TransientClouds.install()
assert registered == 2
assert chosen() == 'TransientClouds'

// However the class was loaded: what has its name is not saved.
GroovyClassLoader again = new GroovyClassLoader(getClass().classLoader)
Class twin = again.parseClass('class BrokerCloud extends hudson.slaves.Cloud { BrokerCloud() { super("twin") } }')
[new BrokerCloud('ours', new Fleet()), new TheirCloud(), twin.newInstance()].each { Jenkins.get().clouds.add(it) }
text = xstream.toXML(Jenkins.get().clouds)
assert text.contains('TheirCloud') && !text.contains('Broker')

println 'clouds: 2 passed'
