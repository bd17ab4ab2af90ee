"""What a build asks for itself: read from its label, held against its policy, put on top of its template."""

import pytest

from broker.domain.asked import Asked, forbidden
from broker.domain.ids import PolicyName
from broker.domain.labels import parse
from broker.domain.overrides import (
    NO_OVERRIDE,
    Override,
    OverrideError,
    OverrideRules,
    applied,
    from_label,
    of_label,
    refusal,
)
from broker.domain.reason import Reason
from broker.domain.resources import Resources
from broker.testing.factories import make_policy, make_template

LINUX = PolicyName("linux")
IMAGE = "registry.example.com/acme/x:1"
RULES = OverrideRules(
    allow=frozenset({"image", "cpu", "memory"}),
    images=("registry.example.com/acme/*",),
    max_cpu_milli=8000,
    max_memory_mib=32 * 1024,
)
TEMPLATE = make_template(image="standard:1", resources=Resources(cpu_milli=2000, memory_mib=4096))


def why(label: str, rules: OverrideRules = RULES) -> str:
    """The refusal in words; empty: it is allowed."""
    found = refusal(from_label(parse(label))[0], rules, TEMPLATE, LINUX)
    assert found is None or found[0] is Reason.OVERRIDE_FORBIDDEN
    return found[1] if found else ""


@pytest.mark.parametrize(
    ("label", "override", "names"),
    [
        ("linux && docker", NO_OVERRIDE, ()),
        ("linux && cpu=4", Override(cpu_milli=4000), ("cpu=4",)),
        ("cpu=0.5 && (linux && memory=8Gi)", Override(cpu_milli=500, memory_mib=8192), ("cpu=0.5", "memory=8Gi")),
        ("linux&&cpu=500m&&memory=512Mi", Override(cpu_milli=500, memory_mib=512), ("cpu=500m", "memory=512Mi")),
        (f'linux&&"image={IMAGE}"', Override(image=IMAGE), (f"image={IMAGE}",)),
        (f"linux && image={IMAGE}@sha256:0a", Override(image=f"{IMAGE}@sha256:0a"), (f"image={IMAGE}@sha256:0a",)),
        ("linux && cpu=4 && cpu=4", Override(cpu_milli=4000), ("cpu=4",)),
        ("(linux || mac) && cpu=4", Override(cpu_milli=4000), ("cpu=4",)),
        ("cpus=4 && imagery", NO_OVERRIDE, ()),
    ],
)
def test_a_label_asks_for_what_its_atoms_say(label: str, override: Override, names: tuple[str, ...]) -> None:
    assert from_label(parse(label)) == (override, names) == of_label(label)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("linux && !cpu=4", "overrides.cpu: cpu=4 must be joined to the other labels by && alone"),
        ("linux || memory=8Gi", "overrides.memory: memory=8Gi must be"),
        ("linux -> cpu=4", "overrides.cpu: cpu=4 must be"),
        ("linux && (cpu=4 <-> docker)", "overrides.cpu: cpu=4 must be"),
        ("cpu=4 && cpu=8", "overrides.cpu: asked for twice, 4 and 8"),
        ("linux && cpu=", "overrides.cpu: nothing stands behind cpu="),
        ("linux && cpu=0", "overrides.cpu: '0' is no number of vCPU: write 4 or 0.5"),
        ("linux && cpu=-1", "overrides.cpu: '-1' is no number"),
        ("linux && cpu=٤", "overrides.cpu: '٤' is no number"),
        ("linux && cpu=1e9", "overrides.cpu: '1e9' is no number"),
        ("linux && cpu=4097", "overrides.cpu: '4097' is no number"),
        ("linux && memory=8GB", "overrides.memory: '8GB' is no amount of memory: write 8Gi or 512Mi"),
        ("linux && memory=8", "overrides.memory: '8' is no amount"),
        ("linux && memory=9999999999Ti", "overrides.memory: '9999999999Ti' is no amount"),
        ("linux && image=../x", "overrides.image: '../x' is no reference"),
        ("linux && image=registry.example.com/acme/../x", "overrides.image: 'registry.example.com/acme/../x' is no"),
        ("linux && image=registry.example.com//x", "overrides.image: 'registry.example.com//x' is no reference"),
        ('linux && "image=a b"', "overrides.image: 'a b' is no reference"),
        ("linux && image=--privileged", "overrides.image: '--privileged' is no reference"),
        ('linux && "image=a\\nb"', "overrides.image: 'a\\nb' is no reference"),
        ("linux && image=" + "a" * 201, "overrides.image: it has 201 characters, at most 200 may be"),
    ],
)
def test_what_cannot_be_understood_is_an_error_that_names_the_field(label: str, words: str) -> None:
    with pytest.raises(OverrideError) as raised:
        of_label(label)
    assert str(raised.value).startswith(words)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("linux && cpu=8 && memory=32Gi", ""),
        (f"linux && image={IMAGE}", ""),
        ("linux && cpu=16", "overrides.cpu: 16 is over max_cpu 8 of policy linux"),
        ("linux && cpu=8001m", "overrides.cpu: 8.001 is over max_cpu 8 of policy linux"),
        ("linux && memory=33Gi", "overrides.memory: 33Gi is over max_memory 32Gi of policy linux"),
        (
            "linux && image=docker.io/acme/x:1",
            "overrides.image: docker.io/acme/x:1 is none of the images of policy linux: registry.example.com/acme/*",
        ),
        (
            "linux && image=evil/registry.example.com/acme/x",
            "overrides.image: evil/registry.example.com/acme/x is none of the images of policy linux: "
            "registry.example.com/acme/*",
        ),
    ],
)
def test_a_policy_allows_what_is_within_its_ceilings_and_no_more(label: str, words: str) -> None:
    assert why(label) == words


def test_a_key_that_is_not_allowed_is_refused_whatever_is_asked_for() -> None:
    message = "policy linux does not let a build choose it (it allows: nothing)"
    assert why("linux && cpu=1", OverrideRules()) == f"overrides.cpu: {message}"
    assert why("memory=1Mi", OverrideRules(allow=frozenset({"cpu"}))).endswith("(it allows: cpu)")
    assert why("linux", OverrideRules()) == ""


def test_without_ceilings_any_size_is_allowed_and_without_patterns_no_image() -> None:
    rules = OverrideRules(allow=frozenset({"image", "cpu", "memory"}))
    assert why("cpu=4096 && memory=9Ti", rules) == ""
    assert why("image=x", rules) == "overrides.image: x is none of the images of policy linux: it names none"


def test_an_override_takes_the_place_of_what_the_template_says_and_of_nothing_else() -> None:
    made = applied(TEMPLATE, Override(cpu_milli=4000))
    assert (made.image, made.resources) == ("standard:1", Resources(cpu_milli=4000, memory_mib=4096))
    assert (made.name, made.retention, made.env) == (TEMPLATE.name, TEMPLATE.retention, TEMPLATE.env)
    assert applied(TEMPLATE, NO_OVERRIDE) is TEMPLATE
    assert applied(TEMPLATE, Override(image=IMAGE)).image == IMAGE


@pytest.mark.parametrize(
    ("told", "refused"),
    [
        (None, False),
        ({"image": "", "cpu": "4", "memory": ""}, False),
        ({"image": "", "cpu": "4000m", "memory": ""}, False),
        ({"image": "", "cpu": "2", "memory": ""}, True),
        ({"image": "", "cpu": "", "memory": ""}, True),
        ({"image": IMAGE, "cpu": "4", "memory": ""}, True),
        ({"image": "", "cpu": "four", "memory": ""}, True),
    ],
)
def test_what_jenkins_takes_the_label_for_must_be_what_it_says(told: dict[str, str] | None, *, refused: bool) -> None:
    asked = Asked(name="a", policy="linux", secret="", label_expression="linux && cpu=4", overrides=told)
    answer = forbidden(asked, make_policy(overrides=RULES), TEMPLATE)
    assert (answer is not None and answer.reason is Reason.OVERRIDE_FORBIDDEN) == refused
