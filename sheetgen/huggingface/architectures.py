"""Model types of Hugging Face transformers: their equations, what config.json says, what their tensors are called.

A model type is one entry of `ARCHITECTURES`. Its defaults are those of the configuration class of transformers 5.23
(models/<type>/configuration_<type>.py).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

from sheetgen.huggingface.settings import (
    Fields,
    Settings,
    decoder_fields,
    gemma_fields,
    gpt2_fields,
    labels,
    llama4_fields,
    mixtral_fields,
    nemotron_fields,
    olmo2_fields,
    qwen2_fields,
    qwen3_fields,
    vit_fields,
)
from sheetgen.huggingface.tensors import Naming, Part, Parts, decoder_parts, vit_parts
from sheetgen.model.families import Config, Decoder, Llama4, Mixture, Vit

__all__ = ["ARCHITECTURES", "Architecture", "Part", "Parts", "Settings"]


@dataclass(frozen=True)
class Architecture:
    """One model type: its equations, its settings and its tensors.

    inner: the field of config.json that holds the settings of the text model. unused: prefixes of tensors that it
    needs not, such as those of a vision part. published: the groups of published models on the sheet Scale.
    texts: words that config.json holds, by path.
    """

    summary: str
    published: tuple[str, ...]
    family: type[Config]
    fields: Callable[[Settings], Fields]
    parts: Callable[[Any, Container[str]], Parts]
    defaults: Mapping[str, Any]
    inner: str = ""
    unused: tuple[str, ...] = ()
    texts: Callable[[Settings], dict[str, list[str]]] = lambda _: {}


def _named(names: Naming) -> Callable[[Any, Container[str]], Parts]:
    return lambda config, stored: decoder_parts(config, names, stored)


LLAMA = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": None,
    "head_dim": None,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "rope_theta": 10000.0,
}
MISTRAL = LLAMA | {"intermediate_size": 14336, "num_key_value_heads": 8}
QWEN = LLAMA | {
    "vocab_size": 151936,
    "intermediate_size": 22016,
    "num_key_value_heads": 32,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,
    "layer_types": None,
}
LLAMA4 = LLAMA | {
    "vocab_size": 202048,
    "hidden_size": 5120,
    "intermediate_size": 8192,
    "intermediate_size_mlp": 16384,
    "num_hidden_layers": 48,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "attention_bias": False,
    "num_experts_per_tok": 1,
    "num_local_experts": 16,
    "moe_layers": None,
    "interleave_moe_layer_step": 1,
    "use_qk_norm": True,
    "no_rope_layers": None,
    "no_rope_layer_interval": 4,
    "attention_chunk_size": 8192,
    "layer_types": None,
    "attn_temperature_tuning": True,
    "floor_scale": 8192,
    "attn_scale": 0.1,
}
LLAMA4_NAMES = Naming(
    mlp="feed_forward",
    router=("feed_forward.router",),
    experts=((("feed_forward.experts.gate_up_proj",), "feed_forward.experts.down_proj"),),
    fused_transposed=True,
    shared="feed_forward.shared_expert",
)
MIXTRAL_NAMES = Naming(
    router=("block_sparse_moe.gate", "mlp.gate"),
    experts=(
        (
            ("block_sparse_moe.experts.{e}.w1.weight", "block_sparse_moe.experts.{e}.w3.weight"),
            "block_sparse_moe.experts.{e}.w2.weight",
        ),
        (("mlp.experts.gate_up_proj",), "mlp.experts.down_proj"),
        (("block_sparse_moe.experts.gate_up_proj",), "block_sparse_moe.experts.down_proj"),
        (
            ("mlp.experts.{e}.gate_proj.weight", "mlp.experts.{e}.up_proj.weight"),
            "mlp.experts.{e}.down_proj.weight",
        ),
    ),
)
GPT2_NAMES = Naming(
    layer="h.{}",
    embedding="wte.weight",
    positions="wpe.weight",
    norms=("ln_1", "ln_2", "ln_f"),
    qkv=("attn.c_attn",),
    out="attn.c_proj",
    tops=("c_fc",),
    down="c_proj",
    transposed=True,
)

ARCHITECTURES: dict[str, Architecture] = {
    "gpt2": Architecture(
        "GPT-2: LayerNorm, learned positions, GELU, biases, tied head.",
        ("gpt2",),
        Decoder,
        gpt2_fields,
        _named(GPT2_NAMES),
        {
            "vocab_size": 50257,
            "n_positions": 1024,
            "n_embd": 768,
            "n_layer": 12,
            "n_head": 12,
            "n_inner": None,
            "activation_function": "gelu_new",
            "layer_norm_epsilon": 1e-5,
            "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False,
            "add_cross_attention": False,
            "tie_word_embeddings": True,
        },
    ),
    "llama": Architecture(
        "Llama: RMSNorm, RoPE, SwiGLU, grouped-query attention.",
        ("llama",),
        Decoder,
        decoder_fields,
        _named(Naming()),
        LLAMA | {"attention_bias": False, "mlp_bias": False},
    ),
    "llama4_text": Architecture(
        "Llama 4: experts, chunked attention, layers without RoPE.",
        ("llama4",),
        Llama4,
        llama4_fields,
        _named(LLAMA4_NAMES),
        LLAMA4,
    ),
    "llama4": Architecture(
        "Llama 4, its text model: experts, chunked attention, layers without RoPE.",
        ("llama4",),
        Llama4,
        llama4_fields,
        _named(LLAMA4_NAMES),
        LLAMA4,
        inner="text_config",
        unused=("vision_model.", "multi_modal_projector."),
    ),
    "mistral": Architecture(
        "Mistral: Llama with a sliding window.",
        ("mistral", "mixtral"),
        Decoder,
        decoder_fields,
        _named(Naming()),
        MISTRAL | {"sliding_window": 4096},
    ),
    "mixtral": Architecture(
        "Mixtral: Mistral with experts.",
        ("mixtral", "mistral"),
        Mixture,
        mixtral_fields,
        _named(MIXTRAL_NAMES),
        MISTRAL
        | {
            "rms_norm_eps": 1e-5,
            "rope_theta": 1e6,
            "sliding_window": None,
            "num_experts_per_tok": 2,
            "num_local_experts": 8,
        },
    ),
    "gemma": Architecture(
        "Gemma: √d embedding, norms with 1 + w, GeGLU, tied head.",
        ("gemma",),
        Decoder,
        gemma_fields,
        _named(Naming()),
        LLAMA
        | {
            "vocab_size": 256000,
            "hidden_size": 3072,
            "intermediate_size": 24576,
            "num_hidden_layers": 28,
            "num_attention_heads": 16,
            "num_key_value_heads": 16,
            "head_dim": 256,
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_activation": None,
            "tie_word_embeddings": True,
            "attention_bias": False,
            "use_bidirectional_attention": None,
        },
    ),
    "phi3": Architecture(
        "Phi-3: Llama with a sliding window and fused matrices.",
        ("phi",),
        Decoder,
        decoder_fields,
        _named(Naming(qkv=("self_attn.qkv_proj",), tops=("gate_up_proj",))),
        LLAMA
        | {
            "vocab_size": 32064,
            "hidden_size": 3072,
            "intermediate_size": 8192,
            "rms_norm_eps": 1e-5,
            "sliding_window": None,
            "partial_rotary_factor": 1.0,
        },
    ),
    "nemotron": Architecture(
        "Nemotron: LayerNorm with 1 + w, squared ReLU, partial RoPE.",
        ("nemotron",),
        Decoder,
        nemotron_fields,
        _named(Naming(tops=("up_proj",))),
        LLAMA
        | {
            "vocab_size": 256000,
            "hidden_size": 6144,
            "intermediate_size": 24576,
            "num_attention_heads": 48,
            "hidden_act": "relu2",
            "norm_eps": 1e-5,
            "attention_bias": False,
            "mlp_bias": False,
            "partial_rotary_factor": 0.5,
        },
    ),
    "qwen2": Architecture(
        "Qwen 2: Llama with biases on Q, K, V.", ("qwen",), Decoder, qwen2_fields, _named(Naming()), QWEN
    ),
    "qwen3": Architecture(
        "Qwen 3: Llama with RMSNorm of queries and keys.",
        ("qwen",),
        Decoder,
        qwen3_fields,
        _named(Naming()),
        QWEN | {"head_dim": 128, "attention_bias": False},
    ),
    "olmo2": Architecture(
        "OLMo 2: Llama with norms behind, RMSNorm of queries and keys.",
        ("olmo",),
        Decoder,
        olmo2_fields,
        _named(Naming(norms=("post_attention_layernorm", "post_feedforward_layernorm", "norm"))),
        LLAMA | {"vocab_size": 50304, "rms_norm_eps": 1e-5, "attention_bias": False},
    ),
    "vit": Architecture(
        "Vision transformer: patches as tokens, a class token, learned positions.",
        ("vit",),
        Vit,
        vit_fields,
        vit_parts,
        {
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-12,
            "image_size": 224,
            "patch_size": 16,
            "num_channels": 3,
            "qkv_bias": True,
            "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
        },
        texts=labels,
    ),
}
