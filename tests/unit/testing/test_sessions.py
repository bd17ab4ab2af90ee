"""The doubles of the gateway and the loop."""

from broker.testing.factories import make_agent, make_definitions, make_policy, make_pool
from broker.testing.sessions import FakeSessions, RecordingNudge


async def test_a_session_lives_until_it_is_ended() -> None:
    nudge, agent = RecordingNudge(), make_agent(attempt=1)
    sessions = FakeSessions(nudge)
    session = sessions.connect(agent)
    assert sessions.live(agent.id) == session
    await sessions.end(agent.id, "its build is done")
    await sessions.end(agent.id, "again")
    assert sessions.live(agent.id) is None
    assert sessions.ended == [(agent.id, "its build is done")]
    assert nudge.agents == [agent.id, agent.id]


async def test_a_lost_link_makes_absence_mean_nothing() -> None:
    sessions = FakeSessions()
    sessions.lose_link()
    assert not sessions.known()
    sessions.regain_link()
    assert sessions.known()


def test_made_definitions_fit_together() -> None:
    definitions = make_definitions(pools=[make_pool(name="a"), make_pool(name="b")], policies=[make_policy("b", "a")])
    (policy,) = definitions.policies.values()
    assert [choice.pool for choice in policy.pools] == ["b", "a"]
    assert all(choice.pool in definitions.pools for choice in policy.pools)
    assert all(pool.backend in definitions.backends for pool in definitions.pools.values())
    assert policy.template in definitions.templates
