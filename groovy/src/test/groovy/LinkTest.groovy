// Run by GroovyMain with src, the double of Jenkins and the client jar on the class path; an assertion that fails ends it.
// Each case has a controller of its own; the broker is what `broker` says.
import hudson.ExtensionList
import hudson.model.Hudson
import hudson.model.Label
import hudson.model.Queue
import hudson.remoting.Channel
import hudson.slaves.CloudProvisioningListener
import hudson.slaves.NodeProvisioner
import hudson.slaves.OfflineCause
import io.agentbroker.client.BrokerClient
import io.agentbroker.client.BrokerException
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import java.util.logging.Handler
import jenkins.model.Jenkins
import jenkins.model.NodeListener
import jenkins.util.NonLocalizable

POLICY = [name: 'linux', labels: ['linux'], accept_unlabelled: false, name_prefix: '', executors: 1, remote_fs: '',
          retention: [max_uses: 5, idle_timeout: 0.001d]]
NOTHING = [agents: [], unknown: [], remove: [], wanted: [], policies_revision: '1']
broker = null
lines = []
Log.LOGGER.with {
    useParentHandlers = false
    addHandler([publish: { lines << it.message }, flush: {}, close: {}] as Handler)
}
ExtensionList.lookup(NodeListener).add(new NodeListener() {
    protected void onDeleted(hudson.model.Node node) {
        node.fleet.forget(node)
    }
})
BrokerClient.metaClass.handshake = { String version, String url, String boot -> broker.handshake() }
BrokerClient.metaClass.syncNodes = { String boot, List nodes, List queue, List pending -> broker.syncNodes(nodes) }
BrokerClient.metaClass.requestAgents = { String boot, List agents -> agents.collect { [name: it.name, accepted: true] } }
BrokerClient.metaClass.releaseAgents = { String boot, List agents -> broker.releaseAgents(agents) }

class Job implements Queue.Task {
    String fullDisplayName = 'job'
    Queue.Task ownerTask = this
}

class World {
    Fleet fleet = new Fleet()
    BrokerLink link
    NodeSync sync

    World(Map policy) {
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

tried = []
check = { String sentence, Closure work ->
    World world = new World(POLICY)
    lines.clear()
    broker = [handshake    : { [broker_version: '1', policies_revision: '1', sync_interval: 0.2d, policies: [POLICY]] },
              syncNodes    : { NOTHING },
              releaseAgents: { [] }]
    work.call(world)
    world.link.worker.with { shutdownNow(); awaitTermination(5, TimeUnit.SECONDS) }
    world.link.client.close()
    tried << sentence
}
failure = { String code, String message -> new BrokerException(code, code == 'UNAVAILABLE' ? 'not reachable' : 'refused us', message, null) }

check('a node that a person has set aside is connected, takes nothing, and says why in one short line') { World world ->
    BrokerAgent agent = world.online()
    agent.toComputer().setTemporaryOfflineCause(OfflineCause.create(new NonLocalizable('x' * 400 + '\nsecond')))
    Map told = world.sync.nodes()[0]
    assert told.online && !told.accepting
    assert told.offline_cause == 'x' * 300
}

check('a message with many lines is told by its first') { World world ->
    List told = []
    broker.releaseAgents = { told.addAll(it); [] }
    world.plan().end('CANCELLED', 'y' * 500 + '\nsecond')
    world.link.outbox.empty(world.link.client, 'boot', world.sync)
    assert told*.message == ['y' * 300]
}

check('an agent that has ended here is given back again, and what is on its way stays as it is') { World world ->
    BrokerAgent missed = world.plan()
    BrokerAgent fresh = world.plan()
    missed.end(null, 'ended')
    fresh.end('COMPLETED', 'done')
    world.sync.apply(NOTHING + [agents: [missed, fresh].collect { world.told(it.nodeName) }])
    assert world.link.outbox.releases[missed.nodeName] ==
            [name: missed.nodeName, cause: 'CANCELLED', message: 'ended in Jenkins', uses: 2]
    assert world.link.outbox.releases[fresh.nodeName].cause == 'COMPLETED'
    assert Jenkins.get().nodes.empty
}

check('a planned node that got lost is made, but none that may still come') { World world ->
    BrokerAgent lost = world.plan()
    BrokerAgent coming = world.plan()
    BrokerAgent.getDeclaredField('namedAt').with { accessible = true; setLong(lost, lost.namedAt - 10_001) }
    world.sync.apply(NOTHING + [agents: [lost, coming].collect { world.told(it.nodeName) }])
    assert Jenkins.get().nodes == [lost]
}

check('a node that ends for no ordinary reason is told in the log and in its own') { World world ->
    List agents = (1..3).collect { world.online() }
    List reasons = ['LaunchFailed', 'Completed', 'IdleTimeout']
    ByteArrayOutputStream nodeLog = new ByteArrayOutputStream()
    agents[0].journal.reopen(new PrintStream(nodeLog))
    world.sync.apply(NOTHING + [remove: [agents*.nodeName, reasons].transpose().collect { name, reason ->
        [name: name, reason: reason, message: "out of\nquota"]
    }])
    String text = "${agents[0].nodeName} ended: LaunchFailed: out of"
    assert lines == ["agentbroker: ${text}".toString()]
    assert nodeLog.toString().endsWith("ERROR: LaunchFailed: out of\n       quota\n")
    assert Jenkins.get().nodes.empty
}

check('an agent that took a build before its end as idle is left alone') { World world ->
    BrokerAgent agent = world.online()
    Thread.sleep(20)
    CountDownLatch held = new CountDownLatch(1)
    world.link.later(0) { held.await() }
    agent.retentionStrategy.check(agent.toComputer())
    agent.toComputer().executors[0].begin(new Job())
    held.countDown()
    Thread.sleep(150)
    agent.toComputer().executors[0].finish()
    Thread.sleep(300)
    assert Jenkins.get().nodes == [agent] && !agent.gone
    agent.retentionStrategy.check(agent.toComputer())
    Thread.sleep(200)
    assert Jenkins.get().nodes.empty && agent.endCause == 'IDLE'
}

check('a label is matched once for all of its waiting builds, and not under the lock of the queue') { World world ->
    int matched = 0
    boolean locked = false
    world.fleet.policies[0].metaClass.serves = { Label label ->
        matched++
        locked |= Queue.LOCK.heldByCurrentThread
        label.name == 'linux'
    }
    world.queued(50)
    world.queued(50, 'windows')
    assert world.fleet.waitingItems().size() == 50
    assert matched == 2
    world.link.up = true
    NodeProvisioner reviewer = Label.expression('linux').nodeProvisioner
    matched = 0
    BrokerStrategy strategy = new BrokerStrategy(new BrokerCloud('agentbroker', world.fleet), world.fleet)
    strategy.apply(new NodeProvisioner.StrategyState(reviewer))
    assert matched < 10 && !locked
    assert world.fleet.all().size() == 50
}

check('a listener that fails keeps no planned node from Jenkins, and the others from no word') { World world ->
    List told = []
    CloudProvisioningListener.all().with {
        add(new CloudProvisioningListener() { void onStarted(hudson.slaves.Cloud c, Label l, Collection p) { throw new Error('x') } })
        add(new CloudProvisioningListener() { void onStarted(hudson.slaves.Cloud c, Label l, Collection p) { told.addAll(p) } })
    }
    world.queued(3)
    world.link.up = true
    BrokerStrategy strategy = new BrokerStrategy(new BrokerCloud('agentbroker', world.fleet), world.fleet)
    def decision = strategy.apply(new NodeProvisioner.StrategyState(Label.expression('linux').nodeProvisioner))
    assert decision == NodeProvisioner.StrategyDecision.PROVISIONING_COMPLETED
    assert told.size() == 3
    assert lines.count { it.contains('failed when it was told') } == 1
}

check('what fails beside the exchange does not end the tries to connect') { World world ->
    int tries = 0
    world.sync.metaClass.releaseSurplus = { ->
        if (tries < 3) {
            throw new IllegalStateException('ours')
        }
    }
    broker.handshake = { if (++tries < 3) { throw failure('UNAVAILABLE', 'away') }; [broker_version: '1',
            policies_revision: '1', sync_interval: 5d, policies: [POLICY]] }
    world.link.later(0) { world.link.connect() }
    Thread.sleep(2_500)
    assert tries == 3
    assert world.link.up
}

check('a sync of another revision asks for the policies anew, and once') { World world ->
    int greeted = 0
    broker.handshake = {
        boolean again = ++greeted > 1
        [broker_version: '1', policies_revision: again ? '2' : '1', sync_interval: 0.2d,
         policies: [again ? POLICY + [name: 'mac', labels: ['mac']] : POLICY]]
    }
    broker.syncNodes = { NOTHING + [policies_revision: '2'] }
    world.link.later(0) { world.link.connect() }
    Thread.sleep(1_500)
    assert greeted == 2
    assert world.fleet.policies*.name == ['mac']
}

check('an outage adds no second chain of syncs') { World world ->
    int syncs = 0
    broker.syncNodes = { syncs++; NOTHING }
    5.times { world.link.later(0) { world.link.connect() } }
    Thread.sleep(300)
    syncs = 0
    Thread.sleep(2_000)
    assert syncs in 6..11
}

check('a sync that fails before its call waits for its turn all the same') { World world ->
    world.link.later(0) { world.link.connect() }
    Thread.sleep(150)
    int tries = 0
    broker.releaseAgents = { tries++; throw new IllegalStateException('ours') }
    world.link.outbox.release('gone', [name: 'gone', cause: 'CANCELLED', uses: 0])
    Thread.sleep(1_000)
    assert tries in 3..7
    assert world.link.up
}

check('one release that the broker never takes is dropped, and keeps no other back') { World world ->
    List told = []
    broker.releaseAgents = { List agents ->
        if (agents.any { it.name == 'bad' }) {
            throw failure('INVALID_ARGUMENT', 'no such cause')
        }
        told.addAll(agents*.name)
        []
    }
    ['one', 'bad', 'two'].each { world.link.outbox.release(it, [name: it]) }
    world.link.outbox.empty(world.link.client, 'boot', world.sync)
    assert told == ['one', 'two']
    assert world.link.outbox.releases.isEmpty()
    assert lines == ['agentbroker: the broker cannot be told that bad has ended (no such cause)']
}

check('an overloaded broker is asked again later, and a message too large is cut into smaller ones') { World world ->
    String words = 'Concurrent RPC limit exceeded!'
    List told = []
    broker.releaseAgents = { List agents ->
        if (words || agents.size() > 1) {
            throw failure('RESOURCE_EXHAUSTED', words ?: 'Received message larger than max (5 vs. 4)')
        }
        told.addAll(agents*.name)
        []
    }
    ['one', 'two'].each { world.link.outbox.release(it, [name: it]) }
    try {
        world.link.outbox.empty(world.link.client, 'boot', world.sync)
        assert false: 'it was not told'
    } catch (BrokerException overloaded) {
        assert overloaded.temporary
    }
    assert world.link.outbox.releases.size() == 2
    words = ''
    world.link.outbox.empty(world.link.client, 'boot', world.sync)
    assert told == ['one', 'two']
    assert world.link.outbox.releases.isEmpty()
}
check('a sync that is refused for good is told with the least, said once, and keeps the link up') { World world ->
    world.online()
    List told = []
    broker.syncNodes = { List nodes ->
        if (nodes.any { it.offline_cause != '' || it.current_build != '' }) {
            throw failure('INVALID_ARGUMENT', 'too long')
        }
        told << nodes
        NOTHING
    }
    world.fleet.all()[0].toComputer().setTemporaryOfflineCause(OfflineCause.create(new NonLocalizable('long')))
    world.link.later(0) { world.link.connect() }
    Thread.sleep(900)
    assert told.size() > 2 && told[0]*.name == world.fleet.all()*.nodeName
    broker.syncNodes = { List nodes -> throw failure('INVALID_ARGUMENT', 'never') }
    Thread.sleep(500)
    assert world.link.up
    assert lines.count { it.contains('refuses what Jenkins tells') } == 1
}
check('an agent that the broker wants is named once, has its node at once, and a repeat asks for what is missing') { World world ->
    Map wish = [policy: 'linux', count: 2L, cause: 'WARM', launch_id: '']
    world.sync.apply(NOTHING + [wanted: [wish, wish + [count: 1L, cause: 'MANUAL', launch_id: 'l-7'], wish + [policy: 'none']]])
    world.sync.apply(NOTHING + [wanted: [wish + [count: 3L], wish + [count: 1L, cause: 'MANUAL', launch_id: 'l-7']]])
    List asked = world.link.outbox.requests.values() as List
    assert asked*.cause.countBy { it } == [WARM: 3, MANUAL: 1]
    assert asked*.launch_id.countBy { it } == ['': 3, 'l-7': 1]
    assert Jenkins.get().nodes*.nodeName.toSet() == asked*.name.toSet()
    world.link.outbox.empty(world.link.client, 'boot', world.sync)
    world.sync.apply(NOTHING + [wanted: [wish + [count: 1L]]])
    assert Jenkins.get().nodes.size() == 5
}

check('an agent that is wanted takes a build that comes, and none is asked for beside it') { World world ->
    world.fleet.launch(world.fleet.policies[0], 'ana')
    assert world.link.outbox.requests.values().collect { [it.cause, it.requested_by] } == [['MANUAL', 'ana']]
    world.queued(3)
    List waiting = world.fleet.waitingItems()
    assert world.fleet.shortage(waiting, world.fleet.all()) == [linux: 2]
}

check('an agent that no build asked for is not given back because none waits, after its node was made again neither') { World world ->
    world.link.outbox.requests['x'] = [:]
    BrokerAgent agent = world.fleet.launch(world.fleet.policies[0], 'ana')
    world.fleet.adopt(world.told('again') + [cause: 'WARM', waits_for_room: true])
    List stalled = [agent, world.fleet.agent('again')]
    stalled.each { it.surplusSince = 1 }
    world.sync.releaseSurplus()
    assert stalled.every { it.stalled && !it.gone }
}

println "link: ${tried.size()} passed"
System.exit(0)
