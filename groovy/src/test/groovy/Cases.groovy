import hudson.ExtensionList
import io.agentbroker.client.BrokerClient
import io.agentbroker.client.BrokerException
import java.util.concurrent.TimeUnit
import java.util.logging.Handler
import jenkins.model.NodeListener

/** What scripts with a World have: each case has a controller of its own; the broker is what `broker` says. */
abstract class Cases extends Script {
    public static final Map POLICY = [name: 'linux', labels: ['linux'], accept_unlabelled: false, name_prefix: '', executors: 1,
                                      remote_fs: '', retention: [max_uses: 5, idle_timeout: 0.001d]]
    public static final Map NOTHING = [agents: [], unknown: [], remove: [], wanted: [], policies_revision: '1']
    final List tried = []
    /** What our side has written into the system log in this case. */
    final List lines = [].asSynchronized()
    Map broker = [:]
    /** What each handshake has told of the port for agents. */
    final List ports = [].asSynchronized()

    Cases() {
        Log.LOGGER.with {
            useParentHandlers = false
            addHandler([publish: { lines << it.message }, flush: {}, close: {}] as Handler)
        }
        ExtensionList.lookup(NodeListener).add(new NodeListener() {
            protected void onDeleted(hudson.model.Node node) {
                node.fleet.forget(node)
            }
        })
        BrokerClient.metaClass.handshake = { String version, String url, String boot, Map port ->
            ports << port
            broker.handshake()
        }
        BrokerClient.metaClass.syncNodes = { String boot, List nodes, List queue, List pending, List unmatched -> broker.syncNodes(nodes) }
        BrokerClient.metaClass.requestAgents = { String boot, List agents -> agents.collect { [name: it.name, accepted: true] } }
        BrokerClient.metaClass.releaseAgents = { String boot, List agents -> broker.releaseAgents(agents) }
    }

    void check(String sentence, Closure work) {
        World world = new World()
        lines.clear()
        ports.clear()
        broker.clear()
        broker.putAll(handshake: { [broker_version: '1', policies_revision: '1', sync_interval: 0.2d, policies: [POLICY]] },
                syncNodes: { NOTHING }, releaseAgents: { [] })
        work.call(world)
        world.link.worker.with { shutdownNow(); awaitTermination(5, TimeUnit.SECONDS) }
        world.link.client.close()
        tried << sentence
    }

    static BrokerException failure(String code, String message) {
        new BrokerException(code, code == 'UNAVAILABLE' ? 'not reachable' : 'refused us', message, null)
    }

    void until(Closure look) {
        long end = System.currentTimeMillis() + 5_000
        while (!look.call()) {
            assert System.currentTimeMillis() < end: lines
            Thread.sleep(20)
        }
    }
}
