// Run by GroovyMain with src, the double of Jenkins and the client jar on the class path; an assertion that fails ends it.
import groovy.transform.BaseScript
import hudson.ExtensionList
import hudson.TcpSlaveAgentListener
import hudson.model.Label
import hudson.model.Queue
import hudson.remoting.Channel
import hudson.slaves.CloudProvisioningListener
import hudson.slaves.NodeProvisioner
import hudson.slaves.OfflineCause
import io.agentbroker.client.BrokerException
import java.util.concurrent.CountDownLatch
import jenkins.model.Jenkins
import jenkins.util.NonLocalizable

@BaseScript Cases cases

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
    world.fleet.retirement.worker.submit({ held.await() } as Runnable)
    agent.retentionStrategy.check(agent.toComputer())
    agent.toComputer().executors[0].begin(new Job())
    held.countDown()
    Thread.sleep(300)
    assert Jenkins.get().nodes == [agent] && !agent.gone
    agent.toComputer().executors[0].finish()
    agent.retentionStrategy.check(agent.toComputer())
    until { Jenkins.get().nodes.empty }
    assert agent.endCause == 'IDLE'
}

check('a label is matched once for all of its waiting builds, and not under the lock of the queue') { World world ->
    List matched = []
    world.fleet.policies = [new Policy(POLICY) {
        boolean serves(Label label) {
            matched << Queue.LOCK.heldByCurrentThread
            label.name == 'linux'
        }
    }]
    world.queued(50)
    world.queued(50, 'windows')
    assert world.fleet.backlog().counts == [linux: 50]
    assert matched.size() == 2
    world.link.up = true
    NodeProvisioner reviewer = Label.expression('linux').nodeProvisioner
    matched.clear()
    BrokerStrategy strategy = new BrokerStrategy(new BrokerCloud('agentbroker', world.fleet), world.fleet)
    strategy.apply(new NodeProvisioner.StrategyState(reviewer))
    assert matched.size() < 10 && !matched.any()
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

check('a broker that wants more and more is given a thousand that have not come, and more when those have') { World world ->
    Map wish = [policy: 'linux', count: 1_000L, cause: 'MANUAL', launch_id: '']
    Closure wants = { int number -> world.sync.apply(NOTHING + [wanted: [wish + [launch_id: "l-${number}".toString()]]]) }
    15.times { wants(it) }
    assert world.fleet.all().size() == 1_000
    world.fleet.all().take(10)*.everOnline = true
    wants(99)
    assert world.fleet.all().size() == 1_010
}

check('an agent that is wanted takes a build that comes, and none is asked for beside it') { World world ->
    world.fleet.launch(world.fleet.policies[0], 'ana')
    assert world.link.outbox.requests.values().collect { [it.cause, it.requested_by] } == [['MANUAL', 'ana']]
    world.queued(3)
    assert world.fleet.shortage(world.fleet.backlog(), world.fleet.all()) == [linux: 2]
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

strategyOf = { World world -> new BrokerStrategy(new BrokerCloud('agentbroker', world.fleet), world.fleet) }
review = { World world, String label ->
    world.link.up = true
    def state = new NodeProvisioner.StrategyState(Label.expression(label).nodeProvisioner)
    def decision = strategyOf(world).apply(state)
    state.this$0.pending.each { Jenkins.get().addNode(it.future.get()) }
    state.this$0.pending.clear()
    decision
}
watched = { World world -> ExtensionList.lookup(hudson.model.queue.QueueListener).add(new QueueWatch(world.fleet)) }

check('a build that is cancelled gives back the agent that was named for it, and the others keep theirs') { World world ->
    watched(world)
    List told = []
    broker.releaseAgents = { told.addAll(it); [] }
    List items = world.queued(3)
    review(world, 'linux')
    List agents = items.collect { item -> world.fleet.all().find { it.itemId == item.id } }
    Jenkins.get().queue.cancel(items[1])
    until { Jenkins.get().nodes.toSet() == [agents[0], agents[2]].toSet() }
    until { told*.cause == ['CANCELLED'] }
    assert review(world, 'linux') == NodeProvisioner.StrategyDecision.PROVISIONING_COMPLETED
    assert world.fleet.all().size() == 2
}

check('an agent that another build has come to need stays when its own is cancelled, and so does one launched by hand') { World world ->
    watched(world)
    List items = world.queued(1)
    review(world, 'linux')
    BrokerAgent agent = world.fleet.all()[0]
    world.fleet.launch(world.fleet.policies[0], 'ana')
    world.queued(2)
    Jenkins.get().queue.cancel(items[0])
    Thread.sleep(300)
    assert !agent.gone && world.fleet.all().size() == 2
    Jenkins.get().queue.buildableItems.each { Jenkins.get().queue.cancel(it) }
    until { world.fleet.all()*.cause == ['MANUAL'] }
}

check('the agent of a build that is cancelled serves the one that is queued a second later, or ends when none comes') { World world ->
    watched(world)
    List items = world.queued(2)
    review(world, 'linux')
    List agents = items.collect { item -> world.fleet.all().find { it.itemId == item.id } }
    items.each { Jenkins.get().queue.cancel(it) }
    Thread.sleep(1_000)
    assert !agents*.gone.any()
    world.queued(1)
    until { world.fleet.all().size() == 1 }
    Thread.sleep(200)
    assert world.fleet.all().size() == 1 && agents.count { it.gone } == 1
}

check('the broker hears of the build that waits for an agent which was asked for for another') { World world ->
    List items = world.queued(2)
    review(world, 'linux')
    List agents = items.collect { item -> world.fleet.all().find { it.itemId == item.id } }
    WaitingBuild build = new WaitingBuild(items[1], { it.run() } as java.util.concurrent.Executor)
    build.agent = agents[0]
    assert agents[0].waitedForBy.is(items[1].task)
    build.agent = agents[1]
    assert agents*.waitedForBy == [null, null]: 'its own is known by its request'
}

check('of an agent that starts and one that has no room the first stays for the build that is left') { World world ->
    watched(world)
    List items = world.queued(2)
    review(world, 'linux')
    List agents = items.collect { item -> world.fleet.all().find { it.itemId == item.id } }
    agents[1].waitsForRoom = true
    Jenkins.get().queue.cancel(items[0])
    until { world.fleet.all() == [agents[0]] }
}

check('an agent that runs the build of another is not ended by the end of its own, and the youngest unused one is') { World world ->
    watched(world)
    List items = world.queued(2)
    review(world, 'linux')
    List agents = items.collect { item -> world.fleet.all().find { it.itemId == item.id } }
    agents[1].everOnline = true
    agents[1].toComputer().channelIs(new Channel())
    Jenkins.get().queue.buildables.remove(items[0])
    agents[1].toComputer().executors[0].begin(items[0].task)
    Jenkins.get().queue.cancel(items[1])
    until { world.fleet.all() == [agents[1]] }
}

check('why Jenkins cannot use a connection is told until it can use one, and what the broker has said itself is not') { World world ->
    BrokerAgent agent = world.plan()
    Jenkins.get().addNode(agent)
    until { agent.toComputer().offlineCauseReason == "${agent.nodeName} is being started" }
    assert world.sync.nodes()[0].offline_cause == ''
    Throwable old = new UnsupportedClassVersionError('A has been compiled by a more recent version of the Java Runtime ' +
            '(class file version 65.0), this version of the Java Runtime only recognizes class file versions up to 61.0')
    [(new LinkageError('Failed to load A', old)): 'its Java is too old: it is Java 17, and Jenkins needs 21',
     (new java.nio.channels.ClosedChannelException()): 'its Java is too old: it is Java 17, and Jenkins needs 21',
     (new IllegalStateException('Already connected\nhere')): 'IllegalStateException: Already connected'].each { failure, words ->
        try {
            agent.toComputer().setChannel(new Channel(failure: failure), System.out, null)
            assert false
        } catch (IOException expected) {
            assert expected.cause.is(failure)
        }
        assert world.sync.nodes()[0].offline_cause == words
    }
    agent.toComputer().setChannel(new Channel(), System.out, null)
    agent.toComputer().channelIs(null)
    assert world.sync.nodes()[0].offline_cause == ''
}

check('for an agent that came too late for its policy the build it was asked for is cancelled, and no other') { World world ->
    watched(world)
    List items = world.queued(3)
    review(world, 'linux')
    List agents = items.collect { item -> world.fleet.all().find { it.itemId == item.id } }
    Map removal = [name: agents[1].nodeName, reason: 'QueueTimeout', message: 'no room for 5 m', cancel_build: true]
    world.sync.apply(NOTHING + [remove: [removal]])
    world.sync.apply(NOTHING + [remove: [removal]])
    Thread.sleep(200)
    assert Jenkins.get().queue.buildableItems == [items[0], items[2]]
    assert world.fleet.all().toSet() == [agents[0], agents[2]].toSet()
    assert lines.count { it.contains('job was cancelled in the queue') && it.endsWith('QueueTimeout: no room for 5 m') } == 1
}

check('where that build runs already, the oldest one without an agent is cancelled, and none where all have theirs') { World world ->
    List items = world.queued(2)
    review(world, 'linux')
    List agents = items.collect { item -> world.fleet.all().find { it.itemId == item.id } }
    Jenkins.get().queue.buildables.remove(items[0])
    Map removal = [name: agents[0].nodeName, reason: 'QueueTimeout', message: '', cancel_build: true]
    world.sync.apply(NOTHING + [remove: [removal]])
    assert Jenkins.get().queue.buildableItems == [items[1]]
    agents[1].itemId = 0
    world.sync.apply(NOTHING + [remove: [removal + [name: agents[1].nodeName]]])
    assert Jenkins.get().queue.buildableItems.empty
}

check('an agent with several executors is one for as many builds as it may have at once') { World world ->
    world.fleet.policies = [new Policy(POLICY + [executors: 3])]
    world.queued(7)
    assert review(world, 'linux') == NodeProvisioner.StrategyDecision.PROVISIONING_COMPLETED
    assert world.fleet.all()*.numExecutors == [3, 3, 3]
    world.queued(2)
    review(world, 'linux')
    assert world.fleet.all().size() == 3
    assert new Policy(POLICY + [executors: 3, retention: [max_uses: 1, idle_timeout: 1d]]).places == 1
}

check('while Jenkins is about to shut down nothing is asked for, and what was asked for stays') { World world ->
    world.queued(2)
    Jenkins.get().quietingDown = true
    assert review(world, 'linux') == NodeProvisioner.StrategyDecision.CONSULT_REMAINING_STRATEGIES
    assert world.fleet.all().empty
    Jenkins.get().quietingDown = false
    review(world, 'linux')
    Jenkins.get().quietingDown = true
    assert review(world, 'linux') == NodeProvisioner.StrategyDecision.PROVISIONING_COMPLETED
    assert world.fleet.all().size() == 2
}

check('builds that come at once are one review of their label, and one more for those that come after it') { World world ->
    watched(world)
    int reviews = 0
    world.fleet.policies = [new Policy(POLICY + [labels: ['many']])]
    Label.expression('many').nodeProvisioner.metaClass.suggestReviewNow = { -> reviews++ }
    world.queued(20, 'many')
    until { reviews == 1 }
    world.queued(20, 'many')
    until { reviews == 2 }
    Thread.sleep(300)
    assert reviews == 2
}

check('eight builds on agents of two executors are four agents') { World world ->
    world.fleet.policies = [new Policy(POLICY + [executors: 2, retention: [max_uses: 2, idle_timeout: 1d]])]
    world.queued(8)
    review(world, 'linux')
    assert world.fleet.all()*.numExecutors == [2, 2, 2, 2]
    review(world, 'linux')
    assert world.fleet.all().size() == 4
}

check('a light task is one of the builds that an agent may have, though it takes none of its executors') { World world ->
    world.fleet.policies = [new Policy(POLICY + [retention: [max_uses: 1, idle_timeout: 60d]])]
    BrokerAgent agent = world.online()
    Queue.BuildableItem other = world.queued(1).last()
    assert agent.places == 1 && agent.canTake(other) == null
    def light = agent.toComputer().giveLightTask() // by the queue; it has not begun
    assert agent.places == 0 && !agent.acceptingTasks && agent.canTake(other) != null
    light.begin(new Job())
    assert agent.uses.get() == 1 && agent.usedUp && agent.places == 0
    assert !agent.toComputer().idle && agent.toComputer().countIdle() == 1
    agent.fleet.retirement.consider(agent)
    Thread.sleep(300)
    assert !agent.gone // it runs
    light.finish()
    agent.fleet.retirement.consider(agent)
    until { agent.gone }
    assert agent.uses.get() == 1
}

check('a port for agents that opens late is told in a handshake of its own, which drops nothing') { World world ->
    world.link.later(0) { world.link.connect() }
    until { world.link.up }
    Jenkins.get().tcpSlaveAgentListener = new TcpSlaveAgentListener()
    until { ports.size() > 1 }
    assert !ports[0].agent_port && ports[1].agent_port == 50000
    assert ports*.remoting_minimum_version == ['3176.v207ec082a_8c0'] * ports.size()
    Thread.sleep(1500)
    assert ports.size() == 2 && world.link.up
}

println "link: ${tried.size()} passed"
System.exit(0)
