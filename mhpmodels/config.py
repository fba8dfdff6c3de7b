"""What a training run is made of: one frozen, checked dataclass, saved as JSON beside every checkpoint.

Names are those of GluonCV's training script, whose flags mhp-train takes. Imports nothing heavy: the command takes its
choices from here.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields

from mhpdata.errors import OptionError
from mhpdata.fields import parse_json
from mhpdata.options import CHECKS, PROTOCOLS, check_choice, check_range, in_words
from mhpdata.wording import counted, error_in_words

MODELS = ("icnet", "psp")
BACKBONES = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *("resnest50", "resnest101", "resnest200", "resnest269"),
)
DATASETS = ("mhp",)
OPTIMIZERS = ("sgd", "adam")
SAMPLES = ("all", "rare")
LEAKS = ("fail", "skip")
"""As for ``mhpdata.Loader``, which imports too much for a command's help."""
SCHEDULES = ("poly", "constant")
DTYPES = ("float32", "float16", "bfloat16")
MULTIPLE = {"icnet": 16, "psp": 8}
"""Training crops are a multiple of this."""
SUFFIXES = {"mxnet": ".params", "torch": ".pt"}
"""Of files of weights, by engine."""
TORCH_ONLY = {"accumulate": 1, "ema": 0.0, "compile": False}
"""Fields that other engines take at this value only."""
FREE = (
    "data",
    "also",
    "workers",
    "check",
    "ngpus",
    "contexts",
    "kvstore",
    "compile",
    "test_batch_size",
    "validate",
    "log_interval",
    "save_every",
    "max_skips",
)
"""Fields that a resumed run may change: where it runs and what it tells, not what it computes (devices sum in an order
of their own, so another number of them changes the last digits)."""
IGNORE, BACKGROUND = 255, 0


@dataclass(frozen=True)
class TrainConfig:
    """All that decides how a run goes.

    Attributes:
        model: of MODELS, or with engine torch one's own, as ``package.module:function``: see
            ``mhpmodels.networks.architecture``. backbone: of BACKBONES; not every engine and model has every one.
        classes: channels of the output, background included.
        aux: PSPNet's auxiliary head. dropout: share of the heads' activations, 0 for none.
        pretrained_base: the backbone's first weights: None (drawn from the seed), "store" (the framework's own
            download), or a file.
        syncbn: batch statistics over all contexts and ranks.

        class_names, flip_pairs: of the classes, and the (left, right) ones; empty: those of ``data``.

        data: the packed folder. dataset: of DATASETS. train_split, val_split: of that folder.
        also: more packed folders; their ``train_split`` is trained on, too.
        mix: shares of ``data`` and each of ``also`` in an epoch; None for each image once.
        remap: what labels become, for ``mhpdata.remap``: "common" or JSON; needed for folders of different classes.
        leaks: of LEAKS, images of a folder's val or test in another's ``train_split``.
        sample: of SAMPLES. class_weights: of each class in the loss, or None.
        val_protocol: "official" (all of val) or "gluoncv" (its 999).
        leak_free: without the train copies of val and test images, and the val copies of test images.
        base_size, crop_size: pixels, as for ``mhpdata.Loader``.
        swap_sides: a mirrored left arm is a right arm. pad_label: of the padding; 255 is not counted.
        flip_prob, blur_prob, gray_prob: of the augmentation, 0..1.

        batch_size: images a step, of all contexts and ranks together. test_batch_size: the same in validation.
        optimizer: of OPTIMIZERS. momentum: of SGD.
        lr: of the mean loss over the labelled pixels of the whole batch, for the backbone; new layers (heads) take
            head_rate times it.
        weight_decay: times the weight, added to the gradient; with no_wd not for biases and batch norms.
        schedule, warmup_epochs, power: see ``mhpmodels.training.schedule``. epochs: how many the run has.
        clip_grad: largest L2 norm of the whole gradient, or None.
        aux_weight: of PSPNet's auxiliary loss.
        branch_weights: of ICNet's losses at 1/4, 1/8 and 1/16 of the crop, in this order; the loss at full size weighs
            1 (GluonCV's ``ICNetLoss``).
        dtype: of DTYPES, of the forward and backward pass; weights stay float32.
        accumulate: parts that a rank's images are done in, one after the other, to take less memory; their gradients
            add up, and batch statistics are of a part.
        ema: share of the old weights in their running average, which validates and is saved; 0 for none.
        seed: of the weights, the order, the augmentation and the dropout.
        old_recipe: GluonCV's training as it acted: an effective rate of lr x contexts / images a rank, all outputs
            weigh 1, no left/right swap, padding counts as background.
        max_skips: so many steps in a row with a loss or gradient that is not finite end the run.

        engine: a name that ``mhpmodels.engines.engine`` knows.
        ngpus: of this process, with engine torch of all on this machine, one each; 0 for the CPU.
        contexts: copies of the network in this process, with engine torch processes on this machine; 0 for
            one a GPU, or one on the CPU, and then replaced by that.
        compile: the network, by torch.compile. kvstore: MXNet's.
        workers: threads of the loader, with engine torch of all processes on this machine; 0 for one a core.
        check: of CHECKS, when the loader compares a record's CRC-32.
        log_interval: steps between log lines.
        save_every: epochs between checkpoints that are kept whatever they score; 0 keeps the last and the best only.
        validate: score the val split after each epoch.

    Raises:
        OptionError: a value outside these.
    """

    model: str = "icnet"
    backbone: str = "resnet50"
    classes: int = 19
    aux: bool = False
    dropout: float = 0.1
    pretrained_base: str | None = None
    syncbn: bool = False
    class_names: tuple[str, ...] = ()
    flip_pairs: tuple[tuple[int, int], ...] = ()

    data: str = "rec"
    also: tuple[str, ...] = ()
    mix: tuple[float, ...] | None = None
    remap: str | None = None
    leaks: str = "fail"
    sample: str = "all"
    class_weights: tuple[float, ...] | None = None
    dataset: str = "mhp"
    train_split: str = "train"
    val_split: str = "val"
    val_protocol: str = "official"
    leak_free: bool = False
    base_size: int = 768
    crop_size: int = 768
    swap_sides: bool = True
    pad_label: int = IGNORE
    flip_prob: float = 0.5
    blur_prob: float = 0.5
    gray_prob: float = 0.0

    batch_size: int = 16
    test_batch_size: int = 16
    optimizer: str = "sgd"
    lr: float = 1e-3
    head_rate: float = 10.0
    momentum: float = 0.9
    weight_decay: float = 1e-4
    no_wd: bool = False
    schedule: str = "poly"
    warmup_epochs: float = 0
    power: float = 0.9
    epochs: int = 120
    clip_grad: float | None = None
    aux_weight: float = 0.5
    branch_weights: tuple[float, float, float] = (0.4, 0.4, 1.0)
    dtype: str = "float32"
    accumulate: int = 1
    ema: float = 0.0
    seed: int = 0
    old_recipe: bool = False
    max_skips: int = 10

    engine: str = "mxnet"
    ngpus: int = 0
    contexts: int = 0
    compile: bool = False
    kvstore: str = "device"
    workers: int = 0
    check: str = "first"
    log_interval: int = 1
    save_every: int = 0
    validate: bool = True

    def __post_init__(self) -> None:
        for name, kind in _KINDS.items():
            if not isinstance(getattr(self, name), kind):
                expected = "True or False" if kind is bool else "text"
                remedy = "Pass True or False, without quotes." if kind is bool else "Pass the text in quotes."
                raise OptionError(name, in_words(getattr(self, name)), expected, remedy)
        own = ":" in self.model
        if not own and self.model not in MODELS:
            remedy = "Pass one of these words, or a network of your own as package.module:function with --engine torch."
            raise OptionError("model", repr(self.model), " or ".join(MODELS), remedy)
        for name, choices in _CHOICES.items():
            check_choice(name, getattr(self, name), choices)
        for name, (low, high) in _WHOLE.items():
            check_range(name, getattr(self, name), low, high)
        for name, (least, most) in _NUMBERS.items():
            _check_number(name, getattr(self, name), least, most)
        if not isinstance(self.pretrained_base, str | None):
            remedy = "Pass 'store' for GluonCV's weights, the path of a .params file as text, or None for random ones."
            raise OptionError("pretrained_base", in_words(self.pretrained_base), "'store', or a file's path", remedy)
        if self.clip_grad is not None:
            _check_number("clip_grad", self.clip_grad, 1e-12, math.inf)
        if not isinstance(self.branch_weights, tuple) or len(self.branch_weights) != 3:
            remedy = "Pass three numbers of 0 or more, such as (0.4, 0.4, 1.0)."
            raise OptionError("branch_weights", in_words(self.branch_weights), "a tuple of three numbers", remedy)
        for weight in self.branch_weights:
            _check_number("branch_weights", weight, 0, math.inf)
        self._check_data()
        if not self.contexts:
            object.__setattr__(self, "contexts", max(1, self.ngpus))
        if self.ngpus not in (0, self.contexts):
            found, expected = f"{self.contexts} with ngpus {self.ngpus}", f"{self.ngpus}, one for each GPU, or 0"
            raise OptionError("contexts", found, expected, f"Pass {self.ngpus}, or 0, which means the same.")
        if self.batch_size % self.contexts:
            found = f"{self.batch_size} images for {self.contexts} contexts (copies of the network)"
            remedy = f"Pass {_nearest(self.batch_size, self.contexts)}, so that each context has as many images."
            raise OptionError("batch_size", found, "a multiple of the contexts", remedy)
        if self.crop_size % MULTIPLE.get(self.model, 1):
            found = f"{self.crop_size} with model {self.model}"
            step = MULTIPLE[self.model]
            raise OptionError("crop_size", found, f"a multiple of {step}", f"Pass {_nearest(self.crop_size, step)}.")
        for name, value in {**TORCH_ONLY, **({"model": None} if own else {})}.items():
            if self.engine != "torch" and getattr(self, name) != value:
                found = f"{getattr(self, name)} with engine {self.engine}"
                instead = "leave this option out" if value is not None else f"the model {' or '.join(MODELS)}"
                remedy = f'Pass --engine torch (Python: engine="torch"), or {instead}.'
                raise OptionError(name, found, "engine torch", remedy)
        if self.old_recipe:
            object.__setattr__(self, "swap_sides", False)
            object.__setattr__(self, "pad_label", BACKGROUND)

    def _check_data(self) -> None:
        """Raises OptionError unless the fields that name classes, folders and their weights go together."""
        if self.class_names and len(self.class_names) != self.classes:
            found = f"{len(self.class_names)} for {self.classes} classes"
            remedy = f"Pass {self.classes} class_names, or leave the argument out for the names that the data have."
            raise OptionError("class_names", found, "a name for each class", remedy)
        folders = 1 + len(self.also)
        for name, values, count, each in (
            ("mix", self.mix, folders, "packed folder"),
            ("class_weights", self.class_weights, self.classes, "class"),
        ):
            if values is None:
                continue
            if not isinstance(values, tuple) or len(values) != count:
                found = counted(len(values), "number") if isinstance(values, tuple) else in_words(values)
                remedy = f"Pass {counted(count, 'number')} above 0, one for each {each}, or leave the option out."
                raise OptionError(name, found, f"a tuple of {counted(count, 'number')}", remedy)
            for value in values:
                _check_number(name, value, 1e-12, math.inf)

    @property
    def suffix(self) -> str:
        """Of the engine's files of weights."""
        return SUFFIXES.get(self.engine, ".params")

    def check_continued(self, other: TrainConfig) -> None:
        """Raises OptionError unless a run that began with this config may go on with ``other``."""
        for name, value in vars(self).items():
            if name not in FREE and getattr(other, name) != value:
                remedy = (
                    "Leave the option out: a resumed run keeps its own; to begin a new run with these weights, pass "
                    "--weights instead of --resume."
                )
                raise OptionError(name, f"{getattr(other, name)}", f"{value}, as the run began", remedy)

    def to_json(self) -> str:
        """As text, one field a line."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @staticmethod
    def from_json(text: str, place: str = "config") -> TrainConfig:
        """The config that ``to_json`` wrote; a field that an older mhp did not know has its default.

        Args:
            text: JSON.
            place: the file, for the error.

        Raises:
            OptionError: not such a text, or a value outside what a config takes.
        """
        try:
            content = parse_json(text)
            unknown = sorted(set(content) - {field.name for field in fields(TrainConfig)})
        except (ValueError, TypeError, RecursionError) as error:
            raise OptionError(place, f"{_NO_CONFIG} ({error_in_words(error)})", _JSON, _rewrite(place)) from error
        if not isinstance(content, dict):
            raise OptionError(place, f"{_NO_CONFIG} (no JSON object)", _JSON, _rewrite(place))
        if unknown:
            found = f"has fields that this mhp does not know: {', '.join(unknown)}"
            remedy = (
                f"If you wrote {' and '.join(unknown)} yourself, delete that from the file; if mhp-train wrote the "
                "file, it is of a newer mhp: install that one."
            )
            raise OptionError(place, found, "fields of mhpmodels.config.TrainConfig", remedy)
        for name, value in content.items():
            if isinstance(value, list):
                content[name] = tuple(tuple(one) if isinstance(one, list) else one for one in value)
        try:
            return TrainConfig(**content)
        except OptionError as error:
            remedy = f"{error.remedy} Write that into the file, or copy the file again from where mhp-train wrote it."
            raise error.at(f"{place}, {error.place}", remedy) from error


_NO_CONFIG, _JSON = "is not a configuration of mhp-train", "a JSON object as TrainConfig.to_json gives"
_MAKE = 'python -c "from mhpmodels.config import TrainConfig; print(TrainConfig().to_json())"'
_KINDS = {
    field.name: {"bool": bool, "str": str}[str(field.type)]
    for field in fields(TrainConfig)
    if field.type in ("bool", "str")
}
_CHOICES: dict[str, tuple[object, ...]] = {
    "backbone": BACKBONES,
    "dataset": DATASETS,
    "val_protocol": PROTOCOLS,
    "pad_label": (BACKGROUND, IGNORE),
    "leaks": LEAKS,
    "sample": SAMPLES,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "dtype": DTYPES,
    "check": CHECKS,
}
_WHOLE = {
    "classes": (2, 255),
    "base_size": (1, 32767),
    "crop_size": (1, 32767),
    "batch_size": (1, 65536),
    "test_batch_size": (1, 65536),
    "accumulate": (1, 65536),
    "epochs": (1, 1_000_000),
    "seed": (0, 2**31 - 1),
    "max_skips": (1, 1_000_000),
    "ngpus": (0, 4096),
    "contexts": (0, 4096),
    "workers": (0, 4096),
    "log_interval": (1, 1_000_000),
    "save_every": (0, 1_000_000),
}
_NUMBERS = {
    "lr": (0.0, math.inf),
    "head_rate": (0.0, math.inf),
    "momentum": (0.0, 1.0),
    "weight_decay": (0.0, math.inf),
    "warmup_epochs": (0.0, math.inf),
    "power": (0.0, math.inf),
    "aux_weight": (0.0, math.inf),
    "dropout": (0.0, 1.0),
    "ema": (0.0, 1.0),
    "flip_prob": (0.0, 1.0),
    "blur_prob": (0.0, 1.0),
    "gray_prob": (0.0, 1.0),
}


def _rewrite(place: str) -> str:
    """What to do about a text that is no configuration."""
    return (
        f"To take a run's settings, write into {place} what one of its epoch_*.json has under 'config'; without a run, "
        f"begin with the usual settings, which this prints: {_MAKE}."
    )


def _check_number(name: str, value: object, low: float, high: float) -> None:
    """Raises OptionError unless ``value`` is a finite number in low..high."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not low <= float(value) <= high:  # type: ignore[arg-type]
        above = "above 0" if low else "of 0 or more"
        finite = "finite " if isinstance(value, float) and not math.isfinite(value) else ""
        expected = f"a {finite}number {above if math.isinf(high) else f'from {low:g} to {high:g}'}"
        usual = getattr(TrainConfig, name, None)
        example = f", such as {usual:g}" if isinstance(usual, float) and usual else ""
        quotes = ", without quotes" if isinstance(value, str) else ""
        raise OptionError(name, in_words(value), expected, f"Pass {expected}{example}{quotes}.")


def _nearest(value: int, step: int) -> str:
    """The multiples of ``step`` on both sides of ``value``."""
    below = value // step * step
    return f"{below} or {below + step}" if below else f"{step}"
