"""The configuration of a training run: groups of options, checked together and saved as JSON with every checkpoint.

::

    TrainConfig(data=Data("rec"), view=TrainCrop(480), optim=Optimization(lr=0.01), machine=Machine("torch"))
    TrainConfig.of(data="rec", crop_size=480, lr=0.01, engine="torch")       the same, by flag names

The commands take their flags from this module, so it imports nothing heavy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from mhpdata.errors import OptionError
from mhpdata.fields import parse_json
from mhpdata.labels import IGNORE
from mhpdata.settings.choosing import Choose
from mhpdata.settings.mixing import Mix
from mhpdata.settings.rules import Checked, Option, check_kind, options_of
from mhpdata.settings.views import BACKGROUND, TrainCrop
from mhpdata.wording import counted, error_in_words
from mhpmodels.conflicts import (
    OF_GLUONCV,
    OF_HEADS,
    OF_PERSONS,
    TORCH_ONLY,
    check_backbone,
    check_engine,
    check_old_recipe,
    check_own_loss,
    check_used,
)
from mhpmodels.models import MODELS
from mhpmodels.recipe import Data, Loss, Machine, Network, Optimization, Run, Schedule

MULTIPLE = {name: model.multiple for name, model in MODELS.items()}
"""The training crop must be a multiple of this, by model."""
SUFFIXES = {"mxnet": ".params", "torch": ".pt"}
"""Suffix of weight files, by engine."""
PERSONS = "persons"
"""Name of the heads that tell persons apart among a network's children, and of their output in ONNX files."""

GROUPS: dict[str, type[Checked]] = {
    "data": Data,
    "choose": Choose,
    "mix": Mix,
    "view": TrainCrop,
    "network": Network,
    "loss": Loss,
    "optim": Optimization,
    "schedule": Schedule,
    "machine": Machine,
    "run": Run,
}
"""The groups of a config, in the order of its fields."""
OPTIONS: dict[str, tuple[str, str, Option, Any]] = {
    about.flag: (group, name, about, default)
    for group, kind in GROUPS.items()
    for name, (about, default) in options_of(kind).items()
}
"""All options of a run: {flag: (group, field, description of the field, default)}."""


@dataclass(frozen=True)
class TrainConfig:
    """All settings of a training run: ten groups, each a frozen class that validates its own values.

    ``run.old_recipe`` replaces the crops by those of the GluonCV recipe (``TrainCrop.as_gluoncv``).

    Args:
        data: Packed folders and splits.
        choose: Selection of images.
        mix: Weights and labels of several folders.
        view: Random crops and augmentation.
        network: Network, backbone and classes.
        loss: Weights of classes and outputs.
        optim: Batch size, optimiser and learning rate.
        schedule: Number of epochs, and how the learning rate changes.
        machine: Framework, devices and threads.
        run: Seed, log, checkpoints and stopping.

    Raises:
        OptionError: a value is invalid, or values of several groups conflict. The error names the flag.
    """

    data: Data = Data()
    choose: Choose = Choose()
    mix: Mix = Mix()
    view: TrainCrop = TrainCrop()
    network: Network = Network()
    loss: Loss = Loss()
    optim: Optimization = Optimization()
    schedule: Schedule = Schedule()
    machine: Machine = Machine()
    run: Run = Run()

    def __post_init__(self) -> None:
        for name, kind in GROUPS.items():
            check_kind(name, getattr(self, name), kind)
        if self.run.old_recipe:
            object.__setattr__(self, "view", self.view.as_gluoncv())
        self._check_data()
        self._check_sizes()
        check_old_recipe(self.run, self.network, self.loss, self.optim, self.schedule)
        check_engine(self.machine.engine, self.network, self.optim, {flag: self.value(flag) for flag in TORCH_ONLY})
        check_backbone(self.network)
        check_own_loss(self.network, self.loss)
        check_used(self.network, [flag for flag in (*OF_GLUONCV, *OF_HEADS) if self.value(flag) != OPTIONS[flag][3]])

    def _check_sizes(self) -> None:
        """Raise OptionError unless the batch fits the devices and the crop fits the network."""
        batch, contexts, model = self.optim.batch_size, self.machine.contexts, self.network.model
        if batch % contexts:
            found = f"{batch} images for {contexts} contexts (copies of the network)"
            remedy = f"Pass {_nearest(batch, contexts)}, so that every context gets the same number of images."
            raise OptionError("batch_size", found, "a multiple of the number of contexts", remedy)
        step = MULTIPLE.get(model, 1)
        if self.view.size % step:
            found = f"{self.view.size} with model {model}"
            remedy = f"Pass {_nearest(self.view.size, step)}."
            raise OptionError("crop_size", found, f"a multiple of {step}", remedy)
        if self.view.pad_label not in (BACKGROUND, IGNORE):
            remedy = f"Pass {IGNORE} to exclude padding from the loss, or {BACKGROUND} to count it as background."
            raise OptionError("pad_label", f"{self.view.pad_label}", f"{BACKGROUND} or {IGNORE}", remedy)

    def _check_data(self) -> None:
        """Raise OptionError unless class names and weights match the numbers of classes and folders."""
        names, classes = self.network.class_names, self.network.classes
        if names and len(names) != classes:
            found = f"{counted(len(names), 'name')} for {classes} classes"
            remedy = f"Pass {classes} class_names, or omit the argument to use the names in the data."
            raise OptionError("class_names", found, "one name per class", remedy)
        for name, values, count, each in (
            ("mix", self.mix.weights, len(self.data.folders), "packed folder"),
            ("class_weights", self.loss.class_weights, classes, "class"),
        ):
            if values is not None and len(values) != count:
                remedy = f"Pass {counted(count, 'number')} above 0, one per {each}, or omit the option."
                raise OptionError(
                    name, counted(len(values), "number"), f"a tuple of {counted(count, 'number')}", remedy
                )
        for name in ("names", "where", "limit"):
            if getattr(self.choose, name) is not None:
                remedy = "Omit it, and pack only the images that the run should use."
                raise OptionError(name, "not supported in a training run", "None", remedy)

    @property
    def suffix(self) -> str:
        """The suffix of the engine's weight files."""
        return SUFFIXES.get(self.machine.engine, ".params")

    @staticmethod
    def of(**values: Any) -> TrainConfig:
        """Return a config with these values, given by flag name (``crop_size=480, lr=0.01``).

        Raises:
            TypeError: there is no option with this name.
            OptionError: a value is invalid, or values conflict. The error names the flag.
        """
        return TrainConfig(**_groups(values, lambda group, given: GROUPS[group](**given)))

    def changed(self, **values: Any) -> TrainConfig:
        """Return a copy with some values replaced, named and checked as in ``of``.

        A new ``ngpus`` above 0 also resets ``contexts`` to follow it, as in ``of``; on the CPU, ``contexts`` stays
        as it is unless given. A network with queries finds persons in any case; another ``model`` after it has heads of
        persons only if ``persons`` is given.
        """
        if self.network.queries and values.get("model", self.network.model) != self.network.model:
            values = {"persons": False, **values}
        if values.get("backbone", self.network.backbone) != self.network.backbone:
            values = {"described": None, **values}  # read again from the other folder
        if values.get("ngpus"):
            values = {"contexts": 0, **values}
        return replace(self, **_groups(values, lambda group, given: replace(getattr(self, group), **given)))

    def value(self, flag: str) -> Any:
        """Return the value of an option, given its flag name."""
        group, name = OPTIONS[flag][:2]
        return getattr(getattr(self, group), name)

    def trains_persons(self, step: int, steps: int) -> bool:
        """Return whether a step, from 0 over the run, trains heads or queries of persons; ``steps`` are an epoch's."""
        if self.network.queries:
            return True
        return self.network.persons and step >= self.loss.persons_after * self.schedule.epochs * steps

    def check_continued(self, other: TrainConfig) -> None:
        """Raise OptionError unless a run that started with this config may resume with ``other``."""
        for flag, (_, _, about, _) in OPTIONS.items():
            if not about.free and other.value(flag) != self.value(flag):
                remedy = (
                    "Omit the option to keep the run's own value, or pass --weights instead of --resume to start a new "
                    "run from these weights."
                )
                expected = f"{self.value(flag)}, the value of the resumed run"
                raise OptionError(flag, f"{other.value(flag)}", expected, remedy)

    def to_json(self) -> str:
        """Return the config as JSON text: an object of groups, one value per line."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @staticmethod
    def from_json(text: str, place: str = "config") -> TrainConfig:
        """Return the config of a JSON text; options missing from it take their defaults.

        Args:
            text: output of ``to_json``, or the flat object written by mhp 0.1.
            place: name of the file, for error messages.

        Raises:
            OptionError: the text is not a config, or a value is invalid.
        """
        try:
            content = parse_json(text)
        except (ValueError, RecursionError) as error:
            raise OptionError(place, f"{_NO_CONFIG} ({error_in_words(error)})", _JSON, _rewrite(place)) from error
        if not isinstance(content, dict):
            raise OptionError(place, f"{_NO_CONFIG} (not a JSON object)", _JSON, _rewrite(place))
        values = _flat(content)
        unknown = sorted(set(values) - set(OPTIONS))
        if unknown:
            found = f"unknown fields: {', '.join(unknown)}"
            remedy = (
                f"Delete {' and '.join(unknown)} from the file if you added that yourself; if mhp train wrote the "
                "file, install the newer mhp that wrote it."
            )
            raise OptionError(place, found, "fields of mhpmodels.config.TrainConfig", remedy)
        if values.get("persons") is False:  # earlier runs may have these, without effect
            values = {flag: value for flag, value in values.items() if flag not in OF_PERSONS}
        try:
            return TrainConfig.of(**values)
        except OptionError as error:
            remedy = f"{error.remedy} Correct the file, or copy it again from the run."
            raise error.at(f"{place}, {error.place}", remedy) from error


_NO_CONFIG, _JSON = "not an mhp train configuration", "a JSON object as written by TrainConfig.to_json"
_MAKE = 'python -c "from mhpmodels.config import TrainConfig; print(TrainConfig().to_json())"'


def _groups(values: Mapping[str, Any], make: Callable[[str, dict[str, Any]], Checked]) -> dict[str, Any]:
    """Make each group that has values from its own; ``values`` are keyed by flag, and errors name the flag."""
    unknown = sorted(set(values) - set(OPTIONS))
    if unknown:
        raise TypeError(f"unknown training options: {', '.join(map(repr, unknown))}")
    groups: dict[str, Any] = {}
    for group in GROUPS:
        flags = {OPTIONS[flag][1]: flag for flag in values if OPTIONS[flag][0] == group}
        try:
            if flags:
                groups[group] = make(group, {name: values[flag] for name, flag in flags.items()})
        except OptionError as error:
            raise error.at(flags.get(error.place, error.place)) from error
    return groups


def _flat(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object's values by flag. 0.1 wrote a flat object, keyed by flag; later versions write groups."""
    if not any(isinstance(value, dict) for value in content.values()):
        return dict(content)
    flags = {(group, name): flag for flag, (group, name, _, _) in OPTIONS.items()}
    found: dict[str, Any] = {}
    for group, values in content.items():
        if group in GROUPS and isinstance(values, dict):
            found |= {flags.get((group, name), f"{group}.{name}"): value for name, value in values.items()}
        else:
            found[f"{group} (not a group)"] = values
    return found


def _rewrite(place: str) -> str:
    """Return the remedy for a text that is not a configuration."""
    return (
        f"Copy the 'config' object of a run's epoch_*.json into {place}, or start from the default settings, which "
        f"this command prints: {_MAKE}."
    )


def _nearest(value: int, step: int) -> str:
    """Return the multiples of ``step`` just below and above ``value``, as text."""
    below = value // step * step
    return f"{below} or {below + step}" if below else f"{step}"
