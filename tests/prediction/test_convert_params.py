"""mhp convert: what no .params file can hold is an error: networks that only torch has, and types of numbers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mhpdata.errors import CheckpointError
from mhpmodels.config import TrainConfig
from mhpmodels.prediction.convert import convert

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

from mhpmodels.engines.torch.weights import write_weights  # noqa: E402


def test_bfloat16_has_no_place_in_params(tmp_path):
    write_weights(tmp_path / "a.pt", {"w": torch.zeros(2, dtype=torch.bfloat16)})
    with pytest.raises(CheckpointError, match=r"w is torch\.bfloat16"):
        convert(tmp_path / "a.pt", tmp_path / "a.params")


def test_params_hold_no_network_of_torch_only(tmp_path):
    arrays = {"conv1.weight": torch.zeros(1), "persons.out.weight": torch.zeros(1)}
    write_weights(tmp_path / "heads.pt", arrays)
    with pytest.raises(CheckpointError, match=r"heads of persons, which no reader .*heads\.pt instead, or heads\.onnx"):
        convert(tmp_path / "heads.pt", tmp_path / "heads.params")
    assert not (tmp_path / "heads.params").exists()
    write_weights(tmp_path / "small.pt", {"layer4.0.depthwise.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="on efficientnet_lite0, which no reader"):
        convert(tmp_path / "small.pt", tmp_path / "small.params")
    write_weights(tmp_path / "run.pt", {"conv1.weight": torch.zeros(1)})
    (tmp_path / "run.json").touch()
    config = TrainConfig.of(engine="torch", model="segformer", backbone="mit_b0", contexts=0, batch_size=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "mhpmodels.files.checkpoint.read", lambda path: SimpleNamespace(config=config, files={}, provenance=())
        )
        with pytest.raises(CheckpointError, match=r"holds segformer, which no reader .*run\.pt instead\."):
            convert(tmp_path / "run.pt", tmp_path / "run.params")
