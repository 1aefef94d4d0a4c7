"""The feed-forward block of a decoder: one network for all tokens."""

from __future__ import annotations

from dataclasses import dataclass

from sheetgen.model import nn
from sheetgen.model.config import setting
from sheetgen.model.controls import Controls
from sheetgen.model.families.stack import Context, Stack
from sheetgen.model.settings import Sizes, each
from sheetgen.trace.recorder import scope
from sheetgen.trace.tensor import Tensor, weight


@dataclass(frozen=True, kw_only=True)
class FeedForward(Stack):
    """W_down · (curve(W_gate·x) ⊙ W_up·x), or without a gate, perhaps of another width in each layer."""

    d_ff: int = setting(8, "Hidden width of the feed-forward block.")
    d_ff_by_layer: Sizes = setting(
        (), "Hidden width of the feed-forward block of each layer; empty: d_ff in all.", counted_by=("n_layers",)
    )
    mlp_bias: bool = setting(False, "Whether the matrices of the feed-forward block add a bias.", bias=(False, True))
    activation: nn.Activation = setting("silu", "Curve of the feed-forward block.")
    gated: bool = setting(True, "W_down·(curve(W_gate·x) ⊙ W_up·x); otherwise W_down·curve(W_up·x).")

    def __post_init__(self) -> None:
        super().__post_init__()
        each(self.d_ff_by_layer, "d_ff_by_layer", self.n_layers, "layers")

    def hidden_of(self, i: int) -> int:
        """Hidden width of the dense feed-forward block of layer i."""
        return self.d_ff_by_layer[i] if self.d_ff_by_layer else self.d_ff

    def uneven(self) -> int:
        more = sum(self.hidden_of(i) - self.d_ff for i in range(self.n_layers))
        return super().uneven() + more * self.per_unit

    @property
    def per_unit(self) -> int:
        """Trainable numbers of a hidden unit: a row of each matrix that widens, with its bias; a column of the last."""
        matrices = 3 if self.gated else 2
        return matrices * self.d_model + (matrices - 1) * self.mlp_bias

    def more_sizes(self) -> dict[str, float]:
        return super().more_sizes() | {"ffn_matrices": 3 if self.gated else 2, "ffn_bias": self.mlp_bias}

    def layer_cells(self, tokens: int) -> int:
        return super().layer_cells(tokens) + 4 * self.d_ff * tokens

    def declare_feed_forward(self, c: Controls) -> None:
        c.group = "Feed-forward"
        c.switch("activation", self.activation, tuple(nn.CURVES), extra=True)
        if self.gated:
            c.switch("gated", extra=True)

    def feed_forward(self, i: int, x: Tensor, context: Context) -> Tensor:
        with scope("ffn", "Feed-forward network"):
            return self.network(x, self.hidden_of(i), context.controls)

    def network(self, x: Tensor, hidden: int, controls: Controls, out: int | None = None) -> Tensor:
        """One feed-forward network. [d, T] → [d, T], or [out, T]."""
        made = nn.gated_mlp if self.gated else nn.mlp
        return made(x, weight, hidden, self.activation, controls, self.mlp_bias, out)
