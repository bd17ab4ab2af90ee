"""Whose a task is."""

from dataclasses import replace
from typing import Any

from broker.backends.aws_ecs.ownership import NOBODY, SIGNATURE, Ownership, clean
from broker.domain.ids import BackendName, LaunchToken
from broker.testing.factories import make_key, make_spec, make_template

FAMILY = "agentbroker-base"


def ownership(installation: str = "one") -> Ownership:
    return Ownership(BackendName("aws"), installation, lambda text: f"signed {hash(text)}")


def task(tags: Any, family: str = FAMILY, started_by: str = "agentbroker/one") -> dict[str, Any]:
    definition = f"arn:aws:ecs:eu-west-1:111122223333:task-definition/{family}:7"
    return {"taskArn": "arn", "taskDefinitionArn": definition, "startedBy": started_by, "tags": tags}


def test_a_task_of_ours_tells_whose_it_is() -> None:
    spec = make_spec(7, 3)
    owned = ownership().of(task(ownership().tags(spec, FAMILY)))
    assert owned is not None
    assert (owned.agent_id, owned.attempt) == (spec.key.agent_id, 3)
    assert owned.launch == ownership().launch_id(spec.key)


def test_copied_marks_are_nobodys_on_another_family_or_startedby() -> None:
    tags = ownership().tags(make_spec(), FAMILY)
    assert ownership().of(task(tags, family="other")) is None
    assert ownership().of(task(tags, started_by="agentbroker/two")) is None
    assert ownership().of(task(tags, started_by="")) is None
    assert ownership("two").of(task(tags)) is None


def test_stripped_or_changed_marks_are_nobodys() -> None:
    tags = ownership().tags(make_spec(), FAMILY)
    assert ownership().of(task([])) is None
    assert ownership().of(task([tag for tag in tags if tag["key"] != SIGNATURE])) is None
    changed = [{**tag, "value": "9"} if tag["key"] == "agentbroker:attempt" else tag for tag in tags]
    assert ownership().of(task(changed)) is None


def test_a_task_on_record_is_ours_by_who_started_it_whatever_became_of_its_tags() -> None:
    assert ownership().of_recorded(task([])) == NOBODY
    assert ownership().of_recorded(task([], started_by="x")) is None


def test_tags_are_as_the_api_takes_them_and_the_templates_never_stand_for_ours() -> None:
    tags = {"agentbroker:attempt": "9", "AWS:x": "no", "team": "build<>", **{f"t{n}": "v" * 300 for n in range(60)}}
    spec = make_spec(template=make_template(tags=tags))
    spec = replace(spec, job="folder/jöb #1\n", build_url="http://ci/job/x/1/?a=b")
    told = {tag["key"]: tag["value"] for tag in ownership().tags(spec, FAMILY)}
    assert len(told) == 50
    assert told["agentbroker:attempt"] == "1"
    assert "AWS:x" not in told
    assert told["team"] == "build__"
    assert told["agentbroker:job"] == "folder/jöb _1_"
    assert told["agentbroker:build"] == "http://ci/job/x/1/_a=b"
    assert max(len(value) for value in told.values()) <= 256


def test_a_token_that_the_api_would_not_take_is_hashed() -> None:
    long = replace(make_key(), token=LaunchToken("x" * 65))
    assert ownership().client_token(make_key()) == "token-1-1"
    assert len(ownership().client_token(long)) == 64
    assert ownership().client_token(long) == ownership().client_token(long)


def test_what_tags_may_not_have_is_an_underscore() -> None:
    assert clean("a\tb<c>é") == "a_b_c_é"
