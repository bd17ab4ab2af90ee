"""What the vendor sells: regions, zones, instance types with their prices, images.

Types and their sizes: https://www.alibabacloud.com/help/en/ecs/user-guide/overview-of-instance-families. Prices are the
fake's, in CNY an hour; spot capacity costs a fifth.
"""

from dataclasses import dataclass, field
from typing import Final

REGIONS: Final[dict[str, str]] = {
    "cn-hangzhou": "hij",
    "cn-beijing": "fgh",
    "cn-shanghai": "bfg",
    "cn-shenzhen": "def",
    "ap-southeast-1": "abc",
    "eu-central-1": "abc",
    "us-east-1": "ab",
}
"""The letters of the zones of each region."""


def zones_of(region: str) -> list[str]:
    """The ids of a region's zones: cn-hangzhou-h, eu-central-1a."""
    mark = "" if region[-1].isdigit() else "-"
    return [f"{region}{mark}{letter}" for letter in REGIONS.get(region, "abc")]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceType:
    """One type. `price` is an hour's on demand."""

    id: str
    cpus: int
    memory_gib: float
    price: float
    spot_price: float
    architecture: str = "X86"
    gpus: int = 0
    gpu: str = ""
    disks: int = 16

    @property
    def family(self) -> str:
        """ecs.g7 of ecs.g7.large."""
        return self.id.rpartition(".")[0]

    @property
    def is_burstable(self) -> bool:
        """Whether it earns credits."""
        return self.family.startswith(("ecs.t5", "ecs.t6"))


def _types() -> dict[str, InstanceType]:
    sizes = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32}
    families = {"c7": (2, 0.24), "g7": (4, 0.30), "r7": (8, 0.38), "g6": (4, 0.27), "c6": (2, 0.21), "g8y": (4, 0.24)}
    found: dict[str, InstanceType] = {}
    for family, (gib_a_cpu, price) in families.items():
        for size, cpus in sizes.items():
            found[f"ecs.{family}.{size}"] = InstanceType(
                id=f"ecs.{family}.{size}",
                cpus=cpus,
                memory_gib=float(cpus * gib_a_cpu),
                price=round(price * cpus, 3),
                spot_price=round(price * cpus / 5, 3),
                architecture="ARM" if family == "g8y" else "X86",
            )
    for one in (
        InstanceType(id="ecs.t6-c1m2.large", cpus=2, memory_gib=4.0, price=0.18, spot_price=0.05),
        InstanceType(
            id="ecs.gn7i-c8g1.2xlarge", cpus=8, memory_gib=30.0, price=9.5, spot_price=2.9, gpus=1, gpu="NVIDIA A10"
        ),
    ):
        found[one.id] = one
    return found


@dataclass(slots=True, kw_only=True)
class Image:
    """One image; `size_gib` is the least that a system disk must have."""

    id: str
    name: str = ""
    os_name: str = "Alibaba Cloud Linux  3.2104 LTS 64 bit"
    platform: str = "Aliyun"
    os_type: str = "linux"
    architecture: str = "x86_64"
    size_gib: int = 20
    owner: str = "system"
    status: str = "Available"
    family: str = ""
    cloud_init: bool = True
    created_at: str = "2026-01-01T00:00:00Z"
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def is_windows(self) -> bool:
        """Whether it runs Windows."""
        return self.os_type == "windows"


def _images() -> dict[str, Image]:
    images = (
        Image(id="aliyun_3_x64_20G_alibase_20260528.vhd", family="acs:alibaba_cloud_linux_3_2104_lts_x64"),
        Image(
            id="aliyun_3_arm64_20G_alibase_20260528.vhd",
            os_name="Alibaba Cloud Linux  3.2104 LTS 64 bit ARM Edition",
            architecture="arm64",
            family="acs:alibaba_cloud_linux_3_2104_lts_arm64",
        ),
        Image(
            id="debian_12_12_x64_20G_alibase_20260630.vhd",
            os_name="Debian  12.12 64 bit",
            platform="Debian",
            family="acs:debian_12_12_x64",
        ),
        Image(
            id="ubuntu_24_04_x64_20G_alibase_20260615.vhd",
            os_name="Ubuntu  24.04 64 bit",
            platform="Ubuntu",
            family="acs:ubuntu_24_04_x64",
        ),
        Image(
            id="win2022_21H2_x64_dtc_en-us_40G_alibase_20260610.vhd",
            os_name="Windows Server  2022 Data Center Edition 64bit English",
            platform="Windows Server 2022",
            os_type="windows",
            size_gib=40,
            family="acs:windows_server_2022_dtc_x64_en-us",
        ),
    )
    return {image.id: image for image in images}


@dataclass(slots=True)
class Catalog:
    """What may be ordered; the same in every region."""

    types: dict[str, InstanceType] = field(default_factory=_types)
    images: dict[str, Image] = field(default_factory=_images)
