"""What the config says of Alibaba Cloud ECS gets to its backend as plain values, under the names of the keys."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.config.load import parse
from broker.domain.definitions import Rate
from broker.domain.ids import BackendName, PoolName
from broker.errors import ConfigError

ROOT = Path(__file__).parents[3]
HERE = Path.cwd()


def options(pool: str = "", backend: str = "auto_network: true") -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """What a backend and its pool have, with the least that both need beside what is said."""
    text = f"""version: 1
backends: {{ ali: {{ type: alibaba-ecs, region: cn-hangzhou, {backend} }} }}
pools: {{ it: {{ backend: ali, image_id: m-1, ssh: {{ private_key_file: id }}, {pool} }} }}
"""
    found = parse(text, env={}).definitions
    return found.backends[BackendName("ali")].options, found.pools[PoolName("it")].options


def test_a_backend_becomes_plain_values_with_absolute_files() -> None:
    said = """access_key_id_file: id, access_key_secret_file: /run/secret, security_token_file: token,
      auto_network: true, role_arn: ["acs:ram::1:role/a", "acs:ram::2:role/b"], role_external_id: agentbroker-ci,
      network: { vpc: vpc-1 },
      endpoints: { ecs: "http://127.0.0.1:8399", vpc: vpc.example.com }, auto_release: 0s, api_rate: 20/s"""
    assert options(backend=said)[0] == {
        "region": "cn-hangzhou",
        "access_key_id_file": str(HERE / "id"),
        "access_key_secret_file": "/run/secret",
        "security_token_file": str(HERE / "token"),
        "role_arn": ["acs:ram::1:role/a", "acs:ram::2:role/b"],
        "role_session_name": "agentbroker",
        "role_external_id": "agentbroker-ci",
        "vpc_endpoints": False,
        "endpoints": {"ecs": "http://127.0.0.1:8399", "vpc": "https://vpc.example.com"},
        "auto_network": True,
        "network": {"vpc": "vpc-1", "vpc_cidr": "172.16.0.0/12", "vswitch_prefix": 24},
        "auto_release": 0.0,
        "poll_interval": 3.0,
        "api_rate": Rate(count=20.0, per=timedelta(seconds=1)),
    }
    assert options(backend="auto_network: true, vpc_endpoints: true, ram_role_name: ci")[0]["vpc_endpoints"] is True


def test_a_pool_becomes_what_its_backend_reads() -> None:
    said = """instance_types: [ecs.c7.large, ecs.g7.large], zones: [cn-hangzhou-h], vswitches: [vsw-1],
      security_groups: [sg-1, sg-2], key_pair: { import: true }, data_disk_ids: [d-1], public_ip: {},
      connect_by: public,
      charge: { spot_strategy: SpotWithPriceLimit, price_limit: 0.9, duration: 1h, on_no_stock: on-demand },
      user_data_file: boot, tags: { team: build }, instance_name: "ECS-{job}", vm_ram_role: builds"""
    found = options(said)[1]
    expected = {
        "image_id": "m-1",
        "instance_types": ["ecs.c7.large", "ecs.g7.large"],
        "zones": ["cn-hangzhou-h"],
        "vswitches": ["vsw-1"],
        "security_groups": ["sg-1", "sg-2"],
        "key_pair": {"import": True},
        "data_disk_ids": ["d-1"],
        "public_ip": {"bandwidth_out": 10, "charge": "PayByTraffic"},
        "connect_by": "public",
        "charge": {
            "spot_strategy": "SpotWithPriceLimit",
            "price_limit": 0.9,
            "duration": 1,
            "interruption": "Terminate",
            "on_no_stock": "on-demand",
        },
        "user_data_file": str(HERE / "boot"),
        "tags": {"team": "build"},
        "instance_name": "ECS-{job}",
        "vm_ram_role": "builds",
    }
    assert {key: found[key] for key in expected} == expected
    assert "host_size" not in found


def test_disks_are_in_the_words_and_units_of_the_api() -> None:
    said = """system_disk: { category: cloud_essd_PL1, size: 60Gi },
      data_disks: [{ category: cloud_auto, size: 100Gi, count: 2, snapshot: s-1, delete_with_instance: false }, {}]"""
    found = options(said)[1]
    assert found["system_disk"] == {"category": "cloud_essd", "performance_level": "PL1", "size": 60}
    assert found["data_disks"] == [
        {"category": "cloud_auto", "size": 100, "count": 2, "snapshot": "s-1", "delete_with_instance": False},
        {"category": "cloud_essd", "size": 40, "count": 1, "delete_with_instance": True},
    ]


def test_without_a_type_the_broker_chooses_one_of_2_vcpu_and_8_gib() -> None:
    assert options()[1]["host_size"] == {"cpu": 2, "memory": 8192}
    assert options("host_size: { cpu: 4, memory: 16Gi }")[1]["host_size"] == {"cpu": 4, "memory": 16384}


def test_what_is_not_said_has_the_plugins_defaults_or_safer_ones() -> None:
    found = options()[1]
    assert found["ssh"]["user"] == "root"
    assert found["ssh"]["host_key"] == "from-console"
    assert found["runner"]["work_dir"] == "agentbroker"
    assert (found["os"], found["start_by"], found["connect_by"]) == ("linux", "ssh", "private")
    assert "public_ip" not in found
    assert found["instance_name"] == "agentbroker-{pool}"


@pytest.mark.parametrize("key", ["useHTTPS", "allowSelfSignedCertificate", "bootDelay", "specifyPassword", "nasData"])
def test_what_is_in_the_docs_alone_is_refused_with_a_pointer_to_its_page(key: str) -> None:
    with pytest.raises(ConfigError, match=f"'{key}' is not a key of a pool") as caught:
        options(f"{key}: 1")
    assert "see docs/how-to/alibaba-ecs.md" in str(caught.value)
    page = (ROOT / "docs/how-to/alibaba-ecs.md").read_text()
    assert "\n## NAS cache\n" in page
    assert "\n## Windows\n" in page
