"""What the commands for Alibaba Cloud have in common: which backend of which config is meant."""

from typing import TYPE_CHECKING

from broker.cli.config import default_file
from broker.cli.exits import NO_SUCH_THING, CliError

if TYPE_CHECKING:
    from broker.config.settings import Config

TYPE = "alibaba-ecs"


def chosen_backend(file: str | None, name: str | None) -> "tuple[Config, str]":
    """The config, and the name of its backend of that name, or of the only one of type alibaba-ecs.

    CliError names those that there are.
    """
    from broker.config.load import load

    config = load(file or default_file())
    known = [str(one) for one, backend in config.definitions.backends.items() if backend.type == TYPE]
    if name is None and len(known) == 1:
        name = known[0]
    if name is None:
        wrong = f"the config has {len(known)} backends of type {TYPE}" if known else f"no backend of type {TYPE}"
        raise CliError(NO_SUCH_THING, wrong, f"choose one with --backend: {', '.join(known)}" if known else "add one")
    if name not in known:
        raise CliError(
            NO_SUCH_THING, f"no backend '{name}' of type {TYPE} in the config", f"known: {', '.join(known) or 'none'}"
        )
    return config, name
