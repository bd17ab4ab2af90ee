"""The guards, each with the patch that removes it and the tests that must notice."""

from dataclasses import dataclass
from typing import Final

_CELL: Final = "tests/crash/test_matrix.py::test_a_broker_that_dies_leaves_nothing_and_doubles_nothing"
_AGENTS: Final = "tests/unit/store/test_agents.py"
_LIMITS: Final = "tests/unit/store/test_limits.py"
_ORPHANS: Final = "tests/unit/reconcile/test_orphans.py"
_LIFE: Final = "tests/unit/reconcile/test_life.py"
_ODD: Final = "tests/unit/reconcile/test_odd_ends.py"
_ADMISSION: Final = "tests/unit/admission/test_admission.py"
_WARM: Final = "tests/unit/wanted/test_warm.py"
_RPC: Final = "tests/integration/rpc"
_API: Final = "tests/unit/web/test_api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One guard removed: `old` stands exactly once in `file` and becomes `new`; `tests` must not pass then."""

    guard: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS: Final = (
    Mutant(
        guard="a launch is called with the token that was saved before it",
        file="broker/reconcile/launch.py",
        old="key=agent.launch_key,",
        new='key=type(agent.launch_key)(agent_id=agent.id, attempt=agent.attempt, token=f"{id(agent)}"),',
        tests=(f"{_CELL}[requested->launching:after-commit]",),
    ),
    Mutant(
        guard="the token is saved with the placement",
        file="broker/store/placements.py",
        old='token=LaunchToken(f"{before.id}-{attempt}"),',
        new='token=LaunchToken(f"{before.id}"),',
        tests=(_LIMITS, _LIFE),
    ),
    Mutant(
        guard="an agent changes only if nobody was faster",
        file="broker/store/agents.py",
        old="if any(found.get(agent.id) != agent.version for agent in read):",
        new="if False:",
        tests=(_AGENTS,),
    ),
    Mutant(
        guard="a broker that was taken over writes no more",
        file="broker/store/postgres.py",
        old="if (await connection.execute(query)).scalar() != self._token:",
        new="if (await connection.execute(query)).scalar() is None:",
        tests=("tests/unit/store/test_postgres.py",),
    ),
    Mutant(
        guard="a file that lost its name is written no more",
        file="broker/store/sqlite.py",
        old="if self._identity(path) != known:",
        new="if False:",
        tests=("tests/integration/faults/test_store_away.py",),
    ),
    Mutant(
        guard="only agents that are gone are forgotten",
        file="broker/store/pruning.py",
        old=".where(IS_GONE, agents.c.gone_at < before)",
        new=".where(agents.c.requested_at < before)",
        tests=("tests/unit/store/test_pruning.py",),
    ),
    Mutant(
        guard="no deadline counts while nothing can be written",
        file="broker/reconcile/context.py",
        old="if self.store_silent_since is not None:",
        new="if False:",
        tests=("tests/unit/reconcile/test_store_away.py",),
    ),
    Mutant(
        guard="Jenkins is not told to drop a connected agent that a restored backup has forgotten",
        file="broker/intake.py",
        old="return name in told.nodes and self._lives(controller, name)",
        new="return False",
        tests=("tests/integration/faults/test_backup_restored.py",),
    ),
    Mutant(
        guard="only the changes of the lifecycle's table are made",
        file="broker/store/agents.py",
        old="if before.phase != after.phase and not may_follow(before.phase, after.phase):",
        new="if False:",
        tests=(_AGENTS,),
    ),
    Mutant(
        guard="a change has its event in the same transaction",
        file="broker/store/agents.py",
        old="changed = await change_row(connection, before, after)\n            await connection.execute(",
        new="changed = await change_row(connection, before, after)\n            _ = (",
        tests=(_AGENTS, "tests/unit/store/test_history.py"),
    ),
    Mutant(
        guard="what an agent had reserved is given back at its end",
        file="broker/store/agents.py",
        old="await limits.release(connection, before.id)\n",
        new="pass\n",
        tests=(f"{_CELL}[terminating->gone:after-commit]",),
    ),
    Mutant(
        guard="a placement reserves what it takes",
        file="broker/store/placements.py",
        old="await limits.reserve(connection, {d.agent.id: d.claims for d in placed})",
        new="pass",
        tests=(
            f"{_LIMITS}::test_two_placements_at_once_do_not_share_the_last_place",
            "tests/unit/reconcile/test_crash.py::test_what_the_dead_broker_had_reserved_is_given_back_at_the_end",
        ),
    ),
    Mutant(
        guard="a cap is checked in the statement that takes",
        file="broker/store/limits.py",
        old="room = true() if claim.cap is None else limits.c.used + claim.amount <= claim.cap",
        new="room = true()",
        tests=(_LIMITS,),
    ),
    Mutant(
        guard="an instance is noted for the attempt that made it alone",
        file="broker/store/agents.py",
        old="agents.c.id == agent_id, agents.c.token == token)",
        new="agents.c.id == agent_id)",
        tests=(_AGENTS,),
    ),
    Mutant(
        guard="a transaction outlives its caller",
        file="broker/store/engine.py",
        old="return await asyncio.shield(task)",
        new="return await task",
        tests=("tests/unit/store/test_engine.py",),
    ),
    Mutant(
        guard="an instance whose launch was never answered is looked for before its agent is gone",
        file="broker/reconcile/watch.py",
        old="found = await backend.locate(agent.launch_key)",
        new="found = None",
        tests=(f"{_CELL}[launching->terminating:after-commit]",),
    ),
    Mutant(
        guard="a handshake that overtakes the reply finds its instance by the token",
        file="broker/reconcile/connect.py",
        old="elif agent.instance is None and await find_lost_instance(ctx, agent):",
        new="elif agent.instance is not None and await find_lost_instance(ctx, agent):",
        tests=(f"{_CELL}[launching->connecting:after-commit]",),
    ),
    Mutant(
        guard="an agent is gone when its backend says not found, not when the call was taken",
        file="broker/reconcile/terminate.py",
        old="if called is not None and seen is not None and seen.asked_at > called and seen.instance is None:",
        new="if called is not None:",
        tests=(_LIFE, "tests/unit/reconcile/test_crash.py"),
    ),
    Mutant(
        guard="the word that nothing exists is younger than the call that ended it",
        file="broker/reconcile/terminate.py",
        old="if called is not None and seen is not None and seen.asked_at > called and seen.instance is None:",
        new="if called is not None and (seen is None or seen.instance is None):",
        tests=(_LIFE, "tests/unit/reconcile/test_crash.py", _ODD),
    ),
    Mutant(
        guard="a refused replay does not say what the first call has made",
        file="broker/reconcile/launch.py",
        old="nothing_made=first)",
        new="nothing_made=True)",
        tests=(_ODD,),
    ),
    Mutant(
        guard="an agent has so many attempts and no more",
        file="broker/reconcile/attempt.py",
        old="last = agent.attempt >= retry.attempts or agent.goal != Goal.ONLINE",
        new="last = agent.goal != Goal.ONLINE",
        tests=(_LIFE,),
    ),
    Mutant(
        guard="a restarted broker looks at all that lives",
        file="broker/reconcile/loop.py",
        old="for agent in await self.ctx.agents.live():\n            self.queue.agent(agent.id)",
        new="pass",
        tests=(
            "tests/unit/reconcile/test_crash.py::"
            "test_a_restarted_broker_looks_at_all_that_lives_though_nobody_says_a_word",
        ),
    ),
    Mutant(
        guard="a session of an attempt that is over is not this attempt's",
        file="broker/reconcile/context.py",
        old="return session if session is not None and session.attempt == agent.attempt else None",
        new="return session",
        tests=(_ODD,),
    ),
    Mutant(
        guard="deadlines stand still while the controller is away",
        file="broker/reconcile/context.py",
        old="return not self.presence.synced(agent.controller) or not self.sessions.known()",
        new="return not self.sessions.known()",
        tests=(_LIFE, _ODD),
    ),
    Mutant(
        guard="deadlines stand still while the gateway is away",
        file="broker/reconcile/context.py",
        old="return not self.presence.synced(agent.controller) or not self.sessions.known()",
        new="return not self.presence.synced(agent.controller)",
        tests=(_LIFE,),
    ),
    Mutant(
        guard="the time in which the broker did not run counts for no deadline",
        file="broker/reconcile/standstill.py",
        old="if alive is not None and alive < now:",
        new="if alive is not None and alive > now:",
        tests=("tests/unit/reconcile/test_crash.py",),
    ),
    Mutant(
        guard="an agent whose gateway is out of sight has not lost its session",
        file="broker/reconcile/drain.py",
        old="elif ctx.sessions.known() and ctx.sessions.live(agent.id) is None:",
        new="elif ctx.sessions.live(agent.id) is None:",
        tests=("tests/unit/reconcile/test_crash.py",),
    ),
    Mutant(
        guard="a drained agent without a session ends only when Jenkins gives it no build any more",
        file="broker/reconcile/drain.py",
        old="(agent.goal == Goal.DRAINED and not agent.busy and _gets_no_build(ctx, agent)):",
        new="(agent.goal == Goal.DRAINED and not agent.busy):",
        tests=("tests/unit/reconcile/test_removed.py",),
    ),
    Mutant(
        guard="an interrupted agent is given up before its instance goes, not after",
        file="broker/reconcile/interrupted.py",
        old="elif ctx.clock.now() >= notice.at - LAST_MOMENTS:",
        new="elif ctx.clock.now() >= notice.at + LAST_MOMENTS:",
        tests=("tests/unit/reconcile/test_interrupted.py",),
    ),
    Mutant(
        guard="a connected agent outlives a backend that does not find it",
        file="broker/reconcile/drain.py",
        old="return ended == Reason.INSTANCE_VANISHED and connected",
        new="return False",
        tests=(_ODD,),
    ),
    Mutant(
        guard="a partial listing ends nothing",
        file="broker/reconcile/orphans.py",
        old="if not listing.complete or not self._ctx.sessions.known():",
        new="if not self._ctx.sessions.known():",
        tests=(_ORPHANS,),
    ),
    Mutant(
        guard="an orphan has its grace",
        file="broker/reconcile/orphans.py",
        old="if now - first_seen >= GRACE_S:",
        new="if now >= first_seen:",
        tests=(_ORPHANS,),
    ),
    Mutant(
        guard="an instance with a live session is no orphan",
        file="broker/reconcile/orphans.py",
        old="return over and self._ctx.sessions.live(agent_id) is None",
        new="return over",
        tests=(_ORPHANS,),
    ),
    Mutant(
        guard="a mass deletion is left to a person",
        file="broker/reconcile/orphans.py",
        old="if len(ripe) > max(_ALWAYS_ALLOWED, len(listing.instances) * _MOST_OF_A_LISTING):",
        new="if len(ripe) > 1_000_000:",
        tests=(_ORPHANS,),
    ),
    Mutant(
        guard="after its last build an agent is not let in again",
        file="broker/admission.py",
        old="if self._definitions().used_up(agent) and not agent.busy:",
        new="if False:",
        tests=(_ADMISSION,),
    ),
    Mutant(
        guard="an agent that is over is not let in",
        file="broker/admission.py",
        old="if agent.goal == Goal.GONE or agent.phase not in _OPEN:",
        new="if False:",
        tests=(_ADMISSION,),
    ),
    Mutant(
        guard="a secret is good for its own attempt",
        file="broker/admission.py",
        old="right = mint(agent.id, agent.attempt) if agent else mint(_NOBODY, 1)",
        new="right = mint(agent.id, 1) if agent else mint(_NOBODY, 1)",
        tests=(_ADMISSION,),
    ),
    Mutant(
        guard="one session a name",
        file="broker/gateway/register.py",
        old="if held is not None and not _may_follow(claim, held.session.attempt, held.session.cookie):",
        new="if False:",
        tests=("tests/unit/gateway/test_register.py",),
    ),
    Mutant(
        guard="the real secret is sealed before it is saved",
        file="broker/intake.py",
        old="sealed_secret=self._ctx.keyring.seal(asked.secret),",
        new="sealed_secret=asked.secret.encode(),",
        tests=("tests/unit/intake/test_requests.py",),
    ),
    Mutant(
        guard="an agent that is gone keeps no secret",
        file="broker/store/agents.py",
        old='after = replace(after, sealed_secret=b"")',
        new="after = replace(after)",
        tests=(_LIFE,),
    ),
    Mutant(
        guard="only an online node says that an agent is no longer busy",
        file="broker/intake.py",
        old="busy = node.busy or (agent.busy and not node.online)",
        new="busy = node.busy",
        tests=("tests/unit/intake/test_sync.py",),
    ),
    Mutant(
        guard="a name belongs to the controller that used it first",
        file="broker/domain/asked.py",
        old="if asked.name in taken:",
        new="if not asked.name:",
        tests=("tests/unit/intake/test_requests.py",),
    ),
    Mutant(
        guard="a goal never moves back",
        file="broker/reconcile/context.py",
        old="if later_goal(agent.goal, goal) == agent.goal:",
        new="if goal == agent.goal:",
        tests=("tests/unit/reconcile/test_odd_ends.py",),
    ),
    Mutant(
        guard="only the trial of a resting pool lengthens its rest",
        file="broker/store/cooldowns.py",
        old="if (opened and probe == agent.id) or",
        new="if opened or",
        tests=("tests/unit/store/test_cooldowns.py",),
    ),
    Mutant(
        guard="operators: a build is cut by force alone",
        file="broker/operations.py",
        old="if agent.busy and not may_be_busy:",
        new="if False:",
        tests=(f"{_API}_agents.py",),
    ),
    Mutant(
        guard="operators: a viewer changes nothing",
        file="broker/web/api/auth.py",
        old="if role is Role.OPERATOR and caller.role is not Role.OPERATOR:",
        new="if False:",
        tests=(f"{_API}_auth.py",),
    ),
    Mutant(
        guard="operators: without tokens nobody comes in through a proxy",
        file="broker/web/api/auth.py",
        old='if any(name in _FORWARDING or name.startswith("x-forwarded-") for name in names):',
        new="if names is None:",
        tests=(f"{_API}_auth.py",),
    ),
    Mutant(
        guard="operators: without tokens no name bound to loopback lets a page in",
        file="broker/web/api/auth.py",
        old='if not _is_loopback(_host(request.headers.get(hdrs.HOST, ""))):',
        new="if False:",
        tests=(f"{_API}_auth.py",),
    ),
    Mutant(
        guard="operators: a viewer sees no cloud's words",
        file="broker/views/words.py",
        old='return message if self.raw or reason in OURS else ""',
        new="return message",
        tests=(f"{_API}_auth.py", "tests/unit/views/test_words.py"),
    ),
    Mutant(
        guard="operators: a stream goes on behind the last event that it sent",
        file="broker/web/api/feed.py",
        old="events[-1].number if events else after",
        new="after + 1",
        tests=(f"{_API}_events.py",),
    ),
    Mutant(
        guard="operators: who lacks too many events is told so",
        file="broker/web/api/feed.py",
        old="if len(events) > MOST_BEHIND:",
        new="if False:",
        tests=(f"{_API}_events.py",),
    ),
    Mutant(
        guard="a controller has so many agents and no more",
        file="broker/intake.py",
        old="if living + more > MOST_AGENTS:",
        new="if living < 0:",
        tests=("tests/unit/intake/test_requests.py",),
    ),
    Mutant(
        guard="a controller asks for no more agents than its rate allows",
        file="broker/rpc/fairness.py",
        old="if wait_s > 0:",
        new="if wait_s < 0:",
        tests=("tests/integration/rpc/test_fairness.py",),
    ),
    Mutant(
        guard="a controller has so many calls at once",
        file="broker/rpc/fairness.py",
        old="if self._running[controller] >= CALLS_AT_ONCE:",
        new="if self._running[controller] < 0:",
        tests=("tests/integration/rpc/test_fairness.py",),
    ),
    Mutant(
        guard="a controller uses only the labels that it may",
        file="broker/domain/definitions.py",
        old="return tuple(label for label in policy.labels if any(fnmatchcase(label, known) for known in self.labels))",
        new="return policy.labels",
        tests=("tests/unit/domain/test_definitions.py",),
    ),
    Mutant(
        guard="a knock above what can be decided is turned away",
        file="broker/gateway/control.py",
        old="if isinstance(message, Admit) and link.deciding >= _DECISIONS:",
        new="if isinstance(message, Admit) and link.deciding < 0:",
        tests=("tests/integration/gateway/test_bounds.py",),
    ),
    Mutant(
        guard="a token that the config does not know lets nobody in",
        file="broker/rpc/identity.py",
        old="if hmac.compare_digest(known, digest):",
        new="if digest:",
        tests=(f"{_RPC}/test_tokens.py",),
    ),
    Mutant(
        guard="a certificate of one controller does not go with the token of another",
        file="broker/rpc/identity.py",
        old="if named and found not in named:",
        new="if False:",
        tests=(f"{_RPC}/test_tls.py",),
    ),
    Mutant(
        guard="with a CA of clients, one without a certificate is turned away",
        file="broker/rpc/server.py",
        old="tls.asks_clients)",
        new="False)",
        tests=(f"{_RPC}/test_tls.py",),
    ),
    Mutant(
        guard="names that Jenkins is about to ask for are not wished for again",
        file="broker/reconcile/wanted.py",
        old="less = min(unanswered, wish.count)",
        new="less = 0",
        tests=(_WARM,),
    ),
    Mutant(
        guard="no more warm agents are taken on than are wanted",
        file="broker/reconcile/wanted.py",
        old="answers.append(Passed() if warm_left[ask.policy] >= 0 else enough)",
        new="answers.append(Passed())",
        tests=(_WARM,),
    ),
    Mutant(
        guard="no more agents are taken on than a launch by hand wants",
        file="broker/reconcile/wanted.py",
        old="if left[launch.id] < 0:",
        new="if False:",
        tests=("tests/unit/wanted/test_launches.py",),
    ),
    Mutant(
        guard="idle agents of controllers that are away count",
        file="broker/reconcile/wanted.py",
        old="return policy.min_idle - len(self._spares(policy, everybody, controllers))",
        new="return policy.min_idle",
        tests=(_WARM,),
    ),
    Mutant(
        guard="warm agents leave their places to agents that wait",
        file="broker/placement/warm.py",
        old="decide(list(waiting), offers, usage, definitions)  # takes their places from `usage`",
        new="",
        tests=(_WARM,),
    ),
)
