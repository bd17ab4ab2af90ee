/** Agents that the broker wants though no build waits: kept ready, or launched there by hand. Named here, as all are. */
class Wishes {
    /** At most so many at a time, for each has its node made at once; the next reply asks for the rest. */
    private static final int MOST = 100
    /** At most so many in all that have never been online: no broker can fill this controller with nodes of no machine. */
    private static final int MOST_COMING = 1_000

    /**
     * Asks for what is missing of one wish. It is repeated in each reply until the broker has heard of as many, so those
     * that are still on their way count. A policy that has just refused an agent is left in peace for a while.
     */
    static void fulfil(Map wish, Fleet fleet) {
        Policy policy = fleet.policyNamed(wish.policy)
        if (policy == null || !['WARM', 'MANUAL'].contains(wish.cause)) {
            Log.fine("the broker wants what cannot be named here: ${wish}")
            return
        }
        List<BrokerAgent> wished = fleet.all().findAll { !it.gone && it.cause != 'QUEUE' }
        int coming = wished.count {
            it.policy == policy.name && it.cause == wish.cause && it.launchId == wish.launch_id &&
                    fleet.link.isUnanswered(it.nodeName)
        }
        int room = MOST_COMING - (wished.count { !it.everOnline } as int)
        int missing = [MOST, room, (wish.count as int) - coming].min()
        if (missing > 0 && policy.open) {
            missing.times { fleet.launch(policy, wish.cause, wish.launch_id, '') }
        }
    }
}
