"""What a pool says of its network and its types, and what it leaves out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from broker.backends.alibaba_ecs.asking import Ask, pages
from broker.backends.alibaba_ecs.network_stock import USUAL_CPU, USUAL_MEMORY_MIB, Wanted
from broker.domain.pool import Pool

COMPLETED: Final = ("vswitches", "security_groups", "instance_types")
"""The keys of a pool's options that `Network.complete` fills, where they are empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A pool's options as far as they matter here."""

    pool: str
    vswitches: tuple[str, ...]
    security_groups: tuple[str, ...]
    instance_types: tuple[str, ...]
    zones: tuple[str, ...]
    cpu: float
    memory_mib: int
    image_id: str
    spot_strategy: str
    disk_category: str
    over_ssh: bool
    ssh_port: int
    jump_host: str
    by_public: bool

    @classmethod
    def of(cls, pool: Pool) -> "Wish":
        """Reads `pool.options`."""
        said: Mapping[str, Any] = pool.options
        ssh, charge = said.get("ssh") or {}, said.get("charge") or {}
        size = said.get("host_size") or {}
        return cls(
            pool=str(pool.name),
            vswitches=tuple(said.get("vswitches") or ()),
            security_groups=tuple(said.get("security_groups") or ()),
            instance_types=tuple(said.get("instance_types") or ()),
            zones=tuple(said.get("zones") or ()),
            cpu=float(size.get("cpu") or USUAL_CPU),
            memory_mib=int(size.get("memory") or USUAL_MEMORY_MIB),
            image_id=str(said.get("image_id") or ""),
            spot_strategy=str(charge.get("spot_strategy") or "NoSpot"),
            disk_category=str((said.get("system_disk") or {}).get("category") or ""),
            over_ssh=said.get("start_by") != "cloud-assistant" and said.get("os") != "windows",
            ssh_port=int(ssh.get("port") or 22),
            jump_host=str(ssh.get("jump_host") or ""),
            by_public=said.get("connect_by") == "public",
        )

    async def wanted(self, ask: Ask) -> Wanted:
        """What its hosts must be: their processors are those of the image."""
        image = await pages(ask, "ecs:DescribeImages", {"ImageId": self.image_id}) if self.image_id else []
        arm = bool(image) and image[0].get("Architecture") == "arm64"
        return Wanted(
            cpu=self.cpu,
            memory_mib=self.memory_mib,
            types=self.instance_types,
            zones=self.zones,
            spot_strategy=self.spot_strategy,
            architecture="ARM" if arm else "X86",
            disk_category=self.disk_category,
        )
