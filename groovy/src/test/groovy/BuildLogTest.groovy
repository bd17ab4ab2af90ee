// Run by GroovyMain with src on the class path; an assertion that fails ends it.
import hudson.model.Hudson
import hudson.model.Label
import hudson.model.Queue
import hudson.model.TaskListener
import hudson.security.ACL
import java.util.concurrent.CountDownLatch
import java.util.concurrent.Executors
import java.util.concurrent.TimeUnit
import jenkins.model.Jenkins

TimeZone.default = TimeZone.getTimeZone('UTC')
AT = 1_700_000_000_000L // 22:13:20
LINK = 'https://broker.example.com/agents/linux-7f3k2'
tried = []
check = { String sentence, Closure work ->
    work.call()
    tried << sentence
}
say = { Map words, int place = 0 ->
    Map event = [at: AT, event: '', attempt: 1, pool: '', reason: '', message: '', hint: '', outcome: ''] + words
    BuildWords.event(event, place, LINK)
}

check('each phase is a line with its pool, its reason and the words of the cloud') {
    assert say(event: 'requested') == []
    assert say(event: 'placed', pool: 'spot') == ['22:13:20 spot: launching']
    assert say(event: 'placed', pool: 'spot', attempt: 2, message: 'hangzhou: PoolPaused: by ana') ==
            ['22:13:20 spot: launching (attempt 2); not chosen: hangzhou: PoolPaused: by ana']
    assert say(event: 'placed', pool: 'spot', attempt: 1, attempts: 3, usual: 38.2d) ==
            ['22:13:20 spot: launching (attempt 1 of 3), usually online in 38 s']
    assert say(event: 'placed', pool: 'spot', attempt: 2, attempts: 3, usual: 0d, zone: 'eu-1a', message: 'a: Throttled: b') ==
            ['22:13:20 spot (eu-1a): launching (attempt 2 of 3); not chosen: a: Throttled: b']
    assert say(event: 'placed', pool: 'spot', attempt: 1, attempts: 1) == ['22:13:20 spot: launching']
    assert say(event: 'failed', pool: 'spot', reason: 'InsufficientCapacity', message: 'Capacity is unavailable at this time',
            hint: 'Wait.') == ['22:13:20 spot: InsufficientCapacity: "Capacity is unavailable at this time"', '  hint: Wait.']
    assert say(event: 'booting', pool: 'fargate', message: 'task/4f0c') == ['22:13:20 fargate: booting: task/4f0c']
    assert say(event: 'online', pool: 'fargate') == [] && say(event: 'gone', outcome: 'failed') == []
}

check('what waits for room says which in line it is, and why') {
    Map wait = [event: 'waiting', reason: 'PolicyAtLimit', message: 'policy linux is at its limit (120 of 120 agents)']
    assert say(wait, 4) == ['22:13:20 waiting, 4th in line: PolicyAtLimit: policy linux is at its limit (120 of 120 agents)']
    assert [1, 2, 3, 4, 11, 12, 13, 21, 22, 23, 101, 111, 112].collect { BuildWords.inLine(it) } ==
            ['1st', '2nd', '3rd', '4th', '11th', '12th', '13th', '21st', '22nd', '23rd', '101st', '111th', '112th'].collect { ", $it in line" }
    assert say(wait, 0)[0].startsWith('22:13:20 waiting: PolicyAtLimit')
}

check('the end of an agent that failed has all words, the hint and the page') {
    assert say(event: 'failed', outcome: 'failed', pool: 'it', reason: 'ContainerExited', message: 'exit code 137\nheap space',
            hint: 'Give it more.') == ['22:13:20 it: ContainerExited: exit code 137', '  heap space', '  hint: Give it more.', "  more: $LINK"]
    assert say(event: 'goal', outcome: 'failed', reason: 'QueueTimeout', message: 'no place in 15 min') ==
            ['22:13:20 failed: QueueTimeout: no place in 15 min', "  more: $LINK"]
}

check('words of others are cut, and cleaned of what a terminal would obey') {
    assert say(event: 'booting', pool: 'it', message: '\u001b[31mred\u0007')[0] == '22:13:20 it: booting: ?[31mred?'
    assert say(event: 'failed', pool: 'it', message: (1..500).join('\n')).size() == 21
    assert say(event: 'booting', pool: 'it', message: 'x' * 10_000)[0].length() < 600
}

check('nobody can run it: what each policy lacks, the nearest first') {
    def policies = [[name: 'big', labels: ['mac']], [name: 'linux', labels: ['linux', 'docker']]]
    assert BuildWords.unserved(Label.expression('linux && gpu'), policies) == [
            'no policy carries all of: gpu, linux',
            '  linux    has linux; lacks gpu',
            '  big      has none of them; lacks gpu, linux',
            '  ask an admin to add a policy, or use one of the labels: mac, linux, docker']
    assert BuildWords.unserved(null, policies)[0] == 'no policy takes builds that name no label'
    assert BuildWords.unserved(Label.expression('gpu'), []) ==
            ['no policy carries all of: gpu', '  ask an admin to add a policy']
}

check('the broker says the same where somebody asks it about a label') { // tests/unit/domain/test_unserved.py
    def cases = new groovy.json.JsonSlurper().parse(BuildLogTest.getResource('/unserved.json'))
    assert cases.size() == 8
    cases.each { one ->
        List said = BuildWords.unserved(one.label ? Label.expression(one.label) : null, one.policies)
        List names = one.policies*.name
        assert said.collect { line ->
            String name = names.find { line ==~ /  ${it}   .*/ || line.startsWith("  ${it} ") }
            name ? "${name}: ${line.trim().substring(name.length()).trim()}".toString() : line.trim()
        } == one.lines
    }
}

/** As the task of a pipeline's `node` step has it. */
class Context {
    TaskListener listener
    boolean ready = true
    def get(Class wanted) { wanted == TaskListener ? listener : null }
}
class StandInPlaceholderTask {
    private final Object context
    StandInPlaceholderTask(Object context) { this.context = context }
}
class Slow extends OutputStream {
    final CountDownLatch gate = new CountDownLatch(1)
    final ByteArrayOutputStream got = new ByteArrayOutputStream()
    void write(int b) { gate.await(); got.write(b) }
}
listenerTo = { OutputStream to -> [getLogger: { new PrintStream(to, true) }, error: { null }] as TaskListener }
writers = Executors.newFixedThreadPool(2)
until = { Closure look -> long end = System.nanoTime() + 10_000_000_000; while (!look()) { assert System.nanoTime() < end; sleep(5) } }

check('the log of a pipeline is found by its shape, that of nothing else, and one that has changed is none') {
    def out = new ByteArrayOutputStream()
    assert RunListener.has(new StandInPlaceholderTask(null))
    assert RunListener.of(new StandInPlaceholderTask(new Context(listener: listenerTo(out)))) != null
    assert !RunListener.has('a task') && !RunListener.has(null) && !RunListener.has([context: 1])
    assert RunListener.of(new StandInPlaceholderTask(null)) == null
    assert RunListener.of(new StandInPlaceholderTask('without any of its methods')) == null
    assert RunListener.of(new StandInPlaceholderTask(new Context(ready: false))) == null
}

check('a slow log keeps nobody waiting, gets its lines in order, and of too many the last') {
    def slow = new Slow()
    def log = new RunLog(new StandInPlaceholderTask(new Context(listener: listenerTo(slow))), writers)
    long began = System.nanoTime()
    1_000.times { log.say(["line $it".toString()]) }
    assert System.nanoTime() - began < 2_000_000_000
    def written = new CountDownLatch(1)
    log.say(['the last'], written)
    slow.gate.countDown()
    assert written.await(10, TimeUnit.SECONDS)
    def lines = slow.got.toString().readLines()
    assert lines.size() < 420 && lines.last() == '[agentbroker] the last'
    assert lines.any { it ==~ /\[agentbroker\] \(\d+ lines are left out here\)/ }
}

check('no line of ours orders a terminal about, or has no end, whatever a label is like') {
    def out = new ByteArrayOutputStream()
    def log = new RunLog(new StandInPlaceholderTask(new Context(listener: listenerTo(out))), writers)
    log.say(BuildWords.unserved(Label.expression('\u001b[2Jgpu'), []))
    log.say(BuildWords.unserved(Label.expression('x' * 100_000), []))
    until { out.toString().readLines().size() == 4 }
    assert out.toString().readLines()[0] == '[agentbroker] no policy carries all of: ?[2Jgpu'
    assert out.toString().readLines().every { it.length() < 5_000 }
}

check('a build that is being resumed gets its lines when it is there') {
    def out = new ByteArrayOutputStream()
    def context = new Context(listener: listenerTo(out), ready: false)
    def log = new RunLog(new StandInPlaceholderTask(context), writers)
    log.say(['early'])
    sleep(50)
    assert out.size() == 0
    context.ready = true
    log.pump()
    until { out.toString() == '[agentbroker] early\n' }
}

class WaitingPlaceholderTask extends StandInPlaceholderTask implements Queue.Task {
    String fullDisplayName = 'app'
    Queue.Task ownerTask = this
    WaitingPlaceholderTask(Object context) { super(context) }
}
check('who cancels a build waits for its log for a second, for the next no longer while none can be written, and then again') {
    new Hudson(File.createTempDir())
    ACL.as2(ACL.SYSTEM2)
    BuildLog buildLog = new BuildLog([])
    def waiting = { OutputStream to ->
        Jenkins.get().queue.schedule(new WaitingPlaceholderTask(new Context(listener: listenerTo(to))), null)
        Jenkins.get().queue.buildableItems.last()
    }
    def cancelled = { OutputStream to ->
        def item = waiting(to)
        long began = System.nanoTime()
        buildLog.cancelling(item, 'QueueTimeout', 'no place in 10 m')
        (System.nanoTime() - began).intdiv(1_000_000)
    }
    Slow slow = new Slow()
    assert cancelled(slow) >= 1_000
    assert (1..5).sum { cancelled(slow) } < 1_000
    slow.gate.countDown()
    def out = new ByteArrayOutputStream()
    until { cancelled(out) < 20 } // in time
    Slow again = new Slow()
    assert cancelled(again) >= 1_000
    assert out.toString().readLines()[0].endsWith('the build is cancelled: QueueTimeout: no place in 10 m')
    again.gate.countDown()
}

println "build log: ${tried.size()} passed"
System.exit(0)
