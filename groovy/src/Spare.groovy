/**
 * Which agents no waiting build needs, as the fleet is now. For whoever holds Fleet.PLANNING: what is taken from it is not
 * counted any more.
 */
class Spare {
    private final Fleet fleet
    private final Backlog waiting
    /** Places of all agents, and of those that are not kept waiting: a build must not come to rely on one that is. */
    private Map<List, Integer> all
    private Map<List, Integer> moving
    private final int missing
    private final int missingNow

    Spare(Fleet fleet) {
        this.fleet = fleet
        waiting = fleet.backlog()
        List<BrokerAgent> agents = fleet.all()
        all = Fleet.placesOf(agents)
        moving = Fleet.placesOf(agents.findAll { !it.stalled })
        missing = shortage(all)
        missingNow = shortage(moving)
    }

    /** Whether this agent is not needed, and `close` made sure of it; then it counts no more. */
    boolean take(BrokerAgent agent, Closure<Boolean> close) {
        Map<List, Integer> allLeft = without(all, agent)
        Map<List, Integer> movingLeft = agent.stalled ? moving : without(moving, agent)
        boolean taken = shortage(allLeft) <= missing && shortage(movingLeft) <= missingNow && close.call()
        if (taken) {
            all = allLeft
            moving = movingLeft
        }
        taken
    }

    private int shortage(Map<List, Integer> places) {
        fleet.shortageBeside(waiting, places).values().sum() ?: 0
    }

    private static Map<List, Integer> without(Map<List, Integer> places, BrokerAgent agent) {
        places + [(agent.kind): Math.max(0, (places[agent.kind] ?: 0) - agent.places)]
    }
}
