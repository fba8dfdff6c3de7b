"""Files of torch's weights: only tensors are read, wrappers' prefixes removed; a network takes all or nothing."""

from __future__ import annotations

import pytest

from mhpdata.errors import CheckpointError
from mhpmodels.files.params import read_params
from mhpmodels.prediction.convert import convert

torch = pytest.importorskip("torch", reason="torch is not installed here; environment A has it")

from mhpmodels.engines.torch.weights import fit, own_names, read_weights, write_weights  # noqa: E402


class Evil:
    def __reduce__(self):
        return print, ("unpickled",)


@pytest.mark.parametrize(
    "content", [[torch.zeros(1)], {"a": 1}, {1: torch.zeros(1)}, {"a": torch.ones(2).to_sparse()}, 3, Evil()]
)
def test_a_file_of_torchs_that_holds_no_weights(content, tmp_path, capsys):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(CheckpointError):
        read_weights(tmp_path / "a.pt")
    assert "unpickled" not in capsys.readouterr().out


def wrapped(tensors, prefix):
    return {prefix + name: tensor for name, tensor in tensors.items()}


def plain_network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))


def averaged():
    return torch.optim.swa_utils.AveragedModel(plain_network()).state_dict()


WEIGHTS = plain_network().state_dict()
WRAPPED = {
    "DDP": wrapped(WEIGHTS, "module."),
    "compiled": wrapped(WEIGHTS, "_orig_mod."),
    "compiled DDP": wrapped(WEIGHTS, "_orig_mod.module."),
    "DDP of a compiled one": wrapped(WEIGHTS, "module._orig_mod."),
    "an average": averaged(),
    "beside an epoch": {"epoch": 3, "state_dict": WEIGHTS, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}},
    "the tutorial's": {"model_state_dict": WEIGHTS, "loss": 0.5},
    "all of it": {"state_dict": wrapped(WEIGHTS, "module."), "arch": "icnet"},
}


@pytest.mark.parametrize("form", WRAPPED)
def test_weights_of_a_wrapped_network_and_beside_other_things(form, tmp_path):
    torch.save(WRAPPED[form], tmp_path / "a.pt")
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    fit(network, read_weights(tmp_path / "a.pt"), tmp_path / "a.pt")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, WEIGHTS[name]), name
    convert(tmp_path / "a.pt", tmp_path / "b.params")
    assert list(read_params(tmp_path / "b.params")) == [
        "0.weight", "0.bias", "1.gamma", "1.beta", "1.running_mean", "1.running_var",
    ]  # fmt: skip


def test_a_network_whose_own_names_begin_so_and_names_of_which_some_do():
    own = torch.nn.ModuleDict({"module": plain_network()})
    tensors = {name: tensor + 1 for name, tensor in own.state_dict().items()}
    fit(own, tensors, "a.pt")
    assert torch.equal(own.state_dict()["module.0.bias"], WEIGHTS["0.bias"] + 1)
    mixed = {**wrapped(WEIGHTS, "module."), "0.weight": WEIGHTS["0.weight"]}
    with pytest.raises(CheckpointError, match=r"0\.bias is missing; .* more"):
        fit(plain_network(), mixed, "a.pt")
    assert own_names({}) == {} and list(own_names({"n_averaged": WEIGHTS["0.bias"]})) == ["n_averaged"]


@pytest.mark.parametrize("content", [{"state_dict": {"a": 1}}, {"state_dict": {1: torch.zeros(1)}}, {"state_dict": 3}])
def test_a_state_dict_without_weights(content, tmp_path):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=r"a\.pt"):
        read_weights(tmp_path / "a.pt")


def test_weights_are_written_without_the_rest_of_their_memory(tmp_path):
    write_weights(tmp_path / "a.pt", {"w": torch.zeros(1_000_000)[:2]})
    assert (tmp_path / "a.pt").stat().st_size < 10_000


def test_fit_takes_all_or_nothing():
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    whole = {name: tensor + 1 for name, tensor in before.items() if "num_batches" not in name}
    missing = {name: tensor for name, tensor in whole.items() if name != "0.bias"}
    for tensors, found in [
        (missing, r"0\.bias is missing"),
        ({**whole, "2.weight": torch.zeros(1)}, r"2\.weight is not in this network"),
        ({**whole, "0.weight": torch.zeros(3, 3)}, r"0\.weight is \(3, 3\), not \(3, 2\)"),
        ({}, "and 3 more"),
        ({**whole, "1.num_batches_tracked": torch.zeros(2, dtype=int)}, r"1\.num_batches_tracked is \(2,\), not \(\)"),
        (
            {**whole, "1.weight": torch.ones(3).to_sparse()},
            r"1\.weight is a tensor of torch\.float32, torch\.sparse_coo",
        ),
        ({**whole, "1.weight": torch.ones(3, device="meta")}, r"1\.weight is a tensor of .* on meta"),
        ({**whole, "1.weight": torch.ones(3, dtype=torch.complex64)}, r"1\.weight is a tensor of torch\.complex64"),
        ({**whole, "1.weight": torch.ones(3).to(torch.float8_e5m2)}, r"1\.weight is a tensor of torch\.float8"),
        (
            {**whole, "1.weight": torch.nested.nested_tensor([torch.ones(3)], layout=torch.jagged)},
            r"1\.weight is a nested tensor",
        ),
        ({**whole, "1.weight": 3}, r"1\.weight is an object of type int"),
    ]:
        with pytest.raises(CheckpointError, match=found):
            fit(network, tensors, "a.pt")
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])
    fit(network, whole, "a.pt")
    assert torch.equal(network[0].weight, before["0.weight"] + 1)
