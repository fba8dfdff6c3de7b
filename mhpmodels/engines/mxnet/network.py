"""Build GluonCV's PSPNet and ICNet for all of its backbones and any image size.

GluonCV hard-codes three choices, which this module changes after GluonCV's constructor has run:

- the heads expect a backbone of 2,048 channels, so its narrow backbones (resnet18, resnet34) do not fit: their heads
  are built again from GluonCV's own layers;
- the graph has a fixed image size: ``set_size`` changes it;
- dropout in the heads is 0.1, and ResNeSt drops blocks of feature maps whose size fits 224 x 224 images only.

Parameters keep GluonCV's names, so its ``.params`` files load.
"""

from __future__ import annotations

import contextlib
import io
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mhpdata.errors import OptionError
from mhpdata.wording import either
from mhpmodels.engines.mxnet.backbone import CHANNELS, NAMES, load_backbone
from mhpmodels.engines.mxnet.libraries import mx
from mhpmodels.engines.mxnet.norm import SHIFT, norm_layer

if TYPE_CHECKING:
    from mhpmodels.config import TrainConfig

_PSPNET, _ICNET = (import_module(f"gluoncv.model_zoo.{name}") for name in ("pspnet", "icnet"))
_FCN = import_module("gluoncv.model_zoo.fcn")
_DROPBLOCK = import_module("gluoncv.nn.dropblock").DropBlock
HEADS = {"psp": ("head.", "auxlayer."), "icnet": ("conv_sub1.", "psp_head.", "head.", "conv_sub4.", "conv_sub2.")}
"""Prefixes of the parameters outside the backbone, by model; they train at ``head_rate`` times the learning rate."""


def build_network(config: TrainConfig, contexts: list[Any], training: bool) -> Any:
    """Build the network of ``config`` with its initial weights on ``contexts``, not hybridised.

    The seed determines the weights: the backbone follows He et al. 2015 (arXiv 1502.01852) or is pretrained; the heads
    are uniform in +-0.07, as in GluonCV.

    Args:
        config: model, backbone, classes, crop size and seed are used.
        contexts: MXNet contexts, one replica each.
        training: load the pretrained backbone, if the config names one.

    Raises:
        OptionError: the backbone is unknown.
        EngineError: the pretrained backbone cannot be downloaded.
    """
    if config.network.backbone not in CHANNELS:
        remedy = "Pass one of these names, such as resnet50."
        raise OptionError("backbone", repr(config.network.backbone), either(CHANNELS), remedy)
    norm = norm_layer(config.network.syncbn, len(contexts))
    build = _PSPNET.PSPNet if config.network.model == "psp" else _ICNET.ICNet
    options = {"aux": config.network.aux} if config.network.model == "psp" else {}
    with contextlib.redirect_stdout(io.StringIO()):  # PSPNet prints its crop size
        network = build(
            config.network.classes,
            backbone=config.network.backbone,
            crop_size=config.view.size,
            base_size=config.view.base_size,
            pretrained_base=False,
            norm_layer=norm,
            **options,
        )
    if CHANNELS[config.network.backbone] != CHANNELS["resnet50"]:
        _fit_heads(network, config, norm)
    network.apply(lambda block: _set_dropout(block, config.network.dropout))
    # Infer shapes before the first batch, because replicas that initialise at the same time deadlock.
    network.infer_shape(mx.nd.zeros((1, 3, config.view.size, config.view.size)))
    _draw(network, config, contexts)
    if config.network.pretrained_base is not None and training:
        load_backbone(named_parameters(network), config.network.backbone, config.network.pretrained_base)
    return network


def named_parameters(network: Any) -> dict[str, Any]:
    """Return the parameters by their names in GluonCV's ``.params`` files, in the files' order."""
    # MXNet has no public function for these names; save_parameters calls this one, in 1.6 and 1.9.
    named: dict[str, Any] = network._collect_params_with_prefix()
    return {name: parameter for name, parameter in named.items() if name.rpartition(".")[2] != SHIFT}


def set_size(network: Any, height: int, width: int) -> None:
    """Set the image size of the network, in pixels; a graph of another size must then be rebuilt (``hybridize``)."""
    psp = getattr(network, "psp_head", network.head).psp
    sizes = {network: 1, psp: 32 if hasattr(network, "psp_head") else 8}
    if hasattr(network, "psp_head"):
        sizes |= {network.head: 1, network.head.cff_12: 8, network.head.cff_24: 16}
    for block, stride in sizes.items():
        block._up_kwargs = {"height": height // stride, "width": width // stride}


def _set_dropout(block: Any, rate: float) -> None:
    if isinstance(block, mx.gluon.nn.Dropout):
        block._rate = rate
    elif isinstance(block, _DROPBLOCK):
        block.drop_prob = 0  # ResNeSt's blocks fit the feature maps of 224 x 224 images only


def _fit_heads(network: Any, config: TrainConfig, norm: Any) -> None:
    """Replace the layers that read the backbone's output by the same layers for fewer channels."""
    _, middle, late, last = CHANNELS[config.network.backbone]
    head = network.head if config.network.model == "psp" else network.psp_head
    size = head.psp._up_kwargs
    head.psp = _PSPNET._PyramidPooling(last, **size, norm_layer=norm, norm_kwargs=None)
    block = mx.gluon.nn.HybridSequential(prefix="")
    block.add(mx.gluon.nn.Conv2D(512, 3, padding=1, use_bias=False, in_channels=2 * last), *head.block[1:])
    head.block = block
    if config.network.model == "icnet":
        network.conv_sub2 = _ICNET.ConvBnRelu(middle, 256, 1, norm_layer=norm)
    elif config.network.aux:
        network.auxlayer = _FCN._FCNHead(late, config.network.classes, norm_layer=norm)


def _draw(network: Any, config: TrainConfig, contexts: list[Any]) -> None:
    """Draw the initial weights of all parameters, in a fixed order from one generator."""
    mx.random.seed(config.run.seed)
    he = mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2)
    for name, parameter in network._collect_params_with_prefix().items():
        convolution = name.startswith(NAMES) and len(parameter.shape) == 4
        default = he if convolution else mx.init.Uniform(0.07)
        parameter.initialize(default_init=default, ctx=contexts, force_reinit=True)
