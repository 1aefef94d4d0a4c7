"""Why models differ: a sentence for each setting that one model has otherwise than another.

The sentence of a value is about a model that goes over to it; facts as in the papers named by the presets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# By the setting and its new value, or by the setting alone.
REASONS: Mapping[str | tuple[str, Any], str] = {
    ("precision", "full"): "Every result keeps all its digits: the model as the equations have it.",
    "precision": "Results are rounded to the numbers that a short format has: half the memory and traffic, and a small "
    "error at every step. Below stands the same model without rounding.",
    ("norm", "rms"): "RMSNorm only divides by the size of the vector: no mean to take off, no shift to learn. It costs "
    "less and trains as well.",
    ("norm", "layer"): "LayerNorm also takes off the mean and learns a shift, besides the gain.",
    "norm_eps": "Only the small number under the root of each norm; it matters where a vector is nearly 0.",
    ("unit_offset", True): "The gain is stored as its distance from 1, so that weights near 0 mean: leave it as it is.",
    ("unit_offset", False): "The gain is stored as it is, and multiplies as it is.",
    (
        "norm_place",
        "before",
    ): "What enters a part is brought to size; the residual stream itself runs through unnormed, "
    "which lets deep stacks train without care.",
    ("norm_place", "after"): "What a part adds is brought to size before it is added to the residual stream.",
    ("qk_norm", "none"): "Queries and keys go into the scores as the projection and the rotation leave them.",
    "qk_norm": "Queries and keys are brought to one size, so that scores cannot run away while training.",
    ("attention_bias", "none"): "The projections do without a bias: no row of ones, one column less in each matrix. "
    "Nothing is lost that the norm before them does not bring.",
    "attention_bias": "Projections of attention add a bias: one more column, met by a row of ones.",
    ("mlp_bias", False): "The matrices of the feed-forward block do without a bias: no row of ones.",
    ("mlp_bias", True): "The matrices of the feed-forward block add a bias: one more column, met by a row of ones.",
    ("activation", "silu"): "SiLU, x·σ(x), is smooth and cheap; as a gate it opens gradually.",
    ("activation", "gelu"): "GELU weighs x by how likely a normal number is to be below it.",
    ("activation", "gelu_tanh"): "GELU, by its usual approximation with tanh.",
    ("activation", "relu"): "ReLU keeps what is positive and drops the rest.",
    ("activation", "relu2"): "Squared ReLU: exact zeros as with ReLU, but it grows faster and has no kink.",
    ("gated", True): "A gate: one matrix says what a hidden unit would let through, another how far it opens. Three "
    "matrices instead of two, so the hidden width is usually a third smaller for the same parameters.",
    ("gated", False): "No gate: the curve works on the hidden units themselves, two matrices instead of three.",
    ("positions", "rope"): "Positions turn queries and keys in every head instead of being added once at the bottom: a "
    "score then depends on how far apart two tokens are, and there is no table to run out of rows.",
    (
        "positions",
        "learned",
    ): "A trainable table gives each place a vector, added once at the bottom; it ends where the table does.",
    ("positions", "none"): "Nothing tells a token its place but the causal mask.",
    "n_positions": "The table of positions has another length.",
    "rope_theta": "The base of RoPE's angles: a larger one turns the slow pairs more slowly, for longer contexts.",
    "rope_pairing": "Only which features form a pair: the rows of W_Q and W_K stand in another order, nothing else.",
    "rotary_fraction": "Only a part of each query and key turns; the rest carries meaning that no distance changes.",
    "rope_scaling": "Angles are stretched after training, so that a model made for a short context reads a longer one.",
    "rope_factor": "How much slower the slow pairs turn.",
    ("window", 0): "No window: every token sees all earlier ones again.",
    "window": "Each token sees only the last few keys; farther ones reach it through the layers below, and the cache "
    "needs no more than the window.",
    "window_from": "From which layer on the window holds; the layers below see everything.",
    ("tied", True): "The head is the embedding table once more: one matrix less to store.",
    (
        "tied",
        False,
    ): "The head is a matrix of its own: what a word looks like coming in need not be what it is told by.",
    ("embed_scale", True): "Embeddings are multiplied by √d_model, so that they weigh as much as what the layers add.",
    ("embed_scale", False): "Embeddings enter the residual stream as the table has them.",
    "n_heads": "More heads look for more things at once; each has its own queries and its own pattern.",
    "n_kv_heads": "How many heads share keys and values: fewer make the cache smaller.",
    "head_dim": "Longer queries and keys tell tokens apart better, longer values carry more.",
    "n_layers": "The same block once more: another round of looking around and thinking it over.",
    "d_model": "A wider residual stream: every token carries more, every matrix grows.",
    "d_ff": "Another hidden width of the feed-forward block, where most parameters are.",
    "vocab_size": "Words in the vocabulary: they count in the table and the head only.",
    "moe_every": "Instead of one feed-forward block there are several experts and a router that sends each token to a "
    "few: many parameters, little work per token.",
    "n_experts": "More experts: more parameters, the same work per token.",
    "top_k": "How many experts work on a token.",
    ("gate", "sigmoid"): "Each expert's weight is judged by itself, not in competition.",
    ("gate", "softmax"): "The experts' weights compete: they are parts of 1.",
    "renormalise": "Whether the weights of the chosen experts are divided by their sum, so that they add up to 1.",
    "gate_on": "The expert's weight multiplies what goes in, or what comes out.",
    ("shared_expert", True): "One expert sees every token, so that the others need not all learn the common things.",
    ("shared_expert", False): "No expert sees every token.",
    "d_ff_dense": "Another hidden width of the layers without experts.",
    "nope_every": "Every n-th layer has no rotation and sees the whole context: what chunks keep apart meets there.",
    "attention_chunk_size": "Layers with RoPE see only their own chunk: their work does not grow with the context.",
    "temperature": "Queries of late tokens are sharpened on layers without RoPE: many keys would blur the pattern.",
    "family": "Another kind of model: its equations differ from the ground up.",
}
GROUPED = (
    "Grouped-query attention: several heads share keys and values. The queries stay, the cache becomes smaller by the "
    "number of heads that share."
)
UNGROUPED = "Every head has its own keys and values again: more to say, more to keep in the cache."


def reason(setting: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """Why a model would go over from the settings `a` to `b` in this one; "" when nobody has said."""
    if setting in ("n_heads", "n_kv_heads"):
        before, after = (_shared(values) for values in (a, b))
        if before != after:
            return GROUPED if after > before else UNGROUPED
    return REASONS.get((setting, b.get(setting))) or REASONS.get(setting, "")


def _shared(values: Mapping[str, Any]) -> float:
    """How many heads share keys and values."""
    heads = values.get("n_heads", 1)
    return float(heads / values.get("n_kv_heads", heads))
