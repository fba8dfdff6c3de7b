"""Engines that the tests of torch's engine open and close."""

import pytest


@pytest.fixture
def opened():
    """Return a function that opens the engine of a config; close them at the end."""
    from mhpmodels.engines.engine import open_engine

    engines = []

    def open_one(config):
        engines.append(open_engine(config))
        return engines[-1]

    yield open_one
    for engine in engines:
        engine.close()
