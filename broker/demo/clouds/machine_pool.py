"""The demo's pool of virtual machines, as the config has it. Nothing of a cloud's SDK is needed for this."""

from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broker.demo.clouds.vms.agents import init_script
from broker.demo.clouds.vms.network import gateway_of

IMAGE: Final = "jenkins/inbound-agent:latest"
"""What agents run in, on both clouds."""
REGION: Final = "cn-hangzhou"
ZONES: Final = "hij"
"""The last letters of the region's zones."""
GROUP: Final = "sg-bp1demo"
IMAGE_ID: Final = "aliyun_3_x64_20G_alibase_20260528.vhd"
SSH_KEY: Final = "ssh-key"
"""The file with the key that opens machines."""


def vswitch_of(zone: str) -> str:
    """The id of the vSwitch in a zone."""
    return f"vsw-bp1demo{zone[-1]}"


def blocks_of(block: IPv4Network) -> list[IPv4Network]:
    """Those of the vSwitches in a VPC's block, as many as the region has zones."""
    parts = block.subnets(prefixlen_diff=(len(ZONES) - 1).bit_length())
    return [part for _, part in zip(ZONES, parts, strict=False)]


def address_in(block: IPv4Network) -> str:
    """This machine's address in a VPC's block: that in the first of its vSwitches."""
    return str(gateway_of(blocks_of(block)[0]))


def new_ssh_key() -> str:
    """A private key in OpenSSH's form."""
    made = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return made.decode()


def machine_backend(url: str, access_key: Path, secret_key: Path) -> dict[str, object]:
    """The fake as a backend; the keys stand in files."""
    return {
        "type": "alibaba-ecs",
        "region": REGION,
        "access_key_id_file": str(access_key),
        "access_key_secret_file": str(secret_key),
        "endpoints": dict.fromkeys(("ecs", "vpc", "sts"), url),
        "poll_interval": "1s",
    }


def machine_pool(root: Path) -> dict[str, object]:
    """Two agents on a machine, which ends soon when it has none."""
    return {
        "backend": "ali",
        "image_id": IMAGE_ID,
        "instance_types": ["ecs.c7.large", "ecs.g7.large"],
        "vswitches": [vswitch_of(zone) for zone in ZONES],
        "security_groups": [GROUP],
        "key_pair": {"import": True},
        "charge": {"spot_strategy": "SpotAsPriceGo", "on_no_stock": "on-demand"},
        "agents_per_host": 2,
        "ssh": {"user": "root", "private_key_file": str(root / SSH_KEY)},
        "init": {"script": init_script(IMAGE).replace("$", "$$")},
        "host": {"idle_timeout": "5s"},
    }
