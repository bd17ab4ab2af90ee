"""What the SDK of Alibaba Cloud costs in memory: a broker in a process of its own, with and without such a pool."""

import asyncio
import hashlib
import json
import secrets
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml

from broker.clock import SystemClock
from broker.demo.clouds.alibaba.cloud import FakeAlibaba
from broker.demo.clouds.serving import serving
from tests.benchmarks.ali_world import TYPE
from tests.benchmarks.figures import Figure

_LIMIT_S: Final = 120.0
_RESTS_S: Final = 3.0
_VSWITCH: Final = "vsw-bp1agentsh"
_LAST: Final = "DescribeSpotPriceHistory"
"""With the answer to this one the broker has all that it wants to know of a pool that nobody uses."""


async def figures() -> Mapping[str, Figure]:
    """Both."""
    fake = FakeAlibaba(SystemClock())
    [one, *_] = fake.ecs.region().networks.vswitches.values()
    fake.vpc.add(replace(one, id=_VSWITCH))
    async with serving(fake) as url:
        with_it = await measure(_with_hosts(fake, url), fake)
    without = await measure({}, None)
    assert with_it["modules"], with_it
    assert not without["modules"], without
    how = f"a broker in a process of its own, {_RESTS_S:g} s after it was ready; one policy, nobody connected"
    sdk = f"a pool of alibaba-ecs whose market was read of the fake: {with_it['modules']} modules of the SDK"
    return {
        "rss_mib_with_sdk": Figure(value=with_it["rss_mib"], unit="MiB", target="-", how=f"{how}; {sdk}"),
        "rss_mib_without": Figure(
            value=without["rss_mib"], unit="MiB", target="-", how=f"{how}; a pool of processes: none of the SDK"
        ),
    }


def _with_hosts(fake: FakeAlibaba, url: str) -> dict[str, Any]:
    return {
        "backends": {
            "ali": {
                "type": "alibaba-ecs",
                "region": fake.region,
                "access_key_id": fake.access_key,
                "access_key_secret": fake.secret_key,
                "endpoints": dict.fromkeys(("ecs", "vpc", "sts"), url),
            }
        },
        "pools": {
            "here": {
                "backend": "ali",
                "image_id": "aliyun_3_x64_20G_alibase_20260528.vhd",
                "instance_types": [TYPE],
                "vswitches": [_VSWITCH],
                "security_groups": ["sg-bp1agents"],
                "charge": {"spot_strategy": "SpotAsPriceGo"},
                "start_by": "cloud-assistant",
            }
        },
    }


async def measure(hosts: dict[str, Any], fake: FakeAlibaba | None) -> dict[str, Any]:
    """What `broker_memory` tells of a broker with these backends and pools, once the fake was asked for all."""
    with tempfile.TemporaryDirectory(prefix="agentbroker-memory-") as folder:
        config = _config(Path(folder), hosts)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.benchmarks.broker_memory", str(config)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_LIMIT_S):
                assert await process.stdout.readline() == b"serving\n"
                while fake is not None and not fake.ledger.count(_LAST):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
                await asyncio.sleep(_RESTS_S)
                process.stdin.write(b"now\n")
                told: dict[str, Any] = json.loads(await process.stdout.readline())
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
    return told


def _config(root: Path, hosts: dict[str, Any]) -> Path:
    listen, keys = {"listen": "127.0.0.1:0"}, root / "keys"
    keys.mkdir(mode=0o700)
    said = {
        "version": 1,
        "server": {"http": listen, "grpc": listen, "state_dir": str(root / "state"), "keys_dir": str(keys)},
        "controllers": {
            "main": {
                "url": "http://127.0.0.1:9/",
                "token_sha256": hashlib.sha256(secrets.token_bytes(16)).hexdigest(),
            }
        },
        "gateway": {"websocket": listen},
        "pools": {"here": {"backend": "process"}},
        "policies": {"linux": {"labels": ["linux"], "pools": ["here"]}},
        **hosts,
    }
    config = root / "broker.yaml"
    config.write_text(yaml.safe_dump(said))
    config.chmod(0o600)
    return config
