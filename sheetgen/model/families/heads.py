"""What every attention of a decoder has: heads, a mask that says how far they see, RoPE."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sheetgen.model import nn
from sheetgen.model.config import declare_sight, declare_softmax, setting
from sheetgen.model.controls import Controls
from sheetgen.model.families.stack import Context, Stack
from sheetgen.trace.recorder import scope
from sheetgen.trace.tensor import Tensor


@dataclass(frozen=True, kw_only=True)
class Heads(Stack):
    """The attention of a decoder, but for what its heads compute: a variant gives `attention` and `turned`."""

    n_heads: int = setting(2, "Attention heads per layer, each with its own queries.")
    rope_theta: float = setting(10000.0, "Base of RoPE's angles; a control, live in the sheet.")
    rope_pairing: nn.Pairing = setting(
        "half", "Which features RoPE turns together: (i, i+h/2) as Hugging Face, or (2i, 2i+1) as the original Llama."
    )
    rope_scaling: Literal["none", "linear", "llama3"] = setting(
        "none", "For long contexts. linear: all pairs turn slower; llama3: the slow pairs turn even slower."
    )
    rope_factor: float = setting(8.0, "linear and llama3 scaling: how much slower.")
    rope_low_freq: float = setting(
        1.0, "llama3 scaling: wavelengths above rope_original / this are slowed fully.", low=0
    )
    rope_high_freq: float = setting(4.0, "llama3 scaling: wavelengths below rope_original / this stay.", low=0)
    rope_original: int = setting(8192, "llama3 scaling: the context the model was first trained on.")
    window: int = setting(0, "Sliding window: a query sees so many keys, its own included; 0: all.", low=0)
    window_from: int = setting(0, "First layer with the sliding window, counted from 0.", low=0)

    def turned(self) -> dict[int, int]:
        """The lengths of what RoPE turns, the usual one first, and how many features of each turn."""
        raise NotImplementedError

    def heads_of(self, i: int) -> int:
        return self.n_heads

    def declare_attention(self, c: Controls) -> None:
        c.switch("causal")
        self.declare_limits(c)
        declare_softmax(c)

    def declare_limits(self, c: Controls) -> None:
        """Controls of how far a query sees."""
        declare_sight(c, self.window)

    def declare_positions(self, c: Controls) -> None:
        if self.positions == "rope":
            c.switch("rope")
            c.number("rope_theta", self.rope_theta, low=1)

    def context(self, key: Tensor, query: Tensor, controls: Controls) -> Context:
        return Context(controls, query, self.masks(key, query, controls), self.ropes(query, controls))

    def masks(self, key: Tensor, query: Tensor, controls: Controls) -> dict[str, Tensor]:
        """The masks that the layers choose from: "local" if any layer sees less than another, and "causal"."""
        local = [self.is_local(i) for i in range(self.n_layers)]
        if not any(local):  # then the controls `window` and chunk size act on all layers
            return {"causal": nn.live_mask(key, query, controls)}
        name = "mask_window" if self.window else "mask_chunked"
        found = {"local": nn.live_mask(key, query, controls, name)}
        return found if all(local) else found | {"causal": nn.live_mask(key, query, controls, local=False)}

    def is_local(self, i: int) -> bool:
        """Whether layer i sees only nearby tokens."""
        return self.window > 0 and i >= self.window_from

    def mask_of(self, i: int, context: Context) -> Tensor:
        """The mask of layer i."""
        return context.masks["local" if self.is_local(i) else "causal"]

    def ropes(self, position: Tensor, controls: Controls) -> dict[int, nn.Rope]:
        """Tables of the rotation for each length; none when positions do not turn anything."""
        if self.positions != "rope":
            return {}
        turned, found = self.turned(), {}
        usual = next(iter(turned))
        for size in sorted(turned):
            name, of_length = ("rope", "") if size == usual else (f"rope_{size}", f" of length {size}")
            with scope(name, f"RoPE tables{of_length}"):
                found[size] = self.rotation(position, controls, size)
        return found

    def rotation(self, position: Tensor, controls: Controls, size: int) -> nn.Rope:
        """Tables of the rotation by these positions, of so long queries and keys, as this model scales it."""
        scaling = None
        if self.rope_scaling == "linear":
            position = (position / self.rope_factor).named("slow_position")
        if self.rope_scaling == "llama3":
            scaling = nn.Slower(self.rope_factor, self.rope_low_freq, self.rope_high_freq, self.rope_original)
        return nn.rope_tables(position, controls, size, self.turned()[size], self.rope_pairing, scaling)

    def rotate(self, x: Tensor, name: str, context: Context) -> Tensor:
        """x turned by its position; as it is when positions turn nothing. [h, T] → [h, T]."""
        if not context.ropes:
            return x
        # In a workbook somebody may have inserted rows: the product below then says what does not fit.
        return nn.rotate(x, context.ropes.get(x.rows) or context.ropes[min(context.ropes)], name)
