/**
 * Which agents to give back for builds that were cancelled: never one that a waiting build needs. Pure; whoever asks holds
 * Fleet.PLANNING. `tests/benchmarks/spare.py` is the same rule, held equal to it by the cases of `spare-cases.json`.
 *
 * Agents (BrokerAgent, or maps): `serial`, `kind`, `places`, `stalled`, `job`, and of those that are stalled `line`.
 */
class Spare {
    private final Closure<Integer> leftOver
    private final Set stalled
    /** Places of all agents, and of those that are not kept waiting: a build must not come to rely on one that is. */
    private Map<List, Integer> all
    private Map<List, Integer> moving
    private final int missing
    private final int missingNow
    /** Found to be needed, and so needed until the end: places only get fewer. */
    private final Set<List> needed = []

    /** `leftOver`: kind → places, to the number of waiting builds that have none. */
    Spare(Collection agents, Closure<Integer> leftOver) {
        this.leftOver = leftOver
        stalled = agents.findAll { it.stalled } as Set
        all = placesOf(agents)
        moving = placesOf(agents.findAll { !stalled.contains(it) })
        missing = leftOver.call(all)
        missingNow = leftOver.call(moving)
    }

    /**
     * The agent to give back for one build, which `close` has made sure of, and which counts no more; null for none.
     *
     * `unused`: those that may be given back; `like`: kind and job of the build's agents; `named`: that build's own, or null.
     */
    Object take(Object named, Collection unused, List like, boolean launchedToo, Closure<Boolean> close) {
        inOrder(named, unused.findAll { [it.kind, it.job] == like }, launchedToo).find { Object agent ->
            boolean waits = stalled.contains(agent)
            List alike = [agent.kind, agent.places, waits]
            if (needed.contains(alike)) {
                return false
            }
            Map<List, Integer> allLeft = without(all, agent)
            Map<List, Integer> movingLeft = waits ? moving : without(moving, agent)
            if (leftOver.call(allLeft) > missing || leftOver.call(movingLeft) > missingNow) {
                needed << alike
                return false
            }
            if (!close.call(agent)) {
                return false
            }
            all = allLeft
            moving = movingLeft
            true
        }
    }

    /**
     * The last in line first, whichever build it was asked for: the first in line may be launched just now, and we hear of
     * it later. Then, if they may end too, those that were launched: the build's own, then the youngest.
     */
    private List inOrder(Object named, Collection alike, boolean launchedToo) {
        def (List waiting, List launched) = alike.split { stalled.contains(it) }
        waiting.sort { it.line }.reverse() + (launchedToo ? launched.sort { it.is(named) ? Integer.MIN_VALUE : -it.serial } : [])
    }

    private static Map<List, Integer> placesOf(Collection agents) {
        agents.groupBy { it.kind }.collectEntries { kind, some -> [kind, some.sum { it.places }] }
    }

    private static Map<List, Integer> without(Map<List, Integer> places, Object agent) {
        places + [(agent.kind): Math.max(0, (places[agent.kind] ?: 0) - agent.places)]
    }
}
