"""What the backend reads of the config."""

from datetime import timedelta

from broker.backends.aws_ecs.options import AssumeRole, BackendOptions, Capacity, PoolOptions, TaskOptions
from broker.domain.ids import BackendName, PoolName, TemplateName
from broker.domain.pool import BackendDefinition, Pool
from broker.domain.template import Template


def test_a_backend_that_says_nothing_has_the_documented_defaults() -> None:
    options = BackendOptions.of(BackendDefinition(name=BackendName("aws"), type="aws-ecs"))
    assert (options.family_prefix, options.poll_interval, options.keep_definitions) == (
        "agentbroker",
        timedelta(seconds=3),
        2,
    )


def test_a_backends_roles_are_read_in_the_order_of_the_chain() -> None:
    chain = [{"role_arn": "arn:1"}, {"role_arn": "arn:2", "external_id": "x", "session_name": "s"}]
    definition = BackendDefinition(name=BackendName("aws"), type="aws-ecs", options={"assume_role_arn": chain})
    assert BackendOptions.of(definition).assume_role_arn == (
        AssumeRole(role_arn="arn:1"),
        AssumeRole(role_arn="arn:2", external_id="x", session_name="s"),
    )


def test_a_backends_keys_are_in_no_text_of_it() -> None:
    options = {"access_key_id": "AKIA-x", "secret_access_key": "s3cret-x", "proxy": "http://u:p@proxy:3128"}
    text = repr(BackendOptions.of(BackendDefinition(name=BackendName("aws"), type="aws-ecs", options=options)))
    assert not any(value in text for value in options.values())


def test_a_pool_with_one_provider_is_a_strategy_of_it_alone() -> None:
    options = PoolOptions.of(_pool(capacity_provider="FARGATE_SPOT", subnets=["subnet-1"]))
    assert options.strategy == (Capacity(capacity_provider="FARGATE_SPOT", weight=1),)
    assert (options.subnets, options.is_fargate, options.is_spot) == (("subnet-1",), True, True)


def test_a_pool_on_instances_is_not_on_fargate() -> None:
    strategy = [{"capacity_provider": "asg", "weight": 1, "base": 2}]
    assert not PoolOptions.of(_pool(capacity_provider_strategy=strategy)).is_fargate
    assert not PoolOptions.of(_pool(launch_type="EC2")).is_fargate
    assert not PoolOptions.of(_pool()).is_fargate


def test_a_template_is_read_in_the_apis_own_form_each_key_where_it_belongs() -> None:
    ecs = {
        "mount_points": [{"source_volume": "m2", "container_path": "/m2", "read_only": True}],
        "secrets": {"TOKEN": "arn:aws:ssm:eu-west-1:111122223333:parameter/token"},
        "docker_labels": {"my_label": "x"},
        "stop_timeout": timedelta(seconds=90),
        "volumes": [{"name": "m2", "configured_at_launch": True}],
        "volume_configurations": [{"name": "m2", "managed_ebs_volume": {"role_arn": "arn:r", "size_in_gib": 20}}],
        "sidecars": [{"name": "db", "image": "postgres", "env": {"PGPORT": "1"}}],
        "runtime_platform": {"operating_system_family": "WINDOWS_SERVER_2022_CORE"},
    }
    options = TaskOptions.of(Template(name=TemplateName("t"), options={"ecs": ecs}))
    assert options.container == {
        "mountPoints": [{"sourceVolume": "m2", "containerPath": "/m2", "readOnly": True}],
        "secrets": [{"name": "TOKEN", "valueFrom": "arn:aws:ssm:eu-west-1:111122223333:parameter/token"}],
        "dockerLabels": {"my_label": "x"},
        "stopTimeout": 90,
    }
    assert options.task == {
        "volumes": [{"name": "m2", "configuredAtLaunch": True}],
        "runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"},
    }
    assert options.volume_configurations == ({"name": "m2", "managedEBSVolume": {"roleArn": "arn:r", "sizeInGiB": 20}},)
    assert options.sidecars == ({"name": "db", "image": "postgres", "environment": [{"name": "PGPORT", "value": "1"}]},)
    assert options.is_windows


def _pool(**options: object) -> Pool:
    return Pool(name=PoolName("p"), backend=BackendName("aws"), options=options)
