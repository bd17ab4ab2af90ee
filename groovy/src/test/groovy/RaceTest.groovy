// Run by GroovyMain with src, the double of Jenkins and the client jar on the class path; an assertion that fails ends it.
// What comes at just the wrong moment: a build that resumes or begins, a clock that is set, a Jenkins that ends.
import groovy.transform.BaseScript
import hudson.ExtensionList
import hudson.model.Label
import hudson.model.Node
import hudson.model.Queue
import hudson.remoting.Channel
import hudson.security.ACL
import jenkins.model.Jenkins
import jenkins.model.NodeListener
import org.kohsuke.stapler.Stapler
import org.kohsuke.stapler.StaplerRequest2

@BaseScript Cases cases

ACL.as2(ACL.SYSTEM2) // as all threads of ours

/** A node that is made again, of an agent that has had all its builds. */
usedUp = { World world ->
    world.fleet.adopt(world.told('again') + [uses: 5, phase: 'reconnecting'])
    world.fleet.agent('again')
}
resuming = { String name ->
    Jenkins.get().queue.schedule(new Job(), Label.expression(name))
    Jenkins.get().queue.buildableItems.last()
}
comesOnline = { BrokerAgent agent ->
    agent.toComputer().channelIs(new Channel())
    new ComputerWatch(agent.fleet).onOnline(agent.toComputer(), null)
}

check('the node of a used-up agent may take the build that waits for it from the moment in which it is there') { World world ->
    def item = resuming('again')
    List seen = []
    NodeListener watch = new NodeListener() {
        protected void onCreated(Node node) {
            seen << node.canTake(item)
        }
    }
    ExtensionList.lookup(NodeListener).add(watch)
    usedUp(world)
    ExtensionList.lookup(NodeListener).remove(watch)
    assert seen == [null]
}

check('a used-up agent whose build comes back to the queue just when it ends is kept, and ends when that has gone') { World world ->
    BrokerAgent agent = usedUp(world)
    def item = resuming('again') // nobody has been told of it yet
    assert !agent.resumes
    comesOnline(agent)
    Thread.sleep(400)
    assert !agent.gone && Jenkins.get().nodes == [agent]
    Jenkins.get().queue.cancel(item)
    until { Jenkins.get().nodes.empty }
    assert agent.endCause == 'COMPLETED'
}

check('a new agent is given the time to be given its build, however short its idle time is') { World world ->
    BrokerAgent agent = world.online()
    Thread.sleep(20)
    agent.retentionStrategy.check(agent.toComputer())
    Thread.sleep(300)
    assert Jenkins.get().nodes == [agent] && !agent.gone
    agent.uses.set(1)
    agent.retentionStrategy.check(agent.toComputer())
    until { Jenkins.get().nodes.empty }
    assert agent.endCause == 'IDLE'
}

check('a build that begins while its node is described is never told as one that is over') { World world ->
    BrokerAgent agent = world.online()
    BrokerComputer computer = agent.toComputer()
    computer.metaClass.isIdle = { -> agent.uses.set(1); true } // the last moment in which it is idle
    Map told = world.sync.nodes()[0]
    assert [told.busy, told.uses] == [false, 0]
    assert agent.uses.get() == 1
}

check('an agent that is marked while the queue is looked through stays so, and one marked before only while its build waits') { World world ->
    BrokerAgent fresh = world.online()
    BrokerAgent old = world.online()
    old.resumes = true
    resuming('another')
    world.fleet.metaClass.agent = { String name -> // asked for each item
        fresh.resumes = true // by the listener of the queue, for an item that has come since
        null
    }
    Map told = world.sync.nodes().collectEntries { [it.name, it.busy] }
    assert told == [(fresh.nodeName): true, (old.nodeName): false]
    assert fresh.resumes && !old.resumes
}

overdue = { World world, BrokerAgent agent ->
    world.sync.apply(NOTHING + [remove: [[name: agent.nodeName, reason: 'QueueTimeout', message: 'no place in 10 m', cancel_build: true]]])
}

check('for an agent that came too late no build is cancelled that has waited for less than it') { World world ->
    Queue.Item own = world.queued(1)[0]
    BrokerAgent agent = world.fleet.plan(world.fleet.policies[0], own)
    Jenkins.get().addNode(agent)
    Jenkins.get().queue.buildables.remove(own) // another agent took it
    Thread.sleep(20)
    Queue.Item young = world.queued(1)[0]
    overdue(world, agent)
    assert Jenkins.get().queue.buildableItems == [young]
}

check('after a restart an agent is as old as the broker says, and none of the builds that came since is cancelled for it') { World world ->
    Queue.Item item = world.queued(1)[0]
    Thread.sleep(20)
    [[requested_at: item.inQueueSince - 1], [:]].each {
        world.fleet.adopt(world.told('early') + it)
        overdue(world, world.fleet.agent('early'))
        assert Jenkins.get().queue.buildableItems == [item]
        world.fleet.ended.clear()
    }
    world.fleet.adopt(world.told('late') + [requested_at: item.inQueueSince + 1])
    overdue(world, world.fleet.agent('late'))
    assert Jenkins.get().queue.buildableItems.empty
}

check('an agent of a wish that is refused leaves its policy open to builds, and one of a build closes it') { World world ->
    Policy policy = world.fleet.policies[0]
    Map answer = [accepted: false, reason: 'Superseded', message: 'as many idle agents as it keeps']
    ['WARM', 'MANUAL'].each { cause ->
        BrokerAgent agent = world.fleet.launch(policy, cause, '', '')
        world.sync.answered(answer + [name: agent.nodeName])
        assert agent.gone && policy.open
    }
    assert lines.empty
    BrokerAgent planned = world.plan()
    world.sync.answered(answer + [name: planned.nodeName])
    assert !policy.open
    assert lines.size() == 1
}

check('a wall clock that is set back or on neither closes a policy for longer nor opens it earlier') { World world ->
    long ahead = 0
    long began = System.nanoTime()
    System.metaClass.static.currentTimeMillis = { -> 1_700_000_000_000L + ahead + (System.nanoTime() - began).intdiv(1_000_000) }
    try {
        Policy policy = world.fleet.policies[0]
        policy.refused()
        ahead = 3_600_000
        assert !policy.open
        policy.accepted()
        Policy other = new Policy(POLICY)
        other.pause = 100
        other.refused()
        ahead = -3_600_000
        assert !other.open
        Thread.sleep(150)
        assert other.open
    } finally {
        GroovySystem.metaClassRegistry.removeMetaClass(System)
    }
}

check('a node that starts says to people how far it is, and to programs its name') { World world ->
    BrokerAgent agent = world.plan()
    Jenkins.get().addNode(agent)
    BrokerComputer computer = agent.toComputer()
    computer.launching()
    String uri = null
    Stapler.metaClass.static.getCurrentRequest2 = { -> uri == null ? null : ([getRequestURI: { -> uri }] as StaplerRequest2) }
    try {
        [null, '/', '/jenkins/computer/', "/computer/${agent.nodeName}/".toString(), '/job/api/1/'].each {
            uri = it
            assert computer.displayName.startsWith("${agent.nodeName}: asked for, ")
        }
        ['/computer/api/json', "/jenkins/computer/${agent.nodeName}/api/xml".toString()].each {
            uri = it
            assert computer.displayName == agent.nodeName
        }
    } finally {
        GroovySystem.metaClassRegistry.removeMetaClass(Stapler)
    }
}

check('whoever tells the link something while Jenkins ends is not failed by it') { World world ->
    BrokerAgent agent = world.online()
    world.link.up = true
    world.link.worker.shutdownNow()
    boolean done = false
    world.link.later(0) { done = true }
    world.link.syncSoon()
    agent.end('COMPLETED', 'done')
    assert Jenkins.get().nodes.empty && !done
}

println "race: ${tried.size()} passed"
System.exit(0)
