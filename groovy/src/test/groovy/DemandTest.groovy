// Run by GroovyMain with src on the class path; an assertion that fails ends it. `args`: files of cases, as demand-cases.json
// (names of labels, with blanks between them), which the counting of the simulated controller is held to as well.
import groovy.json.JsonSlurper
import hudson.model.Label

List<String> tried = []
Closure<Boolean> takes = { String kind, String label ->
    List<String> atoms = kind.tokenize(' ')
    Fleet.serves([atoms.findAll { !Overrides.isOne(it) }, false, atoms.findAll { Overrides.isOne(it) }],
            Label.expression(label.tokenize(' ').join(' && ')))
}.memoize()
args.each { file ->
    new JsonSlurper().parse(new File(file)).each { one ->
        Map left = Demand.shortage(one.waiting.collectEntries { [it[0], it[1]] }, one.places.collectEntries { [it[0], it[1]] }) { label, kind ->
            takes.call(kind, label)
        }
        assert left == one.left: "${one.says}: ${one.waiting} ${one.places}"
        tried << one.says
    }
}

// Against trying everything: the total that is left over is the least possible.
Random random = new Random(7)
List kinds = ['a', 'b', 'c']
200.times {
    Map serves = ['x', 'y', 'z'].collectEntries { [it, kinds.findAll { random.nextBoolean() }] }
    Map waiting = ['x', 'y', 'z'].collectEntries { [it, random.nextInt(4)] }
    Map places = kinds.collectEntries { [it, random.nextInt(4)] }
    Map left = Demand.shortage(waiting, places) { label, kind -> serves[label].contains(kind) }
    // Hall: the least shortage is the largest, over all sets of labels, of builds less the places that serve any of them
    int least = ['x', 'y', 'z'].subsequences().collect { Collection some ->
        (some.sum { waiting[it] } as int) - ((some.collectMany { serves[it] }.toSet().sum { places[it] } ?: 0) as int)
    }.max()
    assert (left.values().sum() ?: 0) == Math.max(0, least): "${serves} ${waiting} ${places} ${left}"
}
tried << 'two hundred random cases'
println "demand: ${tried.size()} passed"
