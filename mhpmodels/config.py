"""What a training run is made of: groups of options, checked together, saved as JSON beside every checkpoint.

::

    TrainConfig(data=Data("rec"), view=TrainCrop(480), optim=Optimization(lr=0.01), machine=Machine("torch"))
    TrainConfig.of(data="rec", crop_size=480, lr=0.01, engine="torch")       the same, by the names of the flags

Imports nothing heavy: the commands take their flags from here.
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
from mhpmodels.recipe import MODELS, Data, Loss, Machine, Network, Optimization, Run, Schedule

MULTIPLE = {"icnet": 16, "psp": 8}
"""Training crops are a multiple of this."""
SUFFIXES = {"mxnet": ".params", "torch": ".pt"}
"""Of files of weights, by engine."""
TORCH_ONLY = {"accumulate": 1, "ema": 0.0, "compile": False}
"""Options that other engines take at this value only."""

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
"""{flag: (group, field, what the field says of itself, its default)}: all options of a run."""


@dataclass(frozen=True)
class TrainConfig:
    """All that decides how a run goes: ten groups, each a frozen class that checks itself.

    With ``run.old_recipe`` the crops are those of GluonCV's recipe (``TrainCrop.as_gluoncv``).

    Raises:
        OptionError: a value is invalid, or values of several groups contradict each other. It names the flag.
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
        own = ":" in self.network.model
        for flag, value in {**TORCH_ONLY, **({"model": None} if own else {})}.items():
            if self.machine.engine != "torch" and self.value(flag) != value:
                found = f"{self.value(flag)} with engine {self.machine.engine}"
                instead = "leave this option out" if value is not None else f"the model {' or '.join(MODELS)}"
                remedy = f'Pass --engine torch (Python: engine="torch"), or {instead}.'
                raise OptionError(flag, found, "engine torch", remedy)

    def _check_sizes(self) -> None:
        """Raise OptionError unless batch and crops fit devices and network."""
        batch, contexts, model = self.optim.batch_size, self.machine.contexts, self.network.model
        if batch % contexts:
            found = f"{batch} images for {contexts} contexts (copies of the network)"
            remedy = f"Pass {_nearest(batch, contexts)}, so that each context has as many images."
            raise OptionError("batch_size", found, "a multiple of the contexts", remedy)
        step = MULTIPLE.get(model, 1)
        if self.view.size % step:
            found = f"{self.view.size} with model {model}"
            remedy = f"Pass {_nearest(self.view.size, step)}."
            raise OptionError("crop_size", found, f"a multiple of {step}", remedy)
        if self.view.pad_label not in (BACKGROUND, IGNORE):
            remedy = f"Pass {IGNORE} to leave the padding out of the loss, {BACKGROUND} to count it as background."
            raise OptionError("pad_label", f"{self.view.pad_label}", f"{BACKGROUND} or {IGNORE}", remedy)

    def _check_data(self) -> None:
        """Raise OptionError unless the options that name classes, folders and their weights go together."""
        names, classes = self.network.class_names, self.network.classes
        if names and len(names) != classes:
            found = f"{len(names)} for {classes} classes"
            remedy = f"Pass {classes} class_names, or leave the argument out for the names that the data have."
            raise OptionError("class_names", found, "a name for each class", remedy)
        for name, values, count, each in (
            ("mix", self.mix.weights, len(self.data.folders), "packed folder"),
            ("class_weights", self.loss.class_weights, classes, "class"),
        ):
            if values is not None and len(values) != count:
                remedy = f"Pass {counted(count, 'number')} above 0, one for each {each}, or leave the option out."
                raise OptionError(
                    name, counted(len(values), "number"), f"a tuple of {counted(count, 'number')}", remedy
                )
        for name in ("names", "where", "limit"):
            if getattr(self.choose, name) is not None:
                remedy = "Leave it out, and pack the images that the run is to see."
                raise OptionError(name, "given to a training run", "nothing (None)", remedy)

    @property
    def suffix(self) -> str:
        """Return the suffix of the engine's files of weights."""
        return SUFFIXES.get(self.machine.engine, ".params")

    @staticmethod
    def of(**values: Any) -> TrainConfig:
        """Return the config with these values, named as the command's flags are (``crop_size=480, lr=0.01``).

        Raises:
            TypeError: no option has this name.
            OptionError: as for the class; it names the flag.
        """
        return TrainConfig(**_groups(values, lambda group, given: GROUPS[group](**given)))

    def changed(self, **values: Any) -> TrainConfig:
        """Return this config with other values, named and checked as for ``of``.

        With another ``ngpus`` above 0 the contexts follow it, as for ``of``; on the CPU they stay as they are.
        """
        if values.get("ngpus"):
            values = {"contexts": 0, **values}
        return replace(self, **_groups(values, lambda group, given: replace(getattr(self, group), **given)))

    def value(self, flag: str) -> Any:
        """Return the value of an option by the name of its flag."""
        group, name = OPTIONS[flag][:2]
        return getattr(getattr(self, group), name)

    def check_continued(self, other: TrainConfig) -> None:
        """Raise OptionError unless a run that began with this config may continue with ``other``."""
        for flag, (_, _, about, _) in OPTIONS.items():
            if not about.free and other.value(flag) != self.value(flag):
                remedy = (
                    "Leave the option out: a resumed run keeps its own; to begin a new run with these weights, pass "
                    "--weights instead of --resume."
                )
                raise OptionError(flag, f"{other.value(flag)}", f"{self.value(flag)}, as the run began", remedy)

    def to_json(self) -> str:
        """Return it as text: an object of groups, one value per line."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @staticmethod
    def from_json(text: str, place: str = "config") -> TrainConfig:
        """Return the config of a JSON text; options that it does not name have their defaults.

        Args:
            text: what ``to_json`` gives, or the flat object that mhp 0.1 wrote.
            place: the file, for the error.

        Raises:
            OptionError: the text is no config, or has a value outside what a config takes.
        """
        try:
            content = parse_json(text)
        except (ValueError, RecursionError) as error:
            raise OptionError(place, f"{_NO_CONFIG} ({error_in_words(error)})", _JSON, _rewrite(place)) from error
        if not isinstance(content, dict):
            raise OptionError(place, f"{_NO_CONFIG} (no JSON object)", _JSON, _rewrite(place))
        values = _flat(content)
        unknown = sorted(set(values) - set(OPTIONS))
        if unknown:
            found = f"has fields that this mhp does not know: {', '.join(unknown)}"
            remedy = (
                f"If you wrote {' and '.join(unknown)} yourself, delete that from the file; if mhp-train wrote the "
                "file, it is of a newer mhp: install that one."
            )
            raise OptionError(place, found, "fields of mhpmodels.config.TrainConfig", remedy)
        try:
            return TrainConfig.of(**values)
        except OptionError as error:
            remedy = f"{error.remedy} Write that into the file, or copy the file again from where mhp-train wrote it."
            raise error.at(f"{place}, {error.place}", remedy) from error


_NO_CONFIG, _JSON = "is not a configuration of mhp-train", "a JSON object as TrainConfig.to_json gives"
_MAKE = 'python -c "from mhpmodels.config import TrainConfig; print(TrainConfig().to_json())"'


def _groups(values: Mapping[str, Any], make: Callable[[str, dict[str, Any]], Checked]) -> dict[str, Any]:
    """The groups that some values by flag are of, each made from its fields' values; errors name the flag."""
    unknown = sorted(set(values) - set(OPTIONS))
    if unknown:
        raise TypeError(f"no option of a run is named {', '.join(map(repr, unknown))}")
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
    """The values of a JSON object by flag: of one with groups, or of 0.1's flat one, whose keys are the flags."""
    if not any(isinstance(value, dict) for value in content.values()):
        return dict(content)
    flags = {(group, name): flag for flag, (group, name, _, _) in OPTIONS.items()}
    found: dict[str, Any] = {}
    for group, values in content.items():
        if group in GROUPS and isinstance(values, dict):
            found |= {flags.get((group, name), f"{group}.{name}"): value for name, value in values.items()}
        else:
            found[f"{group}, which is no group"] = values
    return found


def _rewrite(place: str) -> str:
    """What to do about a text that is no configuration."""
    return (
        f"To take a run's settings, write into {place} what one of its epoch_*.json has under 'config'; without a run, "
        f"begin with the usual settings, which this prints: {_MAKE}."
    )


def _nearest(value: int, step: int) -> str:
    """The multiples of ``step`` on both sides of ``value``."""
    below = value // step * step
    return f"{below} or {below + step}" if below else f"{step}"
