import hudson.model.Node
import jenkins.model.NodeListener

/** The one place where an agent's end reaches the broker: its node is gone, whoever removed it. */
class NodeWatch extends NodeListener {
    private final Fleet fleet

    NodeWatch(Fleet fleet) {
        this.fleet = fleet
    }

    @Override
    protected void onCreated(Node node) {
        if (node instanceof BrokerAgent && ((BrokerAgent) node).fleet.is(fleet) && ((BrokerAgent) node).gone) { // it ended before its node was there
            fleet.link.removeNode((BrokerAgent) node)
        }
    }

    @Override
    protected void onDeleted(Node node) {
        if (node instanceof BrokerAgent && fleet.agent(node.nodeName).is(node)) {
            BrokerAgent agent = (BrokerAgent) node
            if (!agent.gone) { // a script has removed it, past its button
                agent.deletedByHand()
            }
            fleet.forget(agent)
        }
    }
}
