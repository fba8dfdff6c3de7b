"""Opening an engine: what is said if its libraries are not installed."""

from __future__ import annotations

import pytest

from mhpdata.errors import EngineError
from mhpmodels.config import TrainConfig
from mhpmodels.engines import engine


@pytest.mark.parametrize("name,other", [("torch", "mxnet"), ("mxnet", "torch")])
def test_without_any_engine_the_error_names_the_extras_of_both(name, other, monkeypatch):
    monkeypatch.setattr(engine, "find_spec", lambda module: None)
    with pytest.raises(EngineError) as caught:
        engine.open_engine(TrainConfig.of(engine=name))
    assert f'run: pip install ".[{name}]"; or install ".[{other}]" and pass --engine {other}.' in str(caught.value)
    monkeypatch.setattr(engine, "installed", lambda: (other,))
    with pytest.raises(EngineError, match=f"or pass --engine {other}, which is installed"):
        engine.open_engine(TrainConfig.of(engine=name))
