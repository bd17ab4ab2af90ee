"""What the words of policies and pools become, and what their money is worth."""

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from broker.config.currencies import Currencies
from broker.config.load import check_text, parse
from broker.domain.definitions import Definitions
from broker.domain.ids import PolicyName, PoolName, TemplateName
from broker.domain.money import Budget, Per, Price
from broker.domain.overrides import OverrideRules
from broker.domain.policy import Fallback, PackBy, Policy, Spread, SpreadBy
from broker.domain.reason import Reason
from broker.domain.schedule import Hours

EXAMPLE = Path(__file__).parent / "example.yaml"
SHANGHAI = ZoneInfo("Asia/Shanghai")


def example() -> Definitions:
    return parse(EXAMPLE.read_text(), env={}).definitions


def policy(name: str) -> Policy:
    return example().policies[PolicyName(name)]


def test_a_fallback_has_its_wait_its_reasons_and_its_hours() -> None:
    assert policy("linux").fallback == (
        Fallback(
            pool=PoolName("hangzhou"),
            after=timedelta(seconds=45),
            when=(Reason.INSUFFICIENT_CAPACITY, Reason.SPOT_UNAVAILABLE, Reason.POOL_AT_LIMIT),
            only=Hours(start=20 * 60, end=8 * 60, zone=SHANGHAI),
        ),
    )
    assert policy("linux").chain == ("fargate-spot", "fargate", "hangzhou")


def test_a_policy_has_the_cap_of_a_job_its_warm_changes_and_what_builds_may_ask_for() -> None:
    linux = policy("linux")
    assert linux.per_job == 20
    assert [(change.min_idle, change.zone) for change in linux.warm_changes] == [(10, SHANGHAI), (0, SHANGHAI)]
    assert linux.warm_changes[0].cron.hours == {8}
    assert linux.warm_changes[0].cron.weekdays == {1, 2, 3, 4, 5}
    assert linux.overrides == OverrideRules(
        allow=frozenset({"image", "cpu", "memory"}),
        images=("registry.example.com/acme/*",),
        max_cpu_milli=8000,
        max_memory_mib=32 * 1024,
    )


def test_strategies_have_their_own_keys_and_defaults() -> None:
    assert policy("spread-tests").spread == Spread(by=SpreadBy.ZONE, max_skew=2)
    assert policy("linux-cn").pack_by is PackBy.MEMORY
    text = "version: 1\npools: { a: { backend: process } }\npolicies: { p: { labels: [l], pools: [a] } }\n"
    bare = parse(text, env={}).definitions.policies[PolicyName("p")]
    assert bare.spread == Spread()
    assert (bare.fallback, bare.warm_changes, bare.budget, bare.per_job) == ((), (), None, None)
    assert bare.overrides == OverrideRules()


def test_money_is_in_millionths_of_the_base_currency() -> None:
    definitions = example()
    assert definitions.currency == "USD"
    assert policy("linux").budget == Budget(amount=Currencies({}).micros(80, None), per=Per.DAY, as_written="80 USD")
    cost = {name: pool.cost for name, pool in definitions.pools.items()}
    usd = Currencies({"base": "USD"})
    assert cost[PoolName("fargate")] == Price(
        cpu_hour=usd.micros(0.04456, None), memory_gib_hour=usd.micros(0.004865, None), currency="USD"
    )
    hangzhou = cost[PoolName("hangzhou")]
    assert hangzhou is not None
    assert (hangzhou.host_hour, hangzhou.currency) == (226_800, "CNY")  # 1.62 × 0.14


def test_amounts_are_exact_as_written() -> None:
    currencies = Currencies({"base": "USD", "CNY": 0.14})
    assert currencies.micros(0.04456, "USD") == 44_560
    assert currencies.micros(0.1, "CNY") == 14_000
    assert currencies.micros(3, None) == 3_000_000
    assert currencies.known == ("USD", "CNY")


def test_a_pool_without_cost_has_no_price_which_is_not_zero() -> None:
    text = "version: 1\npools: { a: { backend: process }, b: { backend: process, cost: { cpu_hour: 0 } } }\n"
    pools = parse(text, env={}).definitions.pools
    assert pools[PoolName("a")].cost is None
    assert pools[PoolName("b")].cost == Price()


def test_tags_of_a_template_are_inherited() -> None:
    assert dict(example().templates[TemplateName("java")].tags) == {"team": "build"}


def test_of_the_whole_example_nothing_is_told_but_of_files_that_are_not_there() -> None:
    found = check_text(EXAMPLE.read_text(), "broker.yaml", EXAMPLE.parent, env={}, starting=False).diagnostics
    told = [one.message for one in found.items if one.code not in {"no-file", "file-mode"}]
    assert told == []
