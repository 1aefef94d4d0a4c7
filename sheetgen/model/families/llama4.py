"""Llama 4: a mixture of experts whose layers see a chunk of the sentence, or all of it without RoPE."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from sheetgen.model import nn
from sheetgen.model.config import declare_sight, setting
from sheetgen.model.controls import Controls
from sheetgen.model.families.decoder import Context
from sheetgen.model.families.mixture import Mixture
from sheetgen.trace.tensor import Tensor


@dataclass(frozen=True, kw_only=True)
class Llama4(Mixture):
    """Llama 4 (Scout, Maverick): a sigmoid gate on the expert's input, chunked attention, layers without RoPE.

    Source: transformers/models/llama4/modeling_llama4.py; meta-llama/llama-models models/llama4.
    """

    family: ClassVar[str] = "llama4"

    nope_every: int = setting(2, "Every n-th layer has no RoPE and sees all earlier tokens.")
    attention_chunk_size: int = setting(4, "Layers with RoPE see only their own chunk of tokens; a control.")
    temperature: bool = setting(True, "On layers without RoPE the queries of late tokens are sharpened.")
    attn_scale: float = setting(0.1, "Strength of that temperature.", low=0)
    floor_scale: int = setting(4, "Tokens after which that temperature rises by a step.")

    def declare_limits(self, c: Controls) -> None:
        if any(map(self.is_local, range(self.n_layers))):
            declare_sight(c, self.window, self.attention_chunk_size)

    def is_local(self, i: int) -> bool:
        return self.has_rope(i)

    def more(self, context: Context) -> Context:
        if not self.temperature:
            return context
        row = nn.llama4_temperature(context.position, self.attn_scale, self.floor_scale)
        return replace(context, temperature=row)

    def has_rope(self, i: int) -> bool:
        """Whether layer i turns its queries and keys."""
        return (i + 1) % self.nope_every != 0

    def prepare(self, i: int, x: Tensor, name: str, context: Context) -> Tensor:
        if self.has_rope(i):
            x = super().prepare(i, x, name, context)
            return nn.unit_rms(x, context.controls["norm_eps"], name) if self.qk_norm == "unit" else x
        if context.temperature is not None and name == "Q":
            return (x * context.temperature).named("Q_temp", "beside")
        return x
