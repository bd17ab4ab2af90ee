import hudson.model.Hudson
import hudson.model.Label
import hudson.remoting.Channel
import io.agentbroker.client.BrokerClient
import jenkins.model.Jenkins

/** A controller of its own, with a link to a broker that is not there: what it would say is said by the test. */
class World {
    Fleet fleet = new Fleet()
    BrokerLink link
    NodeSync sync

    World(Map policy = Cases.POLICY) {
        new Hudson(File.createTempDir())
        Properties values = new Properties()
        values.putAll(broker: '127.0.0.1:1', tls: 'false')
        link = new BrokerLink(new Settings(values), fleet)
        link.client = BrokerClient.connect('127.0.0.1:1', false, '', '', '', '', 1000)
        link.afterSync = {}
        sync = new NodeSync(fleet, link)
        link.sync = sync
        fleet.link = link
        fleet.policies = [new Policy(policy)]
    }

    BrokerAgent plan() {
        fleet.plan(fleet.policies[0], queued(1)[0])
    }

    BrokerAgent online() {
        BrokerAgent agent = plan()
        Jenkins.get().addNode(agent)
        agent.everOnline = true
        agent.toComputer().channelIs(new Channel())
        agent
    }

    List queued(int count, String label = 'linux') {
        count.times { Jenkins.get().queue.schedule(new Job(), Label.expression(label)) }
        Jenkins.get().queue.buildableItems
    }

    Map told(String name) {
        [name: name, policy: 'linux', phase: 'launching', takes_builds: true, uses: 2, why: 'launching', labels: ['linux'],
         executors: 1, remote_fs: '', retention: [max_uses: 5, idle_timeout: 1d], waits_for_room: false]
    }
}
