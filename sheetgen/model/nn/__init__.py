"""The building blocks of transformers as equations.

Tokens are columns, features are rows; T is the number of tokens. `w(name, rows, columns)` gives trainable numbers.
A name makes a block of cells; "beside" puts it to the right of what it is made from, "left" to the left of its user.
"""

from sheetgen.model.nn.attention import (
    HeadSizes,
    attend,
    cache_role,
    heads,
    multi_head,
    project,
    project_out,
    query_key_value,
    score,
)
from sheetgen.model.nn.ends import look_up, predict
from sheetgen.model.nn.feed_forward import CURVES, Activation, gated_mlp, mlp
from sheetgen.model.nn.linear import add_back, total, with_ones
from sheetgen.model.nn.norm import (
    NormKind,
    head_norm,
    layer_norm,
    projected_norm,
    rms_norm,
    softmax,
    softmax_of_seen,
    unit_rms,
)
from sheetgen.model.nn.position import (
    Order,
    Pairing,
    Rope,
    Slower,
    live_mask,
    llama4_temperature,
    rope_tables,
    rotate,
    sinusoids,
)
from sheetgen.model.nn.routing import route

__all__ = [
    "CURVES",
    "Activation",
    "HeadSizes",
    "NormKind",
    "Order",
    "Pairing",
    "Rope",
    "Slower",
    "add_back",
    "attend",
    "cache_role",
    "gated_mlp",
    "head_norm",
    "heads",
    "layer_norm",
    "live_mask",
    "llama4_temperature",
    "look_up",
    "mlp",
    "multi_head",
    "predict",
    "project",
    "project_out",
    "projected_norm",
    "query_key_value",
    "rms_norm",
    "rope_tables",
    "rotate",
    "route",
    "score",
    "sinusoids",
    "softmax",
    "softmax_of_seen",
    "total",
    "unit_rms",
    "with_ones",
]
