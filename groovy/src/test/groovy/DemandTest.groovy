// Run by GroovyMain with src on the class path; an assertion that fails ends it.
List<String> tried = []
Closure check = { String sentence, Map waiting, Map places, Map expected ->
    Map serves = ['linux': ['L', 'LD'], 'docker': ['LD'], 'windows': ['W']]
    Map left = Demand.shortage(waiting, places) { label, kind -> serves[label].contains(kind) }
    assert left == expected: sentence
    tried << sentence
}
check('no agents: all are missing', [linux: 3], [:], [linux: 3])
check('agents enough: none is missing', [linux: 3], [L: 3], [:])
check('an agent serves one build, though two labels match it', [linux: 1, docker: 1], [LD: 1], [docker: 1])
check('an assignment is found though the first choice blocks it', [linux: 1, docker: 1], [LD: 1, L: 1], [:])
check('the same in bulk', [linux: 50, docker: 50], [LD: 50, L: 50], [:])
check('a kind that serves nothing counts for nothing', [linux: 2], [W: 9], [linux: 2])
check('some of each', [linux: 4, docker: 4, windows: 1], [LD: 5, L: 1, W: 2], [docker: 2])

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
