"""Llama 4: a mixture of experts whose attention sees a chunk of the sentence, or all of it without RoPE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sheetgen.model import nn
from sheetgen.model.config import NEVER, declare_sight, setting
from sheetgen.model.controls import Controls
from sheetgen.model.families.grouped_query import GroupedQuery
from sheetgen.model.families.mixture import Experts
from sheetgen.model.families.stack import Context
from sheetgen.trace.tensor import Tensor


@dataclass(frozen=True, kw_only=True)
class Sharpened(Context):
    """With the factor of the queries on layers without RoPE [1, T]."""

    temperature: Tensor


@dataclass(frozen=True, kw_only=True)
class ChunkedAttention(GroupedQuery):
    """Grouped-query attention whose layers see their own chunk, with RoPE, or all earlier tokens, without."""

    stands_for: ClassVar[str] = "attention_chunk_size"

    nope_every: int = setting(2, "Every n-th layer has no RoPE and sees all earlier tokens.", neutral=NEVER)
    attention_chunk_size: int = setting(4, "Layers with RoPE see only their own chunk of tokens; a control.")
    temperature: bool = setting(True, "On layers without RoPE the queries of late tokens are sharpened.", neutral=False)
    attn_scale: float = setting(0.1, "Strength of that temperature.", low=0)
    floor_scale: int = setting(4, "Tokens after which that temperature rises by a step.")

    def declare_limits(self, c: Controls) -> None:
        if any(map(self.is_local, range(self.n_layers))):
            declare_sight(c, self.window, self.attention_chunk_size)

    def is_local(self, i: int) -> bool:
        return self.has_rope(i)

    def context(self, key: Tensor, query: Tensor, controls: Controls) -> Context:
        context = super().context(key, query, controls)
        if not self.temperature:
            return context
        row = nn.llama4_temperature(query, self.attn_scale, self.floor_scale)
        return Sharpened(**vars(context), temperature=row)

    def has_rope(self, i: int) -> bool:
        """Whether layer i turns its queries and keys."""
        return (i + 1) % self.nope_every != 0

    def prepare(self, i: int, x: Tensor, name: str, context: Context) -> Tensor:
        if self.has_rope(i):
            x = super().prepare(i, x, name, context)
            return nn.unit_rms(x, context.controls["norm_eps"], name) if self.qk_norm == "unit" else x
        if isinstance(context, Sharpened) and name == "Q":
            return (x * context.temperature).named("Q_temp", "beside")
        return x


@dataclass(frozen=True, kw_only=True)
class Llama4(ChunkedAttention, Experts):
    """Llama 4 (Scout, Maverick): chunked attention, and experts whose sigmoid gate acts on what goes in.

    Source: transformers/models/llama4/modeling_llama4.py; meta-llama/llama-models models/llama4.
    """

    family: ClassVar[str] = "llama4"
