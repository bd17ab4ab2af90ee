"""Every key of templates, pools and policies does something that a test shows; a key without one fails here."""

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from broker.config.documented import KeyDoc, walk
from broker.config.model_ecs import ECS_TEMPLATE_KEYS
from broker.config.model_pools import POOL_KEYS, WITH_HOSTS

UNIT: Final = Path(__file__).parents[1]
NOUNS: Final = ("templates", "pools", "policies")

_CHAIN, _LIMITS = "policies/test_chain_and_caps.py", "policies/test_limits_and_times.py"
_MONEY, _STRATEGIES = "policies/test_money_and_overrides.py", "policies/test_strategies.py"
_PLACES, _TOLD = "policies/test_places.py", "policies/test_told_and_launched.py"
_PROCESS = "policies/test_processes_and_warmth.py"
_PROGRAM = f"{_PROCESS}::test_a_process_is_started_by_the_program_that_the_pool_names"
_WORKS = f"{_PROCESS}::test_an_agent_works_where_its_template_says_with_its_tags_in_the_environment"
_SCHEDULED = f"{_PROCESS}::test_idle_agents_are_kept_as_many_as_the_schedule_says"
_CONTAINER = f"{_TOLD}::test_a_container_is_asked_for_as_template_and_pool_say"
_IN_JENKINS = f"{_TOLD}::test_jenkins_is_told_labels_prefix_executors_directory_and_retention"
_ORDER = f"{_TOLD}::test_jenkins_is_told_the_highest_priority_first_and_who_takes_builds_without_a_label"
_ABSTRACT = f"{_TOLD}::test_what_is_abstract_is_only_there_to_inherit_from"
_CAP = f"{_LIMITS}::test_a_cap_lets_as_many_begin_as_it_says"
_PHASE = f"{_LIMITS}::test_a_phase_has_its_time_and_no_more"
_QUEUE = f"{_LIMITS}::test_a_request_that_finds_no_place_in_time_ends_where_the_policy_says_so"
_ATTEMPTS = f"{_LIMITS}::test_an_agent_is_launched_as_often_as_the_policy_says_with_its_pauses"
_BREAKER = f"{_LIMITS}::test_a_pool_that_fails_so_often_in_a_time_rests_for_a_time"
_BUDGET = f"{_MONEY}::test_a_budget_lets_as_many_begin_as_it_pays_for"
_ASKED = f"{_MONEY}::test_a_build_gets_what_it_asks_for_where_its_policy_allows_it"
_REFUSED = f"{_MONEY}::test_what_is_not_allowed_is_refused_with_the_name_of_its_field"
_HOURS = f"{_CHAIN}::test_a_fallback_serves_only_in_its_hours"
_HOSTS = "config/test_hosts.py::test_what_a_pool_says_of_its_hosts_are_their_rules"
_DIRECTLY = f"{_TOLD}::test_an_agent_of_a_direct_pool_is_started_as_the_pool_says"

SHOWN_BY: Final[Mapping[str, str]] = {
    "templates.*.inherit_from": _IN_JENKINS,
    "templates.*.abstract": _ABSTRACT,
    "templates.*.image": _CONTAINER,
    "templates.*.cpu": _CONTAINER,
    "templates.*.memory": _CONTAINER,
    "templates.*.executors": _IN_JENKINS,
    "templates.*.remote_fs": _WORKS,
    "templates.*.retention.max_uses": _IN_JENKINS,
    "templates.*.retention.idle_timeout": _IN_JENKINS,
    "templates.*.retention.max_lifetime": f"{_PROCESS}::test_an_agent_lives_as_long_as_its_template_says",
    "templates.*.user": _CONTAINER,
    "templates.*.read_only": _CONTAINER,
    "templates.*.mounts": _CONTAINER,
    "templates.*.inject": f"{_TOLD}::test_an_image_is_told_who_it_is_in_the_way_that_the_template_says",
    "templates.*.env": _CONTAINER,
    "templates.*.tags": _WORKS,
    "templates.*.unique_remote_fs": "config/test_ecs.py::test_a_template_says_that_each_agent_has_its_own_directory",
    "pools.*.inherit_from": _ABSTRACT,
    "pools.*.abstract": _ABSTRACT,
    "pools.*.backend": f"{_PROCESS}::test_an_agent_is_made_by_the_backend_of_its_pool",
    "pools.*.connect": _DIRECTLY,
    "pools.*.direct.url": _DIRECTLY,
    "pools.*.direct.tunnel": _DIRECTLY,
    "pools.*.direct.websocket": _DIRECTLY,
    "pools.*.direct.instance_identity": f"{_PROCESS}::test_a_direct_agent_is_given_the_identity_that_the_pool_names",
    "pools.*.limits.hosts": _HOSTS,
    "pools.*.limits.min_hosts": _HOSTS,
    "pools.*.limits.agents": _CAP,
    "pools.*.limits.pending": _CAP,
    "pools.*.limits.cpu": _CAP,
    "pools.*.limits.memory": _CAP,
    "pools.*.cost.cpu_hour": _BUDGET,
    "pools.*.cost.memory_gib_hour": _BUDGET,
    "pools.*.cost.host_hour": (
        "policies/test_hosts_that_cost.py::"
        "test_an_agent_on_a_host_bears_its_part_of_the_price_and_goes_where_that_is_least"
    ),
    "pools.*.cost.currency": f"{_MONEY}::test_a_price_may_be_in_another_currency",
    "pools.*.cooldown.after_failures": _BREAKER,
    "pools.*.cooldown.within": f"{_LIMITS}::test_failures_that_are_further_apart_do_not_count_together",
    "pools.*.cooldown.for": _BREAKER,
    "pools.*.java": _PROGRAM,
    "pools.*.agent_jar": _PROGRAM,
    "pools.*.command": _PROGRAM,
    "pools.*.network": _CONTAINER,
    "pools.*.pids": _CONTAINER,
    "pools.*.pull": (
        "backends/container/test_launching.py::test_a_pool_that_pulls_always_asks_for_a_newer_image_first"
    ),
    "pools.*.init_process": _CONTAINER,
    "pools.*.cap_add": _CONTAINER,
    "policies.*.labels": _IN_JENKINS,
    "policies.*.accept_unlabelled": _ORDER,
    "policies.*.template": _IN_JENKINS,
    "policies.*.pools.*.pool": f"{_STRATEGIES}::test_ordered_fills_the_first_pool_before_the_next",
    "policies.*.pools.*.weight": f"{_STRATEGIES}::test_weights_share_out_the_agents",
    "policies.*.pools.*.base": f"{_STRATEGIES}::test_a_base_comes_before_the_weights",
    "policies.*.strategy": f"{_STRATEGIES}::test_cheapest_is_the_pool_of_the_lowest_price_for_the_template",
    "policies.*.fallback.*.pool": f"{_CHAIN}::test_a_fallback_takes_what_the_first_pools_cannot",
    "policies.*.fallback.*.after": f"{_CHAIN}::test_a_fallback_is_turned_to_only_after_its_wait",
    "policies.*.fallback.*.when": f"{_CHAIN}::test_a_fallback_is_turned_to_only_for_its_reasons",
    "policies.*.fallback.*.only.hours": _HOURS,
    "policies.*.fallback.*.only.timezone": _HOURS,
    "policies.*.limits.agents": _CAP,
    "policies.*.limits.pending": _CAP,
    "policies.*.limits.per_job": f"{_CHAIN}::test_one_job_takes_no_more_agents_than_its_cap_and_leaves_others_theirs",
    "policies.*.timeouts.queue": _QUEUE,
    "policies.*.timeouts.launch": f"{_LIMITS}::test_a_launch_has_its_time_and_no_more",
    "policies.*.timeouts.boot": _PHASE,
    "policies.*.timeouts.connect": _PHASE,
    "policies.*.timeouts.reconnect": f"{_LIMITS}::test_a_lost_session_has_its_time_to_come_back",
    "policies.*.timeouts.drain": f"{_LIMITS}::test_a_build_on_a_drained_agent_has_its_time_to_end",
    "policies.*.timeouts.on_timeout": _QUEUE,
    "policies.*.retry.attempts": _ATTEMPTS,
    "policies.*.retry.backoff": _ATTEMPTS,
    "policies.*.warm.min_idle": f"{_PROCESS}::test_idle_agents_are_kept_without_a_schedule_too",
    "policies.*.warm.schedule.*.cron": _SCHEDULED,
    "policies.*.warm.schedule.*.timezone": _SCHEDULED,
    "policies.*.warm.schedule.*.min_idle": _SCHEDULED,
    "policies.*.budget.amount": _BUDGET,
    "policies.*.budget.currency": _BUDGET,
    "policies.*.budget.per": f"{_MONEY}::test_what_is_spent_stays_spent_until_the_next_day",
    "policies.*.budget.on_exceeded": f"{_MONEY}::test_a_budget_that_warns_stops_nobody",
    "policies.*.overrides.allow": f"{_MONEY}::test_what_a_policy_does_not_name_no_build_may_choose",
    "policies.*.overrides.images": _REFUSED,
    "policies.*.overrides.max_cpu": _REFUSED,
    "policies.*.overrides.max_memory": _REFUSED,
    "policies.*.spread.by": f"{_PLACES}::test_spread_keeps_hosts_even",
    "policies.*.spread.max_skew": f"{_PLACES}::test_spread_keeps_zones_within_the_skew",
    "policies.*.binpack.by": f"{_PLACES}::test_binpack_fills_what_is_fullest_by_its_measure",
    "policies.*.name_prefix": _IN_JENKINS,
    "policies.*.priority": f"{_LIMITS}::test_the_policy_of_the_higher_priority_goes_first_where_room_is_short",
    "policies.*.controllers": f"{_TOLD}::test_a_policy_is_its_controllers_alone",
}
"""Key → the test, below `tests/unit`, that fails when it does nothing. A map is shown by the keys in it."""


def is_a_clouds_own(doc: KeyDoc) -> bool:
    """Whether a key is of one cloud, Amazon ECS (`config/test_ecs.py`), or of hosts (`config/test_hosts.py`)."""
    noun, _, key = (*doc.path.split("."), "", "")[:3]
    if noun == "templates":
        return key in ECS_TEMPLATE_KEYS
    owners = {kind for kind, keys in POOL_KEYS.items() if key in keys}
    return noun == "pools" and bool(owners) and not owners & (POOL_KEYS.keys() - {"aws-ecs", *WITH_HOSTS})


def leaves() -> dict[str, KeyDoc]:
    """Every key of the three nouns that holds a value, and no map of further keys."""
    docs = {doc.path: doc for doc in walk() if doc.path.partition(".")[0] in NOUNS}
    return {path: doc for path, doc in docs.items() if not any(other.startswith(f"{path}.") for other in docs)}


@cache
def named_in(file: str) -> frozenset[str]:
    nodes = ast.walk(ast.parse((UNIT / file).read_text()))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_key_has_a_test_that_shows_what_it_does() -> None:
    wanted = {path for path, doc in leaves().items() if not is_a_clouds_own(doc)}
    assert SHOWN_BY.keys() == wanted


def test_every_test_that_is_named_is_there() -> None:
    gone = [where for where in SHOWN_BY.values() if where.partition("::")[2] not in named_in(where.partition("::")[0])]
    assert gone == []


def test_every_key_is_documented() -> None:
    for path, doc in leaves().items():
        assert doc.description.endswith("."), path
        assert doc.kind, path
        assert doc.examples, path
