"""Take the known fields of a ``config.json`` of transformers, and check their values.

The rule: only the fields below reach transformers, so a folder cannot choose code to load, a kernel to download or a
quantisation; and all sizes have limits, so a folder cannot ask for memory that no real network needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mhpdata.errors import CheckpointError
from mhpdata.wording import either


class Size(NamedTuple):
    """A whole number in low..high, or with ``of`` a list of so many."""

    low: int
    high: int
    of: int = 0


class Rate(NamedTuple):
    """A number in low..high."""

    low: float = 0.0
    high: float = 1.0


_WIDTH, _DEPTH, _HEADS = Size(1, 4096, 4), Size(1, 64, 4), Size(1, 128, 4)
_ACTIVATION = ("gelu", "relu", "silu", "gelu_new", "gelu_pytorch_tanh")
Rule = Size | Rate | tuple[Any, ...]

FIELDS: dict[str, dict[str, Rule]] = {
    "segformer": {
        "hidden_sizes": _WIDTH,
        "depths": _DEPTH,
        "num_attention_heads": _HEADS,
        "sr_ratios": Size(1, 64, 4),
        "patch_sizes": Size(1, 31, 4),
        "strides": Size(1, 8, 4),
        "mlp_ratios": Size(1, 8, 4),
        "decoder_hidden_size": Size(1, 4096),
        "num_encoder_blocks": (4,),
        "num_channels": (3,),
        "hidden_act": _ACTIVATION,
        "drop_path_rate": Rate(),
        "hidden_dropout_prob": Rate(),
        "attention_probs_dropout_prob": Rate(),
        "layer_norm_eps": Rate(0.0, 0.1),
        "reshape_last_stage": (True,),
    },
    "swin": {
        "image_size": Size(1, 4096),
        "patch_size": (4,),
        "num_channels": (3,),
        "embed_dim": Size(1, 1024),
        "depths": _DEPTH,
        "num_heads": _HEADS,
        "window_size": Size(1, 64),
        "mlp_ratio": Rate(0.5, 8.0),
        "qkv_bias": (True, False),
        "hidden_dropout_prob": Rate(),
        "attention_probs_dropout_prob": Rate(),
        "drop_path_rate": Rate(),
        "hidden_act": _ACTIVATION,
        "use_absolute_embeddings": (False,),
        "layer_norm_eps": Rate(0.0, 0.1),
    },
    "convnextv2": {
        "num_channels": (3,),
        "patch_size": (4,),
        "num_stages": (4,),
        "hidden_sizes": _WIDTH,
        "depths": _DEPTH,
        "hidden_act": _ACTIVATION,
        "layer_norm_eps": Rate(0.0, 0.1),
        "drop_path_rate": Rate(),
    },
    "mask2former": {
        **dict.fromkeys(("feature_size", "mask_feature_size", "hidden_dim"), Size(1, 2048)),
        **dict.fromkeys(("encoder_feedforward_dim", "dim_feedforward"), Size(1, 8192)),
        "encoder_layers": Size(1, 64),
        "decoder_layers": Size(2, 64),
        "num_attention_heads": Size(1, 64),
        "num_queries": Size(1, 1024),
        "common_stride": (4,),
        "pre_norm": (True, False),
        "enforce_input_projection": (True, False),
        "activation_function": _ACTIVATION,
    },
}
"""{model_type: {field: rule}}: a size, a rate, or the values that it may have."""
MAX_WEIGHTS = 2**31
"""Upper limit of an estimate of the number of weights: 8 GB as float32."""


def take_fields(content: Mapping[str, Any], place: object, kinds: tuple[str, ...]) -> dict[str, Any]:
    """Return ``model_type`` and the known fields of a config.

    Args:
        content: the JSON object.
        place: path of the file, for error messages.
        kinds: values of ``model_type`` that the caller can use, keys of FIELDS.

    Raises:
        CheckpointError: the architecture is unknown, or a value is outside its limits.
    """
    kind = content.get("model_type")
    if not isinstance(kind, str) or kind not in kinds:
        remedy = "Pass the folder of such a model, or omit it."
        raise CheckpointError(place, f"model_type is {str(kind)[:80]!r}", either(kinds), remedy)
    taken: dict[str, Any] = {"model_type": kind}
    for field, rule in FIELDS[kind].items():
        if content.get(field) is not None:
            taken[field] = _take(content[field], rule, f"{place}, {field}")
    if "depths" in FIELDS[kind]:  # not Mask2Former, whose backbone has a config of its own
        check_weights(taken, place)
    return taken


def check_weights(fields: Mapping[str, Any], place: object) -> None:
    """Raise CheckpointError unless the fields describe a network of a sensible number of weights."""
    widths = fields.get("hidden_sizes") or [fields.get("embed_dim", 96) << stage for stage in range(4)]
    depths = fields.get("depths") or (2,) * 4
    reduced = fields.get("sr_ratios") or (1,) * 4
    ratio = max(fields.get("mlp_ratios") or [fields.get("mlp_ratio", 4)])
    weights = sum(
        depth * width**2 * (4 + 2 * ratio + reduction**2)
        for depth, width, reduction in zip(depths, widths, reduced, strict=True)
    )
    if weights > MAX_WEIGHTS:
        remedy = "Check the file; no published network of this kind is as large."
        raise CheckpointError(place, f"describes about {weights:.2g} weights", f"at most {MAX_WEIGHTS:.2g}", remedy)
    heads = fields.get("num_attention_heads") or fields.get("num_heads") or (1,) * 4
    for width, head in zip(widths, heads, strict=True):
        if width % head:
            remedy = "Copy the file again from its source."
            raise CheckpointError(place, f"{width} channels for {head} attention heads", "a multiple", remedy)


def _take(value: Any, rule: Rule, place: str) -> Any:
    """Return a value that follows its rule; raise CheckpointError for any other."""
    if isinstance(rule, Size) and rule.of:
        if not isinstance(value, list | tuple) or len(value) != rule.of:
            raise _wrong(value, f"a list of {rule.of} whole numbers", place)
        return [_take(one, rule._replace(of=0), place) for one in value]
    if isinstance(rule, Size):
        if type(value) is not int or not rule.low <= value <= rule.high:
            raise _wrong(value, f"a whole number from {rule.low} to {rule.high}", place)
    elif isinstance(rule, Rate):
        if type(value) not in (int, float) or not rule.low <= value <= rule.high:
            raise _wrong(value, f"a number from {rule.low:g} to {rule.high:g}", place)
    elif value not in rule or type(value) is not type(rule[0]):
        raise _wrong(value, either([str(one) for one in rule]), place)
    return value


def _wrong(value: Any, expected: str, place: str) -> CheckpointError:
    return CheckpointError(place, f"{str(value)[:80]}", expected, "Copy the file again from its source.")
