"""Grouped-query attention: heads with their own queries, whose keys and values belong to each or to a group of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sheetgen.base.errors import InputError
from sheetgen.model import nn
from sheetgen.model.config import divisors, setting
from sheetgen.model.families.heads import Heads
from sheetgen.model.families.stack import Context
from sheetgen.model.settings import Sizes, each
from sheetgen.trace.recorder import scope
from sheetgen.trace.tensor import Tensor, weight

QkNorm = Literal["none", "head", "all", "unit"]
Bias = Literal["none", "qkv", "all"]


@dataclass(frozen=True, kw_only=True)
class GroupedQuery(Heads):
    """z = V · softmax(Kᵀ·Q / √h) of each head; heads may share keys and values, and be of different sizes.

    Sources: Vaswani et al. 2017, arXiv:1706.03762; Ainslie et al. 2023, arXiv:2305.13245.
    """

    n_kv_heads: int = setting(2, "Key/value heads per layer; fewer than n_heads means grouped-query attention.")
    head_dim: int = setting(4, "Length of one query, key or value; even, since RoPE turns pairs.")
    qk_dims: Sizes = setting(
        (),
        "Lengths of queries and keys, one for each key/value head; empty: all head_dim.",
        counted_by=("n_kv_heads", "n_heads"),
    )
    value_dims: Sizes = setting(
        (),
        "Lengths of the values, one for each key/value head; empty: all head_dim.",
        counted_by=("n_kv_heads", "n_heads"),
    )
    heads_by_layer: Sizes = setting((), "Heads of each layer; empty: n_heads in all.", counted_by=("n_layers",))
    output_projection: bool = setting(True, "W_O mixes the heads; without it their values together are d_model wide.")
    qk_norm: QkNorm = setting(
        "none", "RMSNorm of queries and keys: per head with a gain, over all heads at once, or unit: without a gain."
    )
    attention_bias: Bias = setting(
        "none", "Which projections of attention add a bias: none, qkv, or all.", bias=("none", "all")
    )
    rotary_fraction: float = setting(1.0, "Share of the features of a head that RoPE turns; the others stay.", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_heads % self.n_kv_heads:
            raise InputError(
                f"n_heads {self.n_heads} cannot be shared among n_kv_heads {self.n_kv_heads}: "
                f"choose a divisor ({', '.join(map(str, divisors(self.n_heads)))})"
            )
        self._check_heads()
        for size in (self.head_dim, *self.qk_dims) if self.positions == "rope" else ():
            if size % 2:
                name = "head_dim" if size == self.head_dim else "qk_dims"
                raise InputError(f"{name} {size} is odd, but RoPE turns pairs: choose {size + 1}")
        if self.positions == "rope" and (self.rotary_fraction > 1 or self.rotary % 2 or self.rotary == 0):
            raise InputError(
                f"rotary_fraction {self.rotary_fraction} of head_dim {self.head_dim} is no even number of features: "
                f"choose one of {', '.join(f'{r / self.head_dim:g}' for r in range(2, self.head_dim + 1, 2))}"
            )

    def _check_heads(self) -> None:
        each(self.heads_by_layer, "heads_by_layer", self.n_layers, "layers")
        layers = range(self.n_layers if self.heads_by_layer else 1)  # else they are alike
        for i in layers:
            if self.heads_of(i) % self.kv_heads_of(i):
                raise InputError(
                    f"the {self.heads_of(i)} heads of layer {i} cannot share n_kv_heads {self.n_kv_heads}: "
                    f"choose a multiple of {self.n_kv_heads}"
                )
        most = max(self.kv_heads_of(i) for i in layers)
        each(self.qk_dims, "qk_dims", most, "key/value heads")
        each(self.value_dims, "value_dims", most, "key/value heads")
        for i in layers if not self.output_projection else ():
            width = self.values_of(i)
            if width != self.d_model:
                raise InputError(
                    f"without output_projection the values of all heads must be d_model {self.d_model} wide, "
                    f"but those of layer {i} are {width}: choose other heads, head_dim or value_dims"
                )
        if self.qk_dims and self.qk_norm in ("head", "all"):
            raise InputError(f"qk_dims cannot differ while qk_norm is {self.qk_norm}: its gain is shared by all heads")
        if self.qk_dims and self.rotary_fraction != 1:
            raise InputError("qk_dims cannot differ while RoPE turns only a share of the features: leave them out")

    @property
    def grouped(self) -> bool:
        """Whether heads share keys and values."""
        return self.n_kv_heads < self.n_heads

    def heads_of(self, i: int) -> int:
        return self.heads_by_layer[i] if self.heads_by_layer else self.n_heads

    def n_parts(self) -> int:
        more = sum(self.heads_by_layer) - self.n_layers * self.n_heads if self.heads_by_layer else 0
        return super().n_parts() + more

    def kv_heads_of(self, i: int) -> int:
        """How many key/value heads layer i has."""
        return self.n_kv_heads if self.grouped else self.heads_of(i)

    def kv_of(self, i: int, j: int) -> int:
        """Whose keys and values head j of layer i uses."""
        return j * self.kv_heads_of(i) // self.heads_of(i)

    def qk_dim(self, g: int) -> int:
        """Length of the keys g and of the queries that meet them."""
        return self.qk_dims[g] if self.qk_dims else self.head_dim

    def value_dim(self, g: int) -> int:
        """Length of the values g."""
        return self.value_dims[g] if self.value_dims else self.head_dim

    @property
    def rotary(self) -> int:
        """How many features of a head RoPE turns."""
        return int(self.head_dim * self.rotary_fraction) if self.positions == "rope" else self.head_dim

    def turned(self) -> dict[int, int]:
        return {self.head_dim: self.rotary} | {size: size for size in self.qk_dims if size != self.head_dim}

    def values_of(self, i: int) -> int:
        """Length of the values of all heads of layer i together."""
        groups = self.kv_heads_of(i)
        values = sum(self.value_dims[:groups]) if self.value_dims else groups * self.head_dim
        return values * self.heads_of(i) // groups

    def uneven(self) -> int:
        d, more = self.d_model, super().uneven()
        usual = self.head_dim * (self.n_heads + 2 * self.n_kv_heads)
        for i in range(self.n_layers):
            heads, keys = range(self.heads_of(i)), range(self.kv_heads_of(i))
            inner = sum(self.qk_dim(self.kv_of(i, j)) for j in heads) + sum(map(self.qk_dim, keys))
            inner += sum(map(self.value_dim, keys))
            outer = (self.values_of(i) - self.head_dim * self.n_heads) * self.output_projection
            more += (inner - usual) * (d + (self.attention_bias != "none")) + outer * d
        return more

    def more_sizes(self) -> dict[str, float]:
        return super().more_sizes() | {
            "qkv_bias": self.attention_bias != "none",
            "o_bias": self.attention_bias == "all" and self.output_projection,
            "o_matrix": self.output_projection,
            "head_norm": self.qk_norm == "head",
            "full_norm": self.qk_norm == "all",
        }

    def layer_cells(self, tokens: int) -> int:
        return super().layer_cells(tokens) + self.n_heads * tokens * (8 * self.head_dim + 6 * tokens)

    # --- equations, in reading order ---------------------------------------------------------------------------------

    def attention(self, i: int, x: Tensor, context: Context) -> Tensor:
        x = nn.with_ones(x) if self.attention_bias != "none" else x
        queries, keys = self.shared_norms(x, context)
        shared: list[tuple[Tensor, Tensor]] = []
        for g in range(self.kv_heads_of(i)) if self.grouped else ():
            with scope(f"kv_{g}", f"Keys and values {g}, shared by heads {self.shared_by(g, i)}"):
                k = self.prepare(i, self.project("K", g, g, x, keys, context), "K", context)
                shared.append((k, self.value(x, g)))

        def z(j: int) -> Tensor:
            g = self.kv_of(i, j)
            if self.grouped:
                k = shared[g][0]
            else:
                k = self.prepare(i, self.project("K", j, g, x, keys, context), "K", context)
            q = self.prepare(i, self.project("Q", j, g, x, queries, context), "Q", context)
            pattern = nn.attend(q, k, self.mask_of(i, context), context.controls)
            v = shared[g][1].named("V") if self.grouped else self.value(x, g)
            return (v @ pattern).named("z", role="mixed")

        made = nn.heads(range(self.heads_of(i)), z, context.controls)
        return nn.project_out(made, weight, self.d_model, self.attention_bias == "all", self.output_projection)

    def shared_norms(self, x: Tensor, context: Context) -> tuple[Tensor | None, Tensor | None]:
        """What the heads share for their QK norm: all queries and keys at once ("all"), or the gain ("head")."""
        if self.qk_norm == "all":
            return tuple(
                nn.projected_norm(name, n * self.head_dim, x, weight, context.controls["norm_eps"])
                for name, n in (("Q", self.n_heads), ("K", self.n_kv_heads))
            )  # type: ignore[return-value]
        if self.qk_norm == "head":
            return tuple(
                weight(f"w_{name}_norm", self.head_dim, 1, axes=("head_dim", ""), around=1.0, where="below")
                for name in "QK"
            )  # type: ignore[return-value]
        return None, None

    def project(self, name: str, j: int, g: int, x: Tensor, shared: Tensor | None, context: Context) -> Tensor:
        """Query or key of head j, which uses the keys g: W·x, and its norm. [d, T] → [h, T]."""
        role = nn.cache_role(name)
        if self.qk_norm == "all" and shared is not None:
            return shared.slice(j * self.head_dim, (j + 1) * self.head_dim).named(name, role=role)
        made = nn.project(name, self.qk_dim(g), x, weight)
        if self.qk_norm == "head" and shared is not None:
            raw, eps = made.named(f"{name}_raw"), context.controls["norm_eps"]
            return nn.head_norm(raw, shared, eps, name, role)
        return made.named(name, role=role)

    def value(self, x: Tensor, g: int) -> Tensor:
        """Values g: W·x. [d, T] → [h, T]."""
        return nn.project("V", self.value_dim(g), x, weight).named("V", role="cache")

    def shared_by(self, g: int, i: int = 0) -> str:
        """The heads of layer i that use the keys and values g."""
        size = self.heads_of(i) // self.n_kv_heads
        return ", ".join(str(j) for j in range(g * size, (g + 1) * size))

    def prepare(self, i: int, x: Tensor, name: str, context: Context) -> Tensor:
        """What happens to a query or key of layer i between its projection and the scores."""
        return self.rotate(x, name, context)
