"""One text of the database as a whole, for a part that knows nothing of databases."""

from dataclasses import dataclass

from broker.store.engine import Database


@dataclass(frozen=True, slots=True)
class KeptText:
    """What stands under a key of the table `meta`. Raises `StoreUnavailable`."""

    database: Database
    key: str

    async def recall(self) -> str | None:
        """The text; None if there never was one."""
        return await self.database.recall(self.key)

    async def remember(self, text: str) -> None:
        """Takes the place of the former one."""
        await self.database.remember(self.key, text)
