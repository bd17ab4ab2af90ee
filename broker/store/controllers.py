"""What is known of each controller across restarts: which of its boots has synced, and when it was last heard."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from broker.domain.ids import BootId, ControllerName
from broker.store.engine import Database
from broker.store.schema import controllers


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """`boot_id` is of the boot that was heard last, `synced_boot_id` of the last one that told its nodes."""

    controller: ControllerName
    boot_id: BootId
    synced_boot_id: BootId
    at: datetime


class Contacts:
    """The last contact with each controller, and the broker's own sign of life."""

    def __init__(self, database: Database) -> None:
        """Keeps nothing in memory."""
        self._database = database

    async def read(self) -> dict[ControllerName, Contact]:
        """All controllers that were ever heard."""
        async with self._database.reading() as connection:
            rows = await connection.execute(select(controllers))
            return {
                row.name: Contact(
                    controller=row.name, boot_id=row.boot_id, synced_boot_id=row.synced_boot_id, at=row.last_contact
                )
                for row in rows
            }

    async def write(self, contact: Contact) -> None:
        """Notes a contact."""

        async def work(connection: AsyncConnection) -> None:
            values = {"boot_id": contact.boot_id, "synced_boot_id": contact.synced_boot_id, "last_contact": contact.at}
            clause = controllers.c.name == contact.controller
            changed = await connection.execute(update(controllers).where(clause).values(**values))
            if not changed.rowcount:
                await connection.execute(insert(controllers).values(name=contact.controller, **values))

        await self._database.transaction(work)

    async def last_alive(self) -> datetime | None:
        """When the broker last noted that it runs; None for a new database."""
        value = await self._database.recall("alive_at")
        return datetime.fromisoformat(value) if value else None

    async def note_alive(self, now: datetime) -> None:
        """Notes that the broker runs now."""
        await self._database.remember("alive_at", now.isoformat())
