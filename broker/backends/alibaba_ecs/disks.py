"""Existing disks that a host gets before anything is done on it: AttachDisk, beside the calls that make it."""

from typing import Final

from broker.backends.alibaba_ecs.asking import Ask, pages
from broker.backends.alibaba_ecs.options import PoolOptions
from broker.domain.host_order import HostPlace, Preparing
from broker.domain.ids import HostRef
from broker.domain.reason import Reason
from broker.errors import BackendRejected


class Disks:
    """Attaches what `data_disk_ids` names, each once; a disk that is another host's is an error."""

    def __init__(self, ask: Ask) -> None:
        """Nothing is attached yet, as far as is known."""
        self._ask = ask
        self._done: set[HostRef] = set()
        self._asked: set[tuple[HostRef, str]] = set()

    async def attach(self, place: HostPlace) -> Preparing | None:
        """None once all are there. BackendRejected says which disk cannot be."""
        wanted = PoolOptions.of(place.pool).data_disk_ids
        if not wanted or place.ref in self._done:
            return None
        missing = [disk for disk in wanted if not await self._is_there(place, disk)]
        for disk in missing:
            if (place.ref, disk) not in self._asked:
                await self._ask(
                    "ecs:AttachDisk",
                    {"InstanceId": place.ref, "DiskId": disk, "DeleteWithInstance": False},
                )
                self._asked.add((place.ref, disk))
        if missing:
            return Preparing(step=f"attaching {', '.join(missing)}")
        self._done.add(place.ref)
        self._asked -= {(place.ref, disk) for disk in wanted}
        return None

    async def _is_there(self, place: HostPlace, disk: str) -> bool:
        found = await pages(self._ask, "ecs:DescribeDisks", {"DiskIds": f'["{disk}"]'})
        key = f"pools.{place.pool.name}.data_disk_ids"
        if not found:
            raise BackendRejected("InvalidDiskId.NotFound", f"there is no disk {disk}; look at {key}", _WRONG)
        one = found[0]
        holders = {str(at.get("InstanceId")) for at in (one.get("Attachments") or {}).get("Attachment") or ()}
        holders |= {str(one.get("InstanceId") or "")} - {""}
        if place.ref in holders:
            return one.get("Status") == "In_use"
        if holders and one.get("MultiAttach") != "Enabled":
            where = ", ".join(sorted(holders))
            message = f"disk {disk} is attached to {where}; only a multi-attach disk can be shared, see {key}"
            raise BackendRejected("DiskInUse", message, _WRONG)
        return False


_WRONG: Final = Reason.INVALID_TEMPLATE
