"""The rule about skips holds: shown by runs of pytest inside pytest."""

import pytest

from tests.skips import NEEDS

pytestmark = pytest.mark.usefixtures("plugins")

SKIPS_ITSELF = """
    import pytest
    def test_needs_something():
        pytest.skip("no such thing")
"""


@pytest.fixture
def plugins(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makeconftest('pytest_plugins = ["tests.skips", "tests.report"]')
    for variable in ("CI", *NEEDS.values()):
        monkeypatch.delenv(variable, raising=False)


def run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    return pytester.runpytest("-p", "no:cacheprovider", "-p", "no:asyncio", *args)


def test_a_skip_is_a_failure_in_ci(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    pytester.makepyfile(SKIPS_ITSELF)
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*in CI a skip is a failure*no such thing*"])


def test_a_skip_elsewhere_is_a_skip(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SKIPS_ITSELF)
    run(pytester).assert_outcomes(skipped=1)


def test_a_skipped_module_is_an_error_in_ci(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    pytester.makepyfile("import pytest; pytest.importorskip('no_such_module')")
    run(pytester).assert_outcomes(errors=1)


def test_an_expected_failure_is_no_skip(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    pytester.makepyfile("""
        import pytest
        @pytest.mark.xfail
        def test_not_yet():
            assert False
    """)
    run(pytester).assert_outcomes(xfailed=1)


@pytest.mark.parametrize("marker", NEEDS)
def test_an_opt_in_test_is_skipped_and_says_what_it_needs(
    marker: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    pytester.makepyfile(f"""
        import pytest
        @pytest.mark.{marker}
        def test_the_real_thing():
            assert False
    """)
    result = run(pytester, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"*needs {NEEDS[marker]}*"])


def test_an_opt_in_test_runs_when_it_is_given_what_it_needs(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_JAR", "agent.jar")
    pytester.makepyfile("""
        import pytest
        @pytest.mark.agentjar
        def test_the_real_thing():
            pass
    """)
    run(pytester).assert_outcomes(passed=1)


def test_the_run_ends_with_a_table_of_components(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest
        @pytest.mark.component("prometheus")
        @pytest.mark.parametrize("n", range(3))
        def test_is_scraped(n, record_component):
            record_component("prometheus", "2.42.0")
    """)
    run(pytester).stdout.re_match_lines([r"component +version +tests run", r"prometheus +2\.42\.0 +3"])


def test_a_run_of_the_jenkins_tests_says_which_war_and_which_jenkins(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    war = pytester.path / "jenkins.war"
    war.write_bytes(b"war")
    monkeypatch.setenv("JENKINS_WAR", str(war))
    pytester.makepyfile("""
        import pytest
        @pytest.mark.jenkins
        def test_boots(record_component):
            record_component("jenkins", "2.479.1")
    """)
    run(pytester, "-m", "jenkins").stdout.re_match_lines(
        [r"1 passed, 0 skipped", r"war SHA-256 +a2d8daa4", r"X-Jenkins +2\.479\.1"]
    )
