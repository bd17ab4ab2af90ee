"""What differs between two configs, and whom it touches."""

from broker.config.diff import changes, touched
from broker.config.load import parse

BASE = """version: 1
templates: { java: { cpu: 1 }, other: {} }
pools:
  x: { backend: process, limits: { agents: 100 } }
  y: { backend: process }
policies:
  linux: { labels: [linux, docker], pools: [x, y], strategy: weighted, template: java }
  mac: { labels: [mac], pools: [y], template: other }
"""


def lines(*edits: tuple[str, str], base: str = BASE) -> list[str]:
    """What is said of the base with some edits."""
    return [str(change) for change in changes(content(base), content(edited(base, *edits)))]


def edited(text: str, *edits: tuple[str, str]) -> str:
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return text


def content(text: str) -> dict[str, object]:
    return dict(parse(text, env={}).content)


def test_a_changed_value_is_a_line_with_both() -> None:
    assert lines(("agents: 100", "agents: 140")) == ["pools.x.limits.agents 100 -> 140"]


def test_what_a_default_says_anyway_is_no_change() -> None:
    assert lines(("cpu: 1", "cpu: 1.0, executors: 1"), ("version: 1\n", "version: 1\nserver: {}\n")) == []


def test_what_was_not_set_and_lists_and_items_are_told() -> None:
    edits = (("agents: 100", "pending: 5"), ("[linux, docker]", "[linux]"), ("[x, y]", "[x, { pool: y, weight: 3 }]"))
    assert lines(*edits) == [
        "pools.x.limits.agents 100 -> (unset)",
        "pools.x.limits.pending (unset) -> 5",
        "policies.linux.labels [linux, docker] -> [linux]",
        "policies.linux.pools.1.weight 1 -> 3",
    ]


def test_a_thing_that_comes_or_goes_is_one_line() -> None:
    assert lines(("  mac:", "  win:")) == ["policies.mac removed", "policies.win added"]


def test_another_order_of_policies_is_a_change() -> None:
    linux, mac = BASE.splitlines()[-2:]
    assert lines((f"{linux}\n{mac}", f"{mac}\n{linux}")) == ["policies [linux, mac] -> [mac, linux]"]


def test_a_secret_that_changes_is_masked() -> None:
    base = BASE.replace("cpu: 1", "env: { NPM_TOKEN: canary-one }")
    assert lines(("canary-one", "canary-two"), base=base) == ["templates.java.env.NPM_TOKEN ******** -> ********"]


def test_a_change_of_a_template_touches_the_policies_that_use_it() -> None:
    before, after = content(BASE), content(edited(BASE, ("cpu: 1", "cpu: 2")))
    found = touched(changes(before, after), before, after)
    assert found.policies == {"linux"}
    assert found.reaches(controller="main", policy="linux", pool="x")
    assert not found.reaches(controller="main", policy="mac", pool="y")


def test_agents_of_a_removed_pool_end_after_their_builds() -> None:
    before = content(BASE)
    after = content(edited(BASE, ("  x: { backend: process, limits: { agents: 100 } }\n", ""), ("[x, y]", "[y]")))
    found = touched(changes(before, after), before, after)
    assert found.ends(controller="main", policy="linux", pool="x")
    assert not found.ends(controller="main", policy="linux", pool="y")
