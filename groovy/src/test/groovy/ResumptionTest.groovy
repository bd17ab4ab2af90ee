// Run by GroovyMain with src, the double of Jenkins and the client jar on the class path; an assertion that fails ends it.
// Agents that were at work when the controller was restarted, and pipelines that have not been read yet.
import hudson.model.Hudson
import hudson.model.Label
import hudson.model.Queue
import jenkins.model.Jenkins

new Hudson(File.createTempDir())
hudson.security.ACL.as2(hudson.security.ACL.SYSTEM2) // as all threads of ours
tried = []

class Pipeline implements Queue.FlyweightTask {
    String displayName = 'app'
    String fullDisplayName = 'app'
    Label assignedLabel = null
    Queue.Task ownerTask = this
}

agent = { int uses, boolean adopted = true ->
    BrokerAgent one = new BrokerAgent("linux-${uses}", 'linux', ['linux'], false, 1, '/tmp', [max_uses: 1, idle_timeout: 60.0], new Fleet())
    one.uses.set(uses)
    one.adopted = adopted
    one.availableSince = System.currentTimeMillis()
    one
}

assert !Resumption.isExpected(agent(1))
tried << 'without a pipeline nobody asks for a used agent again'

Jenkins.get().queue.schedule(new Pipeline(), null)
sleep 300
assert Resumption.isExpected(agent(1))
tried << 'a pipeline that is being read may ask for the agent that it had'

assert !Resumption.isExpected(agent(0))
assert !Resumption.isExpected(agent(1, false))
tried << 'one that had no build, or none before a restart, is not asked for'

BrokerAgent resumed = agent(1)
resumed.hasBegun = true
assert !Resumption.isExpected(resumed)
tried << 'one that its build has come back to is not asked for again'

BrokerAgent old = agent(1)
old.availableSince -= 31_000
assert !Resumption.isExpected(old)
tried << 'nobody asks for it after half a minute'

println "resumption: ${tried.size()} passed"
System.exit(0)
