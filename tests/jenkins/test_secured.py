"""On a controller where anonymous visitors may see nothing, builds get their agents, and agents end."""

import pytest

from tests.jenkins.controller import wait_for
from tests.jenkins.rig import Rig

pytestmark = [pytest.mark.jenkins, pytest.mark.component("jenkins"), pytest.mark.timeout(300)]

USER = ("admin", "a-password-of-this-test")
SECURE = """
import hudson.security.*
def jenkins = jenkins.model.Jenkins.get()
def realm = new HudsonPrivateSecurityRealm(false)
realm.createAccount('%s', '%s')
def strategy = new FullControlOnceLoggedInAuthorizationStrategy()
strategy.allowAnonymousRead = false
jenkins.securityRealm = realm
jenkins.authorizationStrategy = strategy
jenkins.save()
"""
# What the worker thread of the link sees of the queue.
SEEN = """
import java.util.concurrent.CompletableFuture
def cloud = jenkins.model.Jenkins.get().clouds.find { it.class.name == 'BrokerCloud' }
def seen = new CompletableFuture()
cloud.fleet.link.later(0) { seen.complete(jenkins.model.Jenkins.get().queue.items.length) }
print seen.get(20, java.util.concurrent.TimeUnit.SECONDS)
"""


def test_a_build_gets_its_agent_which_ends_after_it_though_anonymous_visitors_see_nothing(rig: Rig) -> None:
    controller = rig.controller
    controller.script(SECURE % USER)
    with pytest.raises(OSError, match="403"):
        controller.get("api/json")
    controller.user = USER
    before = len(rig.launched())
    controller.create_job("waits", "nobody")
    controller.build("waits")
    wait_for("it waits", controller.queue)
    assert controller.script(SEEN) == "1", "what works for us sees less than there is"
    controller.create_job("secured", "linux", "sleep 1")
    controller.build("secured", 3)
    assert {build["result"] for build in controller.finished("secured", 3)} == {"SUCCESS"}
    assert len(rig.launched()) - before == 3
    wait_for("no node is left", lambda: not controller.nodes(), seconds=30)
    wait_for("no agent is left", lambda: not list(rig.stack.search.agents_root.iterdir()), seconds=30)
    assert controller.lines("agentbroker", "WARNING", "SEVERE") == []
