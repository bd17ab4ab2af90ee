// Run by GroovyMain with src on the class path; an assertion that fails ends it. `args`: files of cases, as spare-cases.json,
// which the rule of the traces (tests/benchmarks/spare.py) is held to as well.
import groovy.json.JsonSlurper

int tried = 0
args.each { file ->
    new JsonSlurper().parse(new File(file)).each { one ->
        Map waiting = one.waiting.collectEntries { [it[0], it[1]] }
        Spare spare = new Spare(one.agents, { Map places ->
            Demand.shortage(waiting, places) { label, kind -> kind.tokenize(' ').containsAll(label.tokenize(' ')) }.values().sum() ?: 0
        })
        List unused = new ArrayList(one.agents)
        List given = one.cancelled.collect { item ->
            Object named = unused.find { it.serial == item.named }
            Object found = spare.take(named, unused, [item.kind, item.job], item.launched_too) { true }
            unused.remove(found)
            found?.serial
        }
        assert given == one.given_back: one
        tried++
    }
}

// An agent that could not be closed counts on, and the next is tried.
List agents = [1, 2].collect { [serial: it, line: it, kind: 'linux', stalled: true, places: 1, job: ''] }
Spare spare = new Spare(agents, { Map places -> 0 })
assert spare.take(null, agents, ['linux', ''], false) { it.serial == 1 }.serial == 1
println "spare: ${tried + 1} passed"
