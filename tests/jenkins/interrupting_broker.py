"""The command `agentbroker` with a cloud that takes instances back: a file named after an agent is its notice.

    python -m tests.jenkins.interrupting_broker serve --config …/broker.yaml

`interrupt(FOLDER, NAME, …)` writes the file, where FOLDER is that of broker.yaml. From then on the backend tells of the
notice; when the time is over it ends the instance, as a cloud does. Without the file nothing differs from the product.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from broker.app import Wiring, running_broker
from broker.cli import serve
from broker.cli.main import main
from broker.domain.ids import AgentId, InstanceRef
from broker.domain.instance import Instance, InstanceState, Interruption, LaunchKey, Listing
from broker.domain.offer import Offer
from broker.domain.pool import Pool
from broker.ports import Backend, LaunchSpec

MODULE: Final = "tests.jenkins.interrupting_broker"
"""For `Stack.broker_module`."""
WORDS: Final = "Your Spot instance was interrupted: two-minute notice"


def interrupt(folder: Path, agent: str, *, after_s: float = 120.0, words: str = WORDS) -> None:
    """Gives the instance of an agent its notice: it goes after so many seconds."""
    notices = folder / "notices"
    notices.mkdir(exist_ok=True)
    part = notices / f".{agent}"
    part.write_text(json.dumps({"at": time.time() + after_s, "words": words}))
    part.rename(notices / agent)


class InterruptedBackend:
    """A `ports.Backend` around another one: the same, and what the files say."""

    def __init__(self, inner: Backend, folder: Path) -> None:
        """`folder` is where the notices are, and where it keeps which agent has which name."""
        self._inner = inner
        self._notices = folder / "notices"
        self._names = folder / "notices" / ".names"
        self._names.mkdir(parents=True, exist_ok=True)

    async def offers(self, pool: Pool) -> Sequence[Offer]:
        """As it is."""
        return await self._inner.offers(pool)

    async def launch(self, spec: LaunchSpec) -> InstanceRef:
        """Notes the name."""
        (self._names / spec.key.agent_id).write_text(spec.name)
        return await self._inner.launch(spec)

    async def locate(self, key: LaunchKey) -> InstanceRef | None:
        """As it is."""
        return await self._inner.locate(key)

    async def describe(self, refs: Sequence[InstanceRef]) -> Mapping[InstanceRef, Instance]:
        """With the notices; ends those whose time is over."""
        found = dict(await self._inner.describe(refs))
        for ref, instance in found.items():
            notice = self._notice(AgentId(instance.agent_id))
            if notice is not None and instance.state is not InstanceState.STOPPED:
                if notice.at <= datetime.now(tz=UTC):
                    await self._inner.terminate(ref)
                found[ref] = replace(instance, interruption=notice)
        return found

    async def terminate(self, ref: InstanceRef) -> None:
        """As it is."""
        await self._inner.terminate(ref)

    async def list_owned(self) -> Listing:
        """As it is."""
        return await self._inner.list_owned()

    async def close(self) -> None:
        """As it is."""
        await self._inner.close()

    def _notice(self, agent_id: AgentId) -> Interruption | None:
        try:
            name = (self._names / agent_id).read_text()
            told = json.loads((self._notices / name).read_text())
        except FileNotFoundError:
            return None
        return Interruption(at=datetime.fromtimestamp(told["at"], tz=UTC), message=told["words"])


if __name__ == "__main__":
    place = Path(sys.argv[sys.argv.index("--config") + 1]).parent
    wiring = Wiring(around_backend=lambda backend: InterruptedBackend(backend, place))
    vars(serve)["running_broker"] = partial(running_broker, wiring=wiring)  # the one seam of the command
    main()
