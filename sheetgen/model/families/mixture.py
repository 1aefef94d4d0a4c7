"""Mixtures of experts as the feed-forward blocks of a decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from sheetgen.base.errors import InputError
from sheetgen.model import nn
from sheetgen.model.config import NEVER, setting
from sheetgen.model.controls import Controls
from sheetgen.model.families.feed_forward import FeedForward
from sheetgen.model.families.grouped_query import GroupedQuery
from sheetgen.model.families.stack import Context
from sheetgen.model.settings import Sizes, each
from sheetgen.trace.recorder import scope
from sheetgen.trace.tensor import Tensor, weight


@dataclass(frozen=True, kw_only=True)
class Experts(FeedForward):
    """A feed-forward block of experts: Σₑ gₑ · Eₑ(x), where a router says how much each counts for a token.

    Source: Jiang et al. 2024, arXiv:2401.04088; transformers/models/mixtral/modeling_mixtral.py.
    """

    stands_for: ClassVar[str] = "moe_every"

    n_experts: int = setting(4, "Routed experts per mixture layer.")
    top_k: int = setting(2, "Experts that each token is sent to; a control, live in the sheet.")
    gate: Literal["softmax", "sigmoid"] = setting("softmax", "How the router's logits become weights of the experts.")
    renormalise: bool = setting(True, "The weights of the chosen experts are divided by their sum.")
    gate_on: Literal["output", "input"] = setting("output", "The weight multiplies the expert's output, or its input.")
    shared_expert: bool = setting(False, "One more expert that sees every token.")
    expert_widths: Sizes = setting((), "Hidden width of each expert; empty: all d_ff.", counted_by=("n_experts",))
    expert_outputs: Sizes = setting(
        (),
        "Width of what each expert gives; what is not d_model wide is projected back by one more matrix.",
        counted_by=("n_experts",),
    )
    moe_every: int = setting(
        1,
        "Every n-th layer is a mixture of experts (1: all); the others are dense.",
        neutral=NEVER,
        brings=("top_k", "renormalise", "equal_weights"),
    )
    d_ff_dense: int = setting(16, "Hidden width of the layers without experts.", like="d_ff")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.top_k > self.n_experts:
            raise InputError(
                f"top_k {self.top_k} is more than n_experts {self.n_experts}: choose at most {self.n_experts}"
            )

        each(self.expert_widths, "expert_widths", self.n_experts, "experts")
        each(self.expert_outputs, "expert_outputs", self.n_experts, "experts")
        if self.d_ff_by_layer:
            raise InputError("d_ff_by_layer is for models without experts: use expert_widths, or --set d_ff_dense=…")

    def uneven(self) -> int:
        d, more = self.d_model, 0
        for width, out in zip(self.widths(), self.outputs(), strict=True):
            more += (width - self.d_ff) * self.per_unit
            if out != d:
                more += (out - d) * (width + self.mlp_bias) + d * out
        return super().uneven() + more * sum(map(self.has_experts, range(self.n_layers)))

    def widths(self) -> Sizes:
        """Hidden width of each expert."""
        return self.expert_widths or (self.d_ff,) * self.n_experts

    def outputs(self) -> Sizes:
        """Width of what each expert gives before it is projected back."""
        return self.expert_outputs or (self.d_model,) * self.n_experts

    def more_sizes(self) -> dict[str, float]:
        dense = self.n_layers - self.n_layers // self.moe_every
        return super().more_sizes() | {"n_shared_experts": self.shared_expert, "n_dense_layers": dense}

    def layer_cells(self, tokens: int) -> int:
        return super().layer_cells(tokens) + 4 * self.n_experts * self.d_ff * tokens

    def declare(self, c: Controls) -> None:
        super().declare(c)
        experts = [f"expert_{e}" for e in range(self.n_experts)]
        layers = [i for i in range(self.n_layers) if self.has_experts(i)]
        c.parts("experts", {f"layer {i}": [f"layer_{i}.{expert}" for expert in experts] for i in layers})

    def declare_feed_forward(self, c: Controls) -> None:
        c.group = "Experts"
        c.number("top_k", self.top_k, low=1, high=self.n_experts, whole=True)
        c.switch("renormalise", "on" if self.renormalise else "off")
        c.switch("equal_weights", "off")
        c.switch("gate", self.gate, ("softmax", "sigmoid"), extra=True)
        super().declare_feed_forward(c)

    def has_experts(self, i: int) -> bool:
        """Whether layer i is a mixture of experts."""
        return (i + 1) % self.moe_every == 0

    def feed_forward(self, i: int, x: Tensor, context: Context) -> Tensor:
        c = context.controls
        if not self.has_experts(i):
            with scope("ffn", "Feed-forward network"):
                return self.network(x, self.d_ff_dense, c)
        switches = [c.here(f"expert_{e}") for e in range(self.n_experts)]
        with scope("router", "Router: which expert sees which token"):
            g = nn.route(x, weight, c, self.gate, self.renormalise, switches)
        parts = []
        if self.shared_expert:
            with scope("shared", "Shared expert"):
                parts.append(self.network(x, self.d_ff, c))
        for e in range(self.n_experts):
            with scope(f"expert_{e}"):
                if self.gate_on == "input":
                    parts.append(self.expert(e, (g[e] * x).named("x"), c))
                else:
                    parts.append((g[e] * self.expert(e, x, c)).named("weighted", "beside"))
        return nn.total(parts).named("moe")

    def expert(self, e: int, x: Tensor, c: Controls) -> Tensor:
        """Expert e; what is not as wide as the residual stream is projected back. [d, T] → [d, T]."""
        y = self.network(x, self.widths()[e], c, self.outputs()[e])
        if y.rows == self.d_model:
            return y
        return (weight("W_back", self.d_model, y.rows, axes=("d_model", "")) @ y).named("back")


@dataclass(frozen=True, kw_only=True)
class Mixture(GroupedQuery, Experts):
    """A decoder of grouped-query attention and mixtures of experts: Mixtral."""

    family: ClassVar[str] = "mixture"
