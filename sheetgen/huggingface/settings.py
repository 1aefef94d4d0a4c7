"""config.json of a Hugging Face checkpoint → the fields of a family; one function for each kind of model.

Both the spellings of transformers 4 and 5 are read. What a family cannot express raises InputError with the field and
its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sheetgen.base.errors import InputError

Fields = dict[str, Any]

ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "relu2": "relu2",
}


@dataclass(frozen=True)
class Settings:
    """The fields of config.json that the model type knows; where one is absent, the default of its class."""

    file: Path
    values: Mapping[str, Any]
    defaults: Mapping[str, Any]

    def get(self, name: str) -> Any:
        """The value; None for null and for a field that the model type does not know."""
        return self.values.get(name, self.defaults[name]) if name in self.defaults else None

    def whole(self, name: str, null: int | None = None, low: int = 1, high: int = 10**7) -> int:
        """A whole number; `null` stands for null."""
        value = self.get(name)
        if value is None and null is not None:
            return null
        if type(value) is not int or not low <= value <= high:
            raise self.refuse(name, f"must be a whole number from {low} to {high:,}")
        return value

    def count(self, name: str, null: int | None = None) -> int:
        """How many layers, heads or experts; few enough to be listed."""
        return self.whole(name, null, high=10_000)

    def curve(self, name: str = "hidden_act") -> str:
        """An activation."""
        value = self.get(name)
        if not isinstance(value, str) or value not in ACTIVATIONS:
            raise self.refuse(name, f"is not known: {', '.join(ACTIVATIONS)} are")
        return ACTIVATIONS[value]

    def real(self, name: str, inside: Mapping[str, Any] | None = None) -> float:
        """A number, of config.json or `inside` an object of it."""
        value = self.get(name) if inside is None else inside.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refuse(name, "must be a number", value)
        return float(value)

    def flag(self, name: str) -> bool:
        """True or false; 0 and null are false, other numbers true."""
        value = self.get(name)
        if value is not None and not isinstance(value, bool | int):
            raise self.refuse(name, "must be true or false")
        return bool(value)

    def items(self, name: str) -> list[Any] | None:
        """A list, or None."""
        value = self.get(name)
        if value is not None and not isinstance(value, list):
            raise self.refuse(name, "must be a list")
        return value

    def only(self, name: str, *allowed: Any) -> None:
        """Refuse a field that has another value than those that the family can express."""
        if self.get(name) not in allowed:
            raise self.refuse(name, f"cannot be expressed: only {' or '.join(map(repr, allowed))} can")

    def refuse(self, name: str, why: str, value: Any = ...) -> InputError:
        """The error for a field."""
        shown = repr(self.get(name) if value is ... else value)
        return InputError(f"{self.file}: {name} {shown[:80]} {why}")


def decoder_fields(s: Settings) -> Fields:
    """What most decoders have in common."""
    width, heads = s.whole("hidden_size"), s.count("num_attention_heads")
    return {
        "d_model": width,
        "n_layers": s.count("num_hidden_layers"),
        "n_heads": heads,
        "n_kv_heads": s.count("num_key_value_heads", null=heads),
        "head_dim": s.whole("head_dim", null=width // heads),
        "d_ff": s.whole("intermediate_size"),
        "vocab_size": s.whole("vocab_size"),
        "norm_eps": s.real("rms_norm_eps"),
        "activation": s.curve(),
        "attention_bias": "all" if s.flag("attention_bias") else "none",
        "mlp_bias": s.flag("mlp_bias"),
        "tied": s.flag("tie_word_embeddings"),
        "window": s.whole("sliding_window", null=0),
        **rope_fields(s),
    }


def rope_fields(s: Settings) -> Fields:
    """RoPE, from `rope_parameters` (transformers 5) or from `rope_theta` and `rope_scaling` (4)."""
    name = "rope_scaling" if s.values.get("rope_scaling") else "rope_parameters"
    given = s.values.get(name) or {}
    if not isinstance(given, dict) or any(isinstance(value, dict) for value in given.values()):
        raise s.refuse(name, "cannot be expressed: all layers must share the same values", given)
    share = given.get("partial_rotary_factor", s.values.get("partial_rotary_factor"))
    if share not in (None, 1) and "partial_rotary_factor" not in s.defaults:
        raise s.refuse("partial_rotary_factor", "cannot be expressed: this model type turns whole heads", share)
    share = s.defaults.get("partial_rotary_factor", 1.0) if share is None else share
    given = {"rope_theta": s.get("rope_theta")} | given | {"partial_rotary_factor": share}
    found = {
        "rope_theta": s.real("rope_theta", given),
        "rotary_fraction": s.real("partial_rotary_factor", given),
    }
    kind = given.get("rope_type", given.get("type", "default"))
    if kind == "linear":
        found |= {"rope_scaling": kind, "rope_factor": s.real("factor", given)}
    elif kind == "llama3":
        original = given.get("original_max_position_embeddings", s.values.get("max_position_embeddings"))
        if type(original) is not int:
            raise s.refuse("original_max_position_embeddings", "must be a whole number", original)
        low, high = s.real("low_freq_factor", given), s.real("high_freq_factor", given)
        if high < low:
            raise s.refuse("high_freq_factor", f"is below low_freq_factor {low}", high)
        found |= {"rope_scaling": kind, "rope_factor": s.real("factor", given), "rope_original": original}
        found |= {"rope_low_freq": low, "rope_high_freq": high}
    elif kind != "default":
        raise s.refuse(f"{name}: rope_type", "cannot be expressed: default, linear or llama3 can", kind)
    return found


def gpt2_fields(s: Settings) -> Fields:
    """GPT-2 has names of its own."""
    s.only("scale_attn_weights", True)
    s.only("scale_attn_by_inverse_layer_idx", False, None)
    s.only("add_cross_attention", False, None)
    width, heads = s.whole("n_embd"), s.count("n_head")
    if width % heads:
        raise s.refuse("n_head", f"does not divide n_embd {width}")
    return {
        "d_model": width,
        "n_layers": s.count("n_layer"),
        "n_heads": heads,
        "n_kv_heads": heads,
        "head_dim": width // heads,
        "d_ff": s.whole("n_inner", null=4 * width),
        "vocab_size": s.whole("vocab_size"),
        "norm": "layer",
        "norm_eps": s.real("layer_norm_epsilon"),
        "activation": s.curve("activation_function"),
        "gated": False,
        "attention_bias": "all",
        "mlp_bias": True,
        "positions": "learned",
        "n_positions": s.whole("n_positions"),
        "tied": s.flag("tie_word_embeddings"),
    }


def gemma_fields(s: Settings) -> Fields:
    """Gemma: 1 + w, √d; the releases call their tanh form `gelu`, some in the newer field `hidden_activation` too."""
    s.only("use_bidirectional_attention", None, False)
    found = decoder_fields(s)
    tanh = {"gelu": "gelu_tanh"}
    found["activation"] = tanh.get(found["activation"], found["activation"])
    if s.get("hidden_activation") is not None:
        newer = s.curve("hidden_activation")
        if tanh.get(newer, newer) != found["activation"]:
            raise s.refuse("hidden_activation", f"contradicts hidden_act {s.get('hidden_act')!r}: keep one of them")
    return found | {"unit_offset": True, "embed_scale": True}


def nemotron_fields(s: Settings) -> Fields:
    """Nemotron: LayerNorm with 1 + w, a feed-forward network without a gate."""
    return decoder_fields(s) | {"norm": "layer", "unit_offset": True, "gated": False, "norm_eps": s.real("norm_eps")}


def qwen2_fields(s: Settings) -> Fields:
    """Qwen 2: biases on queries, keys and values; the last layers may have a window."""
    return decoder_fields(s) | qwen_window(s) | {"attention_bias": "qkv"}


def qwen3_fields(s: Settings) -> Fields:
    """Qwen 3: RMSNorm of queries and keys in each head."""
    return decoder_fields(s) | qwen_window(s) | {"qk_norm": "head"}


def qwen_window(s: Settings) -> Fields:
    """The window and the layer where it begins, from `layer_types` or `max_window_layers`."""
    layers = s.count("num_hidden_layers")
    size = s.whole("sliding_window", null=0) if s.flag("use_sliding_window") else 0
    first = s.whole("max_window_layers", low=0) if size else layers
    kinds = s.items("layer_types") or _kinds(layers, first)
    begin = kinds.index("sliding_attention") if "sliding_attention" in kinds else layers
    if kinds != _kinds(layers, begin):
        raise s.refuse(
            "layer_types", f"cannot be expressed: {layers} layers, full_attention then sliding_attention can"
        )
    if begin == layers:
        return {"window": 0}
    if not size:
        raise s.refuse("sliding_window", "is no window, but layer_types asks for one: set use_sliding_window too")
    return {"window": size, "window_from": begin}


def _kinds(layers: int, first: int) -> list[str]:
    return ["full_attention" if i < first else "sliding_attention" for i in range(layers)]


def olmo2_fields(s: Settings) -> Fields:
    """OLMo 2: norms after attention and feed-forward; RMSNorm over all queries, all keys."""
    return decoder_fields(s) | {"norm_place": "after", "qk_norm": "all"}


def mixtral_fields(s: Settings) -> Fields:
    """Mixtral: softmax over the chosen experts, on their output."""
    return decoder_fields(s) | {
        "n_experts": s.count("num_local_experts"),
        "top_k": s.count("num_experts_per_tok"),
        "gate": "softmax",
        "renormalise": True,
        "gate_on": "output",
    }


def llama4_fields(s: Settings) -> Fields:
    """Llama 4: which layers have RoPE and which have experts may be written as lists or as steps."""
    layers = s.count("num_hidden_layers")
    turned = s.items("no_rope_layers")  # 1 means RoPE, 0 means none
    if turned:
        nope_every = _every(s, "no_rope_layers", [i for i, rope in enumerate(turned[:layers]) if not rope], layers)
    else:
        nope_every = s.whole("no_rope_layer_interval")
    kinds = ["full_attention" if (i + 1) % nope_every == 0 else "chunked_attention" for i in range(layers)]
    if s.items("layer_types") not in (None, kinds):
        raise s.refuse("layer_types", "cannot be expressed: chunked_attention with RoPE, full_attention without can")
    experts = s.items("moe_layers")
    step = s.whole("interleave_moe_layer_step") if experts is None else _every(s, "moe_layers", experts, layers)
    return decoder_fields(s) | {
        "d_ff_dense": s.whole("intermediate_size_mlp"),
        "n_experts": s.count("num_local_experts"),
        "top_k": s.count("num_experts_per_tok"),
        "gate": "sigmoid",
        "renormalise": False,
        "gate_on": "input",
        "shared_expert": True,
        "moe_every": step,
        "nope_every": nope_every,
        "attention_chunk_size": s.whole("attention_chunk_size"),
        "temperature": s.flag("attn_temperature_tuning"),
        "attn_scale": s.real("attn_scale"),
        "floor_scale": s.whole("floor_scale"),
        "qk_norm": "unit" if s.flag("use_qk_norm") else "none",
        "rope_pairing": "interleaved",
    }


def _every(s: Settings, name: str, chosen: list[Any], layers: int) -> int:
    """The n of which the chosen layers are every n-th one; more than there are layers when none is."""
    for n in range(1, layers + 2):
        if chosen == list(range(n - 1, layers, n)):
            return n
    raise s.refuse(name, "cannot be expressed: every n-th layer, the n-th the first, can")


def vit_fields(s: Settings) -> Fields:
    """ViT for image classification; sizes of images and patches are one number or [height, width]."""
    width, heads = s.whole("hidden_size"), s.count("num_attention_heads")
    if width % heads:
        raise s.refuse("num_attention_heads", f"does not divide hidden_size {width}")
    (height, across), (patch, patch_width) = _height_and_width(s, "image_size"), _height_and_width(s, "patch_size")
    if patch != patch_width:
        raise s.refuse("patch_size", "cannot be expressed: square patches can")
    return {
        "d_model": width,
        "n_layers": s.count("num_hidden_layers"),
        "n_heads": heads,
        "head_dim": width // heads,
        "d_ff": s.whole("intermediate_size"),
        "image_size": height,
        "image_width": across,
        "patch_size": patch,
        "channels": s.whole("num_channels"),
        "n_labels": len(labels(s)["labels"]),
        "norm_eps": s.real("layer_norm_eps"),
        "qkv_bias": s.flag("qkv_bias"),
        "activation": s.curve(),
    }


def _height_and_width(s: Settings, name: str) -> tuple[int, int]:
    value = s.get(name)
    pair = value if isinstance(value, list) else [value, value]
    if len(pair) != 2 or not all(type(size) is int and size > 0 for size in pair):
        raise s.refuse(name, "must be a whole number, or [height, width]")
    return pair[0], pair[1]


def labels(s: Settings) -> dict[str, list[str]]:
    """What the classes are called, from `id2label`; label_<i> where that is no text for a cell."""
    given = s.get("id2label")
    if not isinstance(given, dict) or sorted(given) != sorted(map(str, range(len(given)))):
        raise s.refuse("id2label", "must name the classes 0, 1, 2 …")
    names = [given[str(i)] for i in range(len(given))]
    fine = [isinstance(name, str) and name.isprintable() and 0 < len(name) <= 100 for name in names]
    return {"labels": [name if ok else f"label_{i}" for i, (name, ok) in enumerate(zip(names, fine, strict=True))]}
