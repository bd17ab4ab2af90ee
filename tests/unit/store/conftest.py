"""Every test of the store runs on both engines; a module about one of them has its own fixture of this name."""

import pytest


@pytest.fixture(autouse=True)
def on_each_engine(engine: str) -> str:
    return engine
