// Run by GroovyMain with src on the class path; an assertion that fails ends it.
import groovy.transform.BaseScript
import hudson.model.Label
import hudson.model.labels.LabelAtom
import hudson.slaves.Cloud
import hudson.slaves.NodeProvisioner
import io.agentbroker.client.BrokerClient
import jenkins.model.Jenkins

@BaseScript Cases cases

IMAGE = 'image=registry.example.com/acme/x-y:1'
FORBIDDEN = [reason: 'OverrideForbidden', message: 'overrides.cpu: 16 is over max_cpu 8 of policy linux']
asked = [].asSynchronized()
BrokerClient.metaClass.requestAgents = { String boot, List agents ->
    asked.addAll(agents)
    agents.collect { [name: it.name, accepted: true] }
}
review = { World world, String label ->
    BrokerStrategy strategy = new BrokerStrategy(new BrokerCloud('agentbroker', world.fleet), world.fleet)
    strategy.apply(new NodeProvisioner.StrategyState(Label.expression(label).nodeProvisioner))
    world.fleet.all()
}

check('what a build asks for itself is no label, and the agent that it gets carries it') { World world ->
    assert Overrides.of(Label.expression("linux && cpu=4 && $IMAGE")) == ['cpu=4', IMAGE]
    assert Overrides.texts(['cpu=4', IMAGE]) == [cpu: '4', image: 'registry.example.com/acme/x-y:1']
    assert Overrides.of(null).empty && Overrides.of(Label.expression('linux')).empty
    assert ['cpus=4', 'cpu', 'disk=4', 'image=a"b', 'image=a(b', 'image=a b', 'image=->'].every { !Overrides.isOne(it) }
    world.link.up = true
    world.queued(1, "linux && cpu=4 && $IMAGE")
    assert world.fleet.policyFor(Label.expression('cpu=4 && windows')) == null
    BrokerAgent agent = review(world, "linux && cpu=4 && $IMAGE")[0]
    assert agent.labelString == "linux cpu=4 $IMAGE" && agent.kind == [['linux'], false, ['cpu=4', IMAGE]]
    until { asked }
    assert asked[0].overrides == [cpu: '4', image: 'registry.example.com/acme/x-y:1']
    assert asked[0].label_expression == "linux && cpu=4 && $IMAGE"
}

check('an agent that was made as a build has asked serves such builds alone, and no other agent does') { World world ->
    world.link.up = true
    world.queued(1, 'linux && cpu=4')
    world.queued(1, 'linux')
    BrokerAgent big = review(world, 'linux && cpu=4')[0]
    assert big.kind == [['linux'], false, ['cpu=4']]
    assert Fleet.serves(big.kind, Label.expression('linux && cpu=4')) && Fleet.serves(big.kind, Label.expression('cpu=4 && linux'))
    assert !Fleet.serves(big.kind, Label.expression('linux')) && !Fleet.serves(big.kind, null)
    assert !Fleet.serves(big.kind, Label.expression('linux && cpu=4 && memory=8Gi'))
    assert review(world, 'linux').size() == 2: 'the plain build has one of its own'
    assert review(world, 'linux && cpu=4').size() == 2
    def items = Jenkins.get().queue.buildableItems
    assert big.canTake(items.find { it.assignedLabel.name == 'linux' })?.shortDescription?.endsWith('ask for cpu=4')
    assert big.canTake(items.find { it.assignedLabel.name == 'linux && cpu=4' }) == null
}

check('what is forbidden closes the policy to builds that ask for just that, until the policies change') { World world ->
    world.link.@revision = NOTHING.policies_revision // else the first sync brings policies anew, whenever it comes
    world.link.up = true
    world.queued(1, 'linux && cpu=16')
    world.queued(1, 'linux && cpu=4')
    BrokerAgent refused = review(world, 'linux && cpu=16')[0]
    world.sync.answered(FORBIDDEN + [name: refused.nodeName, accepted: false])
    assert world.fleet.all().empty && world.fleet.policies[0].open
    assert review(world, 'linux && cpu=16').empty
    assert review(world, 'linux && cpu=4').size() == 1
    Partners partners = new Partners([world.fleet], [], [])
    world.link.connection.@up = true
    assert partners.whyNone(Label.expression('linux && cpu=16'))[0] == "OverrideForbidden: ${FORBIDDEN.message}"
    world.fleet.policies = [new Policy(POLICY)]
    assert review(world, 'linux && cpu=16').size() == 2
}

check('an agent that is told again has its overrides again, and labels of its policy alone') { World world ->
    Map told = world.told('linux-abcdefgh') + [labels: ['linux', 'root'], override_labels: ['cpu=4', 'root', 'image=a b']]
    world.fleet.adopt(told)
    BrokerAgent agent = world.fleet.agent('linux-abcdefgh')
    assert agent.labelString == 'linux cpu=4' && agent.kind == [['linux'], false, ['cpu=4']]
}

check('a label that nothing serves is told with each sync, and each of its builds is fresh once') { World world ->
    world.queued(2, 'gpu')
    world.queued(1, 'linux')
    def list = { world.sync.unmatched().collect { [it.label_expression, it.length, it.fresh] } }
    assert list() == [['gpu', 2, 2]]
    assert list() == [['gpu', 2, 2]]: 'the first has not arrived'
    world.sync.apply(NOTHING)
    assert list() == [['gpu', 2, 0]]
    world.queued(1, 'gpu')
    assert list() == [['gpu', 3, 1]]
    world.fleet.policies = [new Policy(POLICY + [labels: ['linux', 'gpu']])]
    assert list().empty
}

check('a cloud of others that fails when it is asked what it runs holds up no sync') { World world ->
    Jenkins.get().clouds.add(new Cloud('broken') {
        boolean canProvision(Cloud.CloudState state) {
            throw new AbstractMethodError('it is older than this Jenkins')
        }
    })
    world.queued(1, 'gpu')
    Jenkins.get().queue.schedule(new Job(), null)
    assert world.sync.unmatched()*.label_expression == ['gpu']
}

check('where a job has a limit of its own, an agent is for the job that it was asked for, and whoever has none is asked for') { World world ->
    world.link.up = true
    world.fleet.policies = [new Policy(POLICY + [per_job: 1, retention: [max_uses: 1, idle_timeout: 60d]])]
    ['twin', 'twin', 'single'].each {
        Jenkins.get().queue.schedule(new Job(fullDisplayName: it), Label.expression('linux'))
    }
    List items = Jenkins.get().queue.buildableItems
    List agents = review(world, 'linux').sort { it.serial }
    assert agents*.job == ['twin', 'twin', 'single']
    assert agents[2].canTake(items[0])?.shortDescription?.endsWith('is for builds of single')
    assert agents[2].canTake(items[2]) == null && agents[0].canTake(items[1]) == null
    agents[1].end(null, 'it failed')
    assert (review(world, 'linux') - agents)*.itemId == [items[1].id]
    world.fleet.policies = [new Policy(POLICY + [per_job: 1, executors: 2])]
    assert !world.fleet.policies[0].boundToJobs
}

check('agents with a directory of their own have it in their node, called as they are') { World world ->
    world.link.up = true
    Map roots = ['/srv/agents': '/srv/agents/', '/srv/agents/': '/srv/agents/', 'C:\\jenkins': 'C:\\jenkins\\', '.': './']
    roots.each { told, root ->
        assert new Policy(POLICY + [remote_fs: told, own_directory: true]).remoteFsOf('a-1') == root + 'a-1'
        assert new Policy(POLICY + [remote_fs: told, own_directory: false]).remoteFsOf('a-1') == told
    }
    world.fleet.policies = [new Policy(POLICY + [remote_fs: '/srv', own_directory: true])]
    Jenkins.get().queue.schedule(new Job(fullDisplayName: 'one'), Label.expression('linux'))
    assert review(world, 'linux').every { it.remoteFS == "/srv/${it.nodeName}" }
}

println "overrides: ${tried.size()} passed"
System.exit(0)
