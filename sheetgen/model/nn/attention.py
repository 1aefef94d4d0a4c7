"""Attention: scores, their softmax, and the heads of a layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sheetgen.model.controls import Controls, times
from sheetgen.model.nn.linear import with_ones
from sheetgen.model.nn.norm import softmax, softmax_of_seen
from sheetgen.trace.recorder import scope, unrounded
from sheetgen.trace.roles import Role
from sheetgen.trace.tensor import Tensor, Weight, rows_of, sqrt, stack, when


def score(q: Tensor, k: Tensor, c: Controls) -> Tensor:
    """Kᵀ·Q / √h: how well each key answers each query. q [h, T], k [h, S] → [S, T].

    The controls `attention_scale` and `attention_temperature` act in the divisor.
    """
    divisor = sqrt(rows_of(q))
    if "attention_scale" in c:
        divisor = when(c["attention_scale"], "on", divisor, 1.0)
    if "attention_temperature" in c:
        divisor = divisor * c["attention_temperature"]
    if "attention_scale" in c or "attention_temperature" in c:
        with unrounded():
            divisor = divisor.named("scale")
    return (k.T.named("KT", "left") @ q / divisor).named("scores")


def attend(q: Tensor, k: Tensor, mask: Tensor | None, c: Controls) -> Tensor:
    """softmax(Kᵀ·Q / √h) over the keys that the mask leaves. q, k [h, T] → pattern [keys, queries].

    Source: Vaswani et al. 2017, arXiv:1706.03762, equation 1.
    """
    scores = score(q, k, c)
    if mask is None:
        return softmax(scores, "pattern", c, role="pattern")
    return softmax_of_seen(mask, scores, "pattern", c, "beside")


def project(name: str, rows: int, x: Tensor, w: Weight) -> Tensor:
    """The queries, keys or values of a head: W·x. [d, T] → [rows, T]."""
    return w(f"W_{name}", rows, x.rows, axes=("head_dim", x.axes[0])) @ x


def cache_role(name: str) -> Role | None:
    """What the Q, K or V of a head is for a cache, which keeps keys and values."""
    return None if name == "Q" else "cache"


def query_key_value(rows: int, x: Tensor, w: Weight) -> list[Tensor]:
    """Q, K and V of a single head, computed together. [d, T] → three of [rows, T]."""
    return [project(name, rows, x, w).named(name, role=cache_role(name)) for name in "QKV"]


def heads(which: Iterable[int], z: Callable[[int], Tensor], c: Controls, what: str = "") -> list[Tensor]:
    """The heads `which` of a layer: z(j), computed in the scope of head j, and perhaps times its switch. → [h, T] each.

    What a head computes is up to the attention: `z` gives it as a block. `what` stands in the title of its frame.
    """
    made = []
    for j in which:
        with scope(f"head_{j}", f"Head {j}: {what}" if what else ""):
            made.append(times(z(j), c.here()))
    return made


@dataclass(frozen=True)
class HeadSizes:
    """Attention heads: how many, their size, which of their matrices have a bias, and what is uneven about them.

    qk: lengths of queries and keys, v: of values, one for each head (empty: all of `size`); project: W_O mixes them.
    """

    count: int
    size: int
    bias: bool
    bias_out: bool
    qk: tuple[int, ...] = ()
    v: tuple[int, ...] = ()
    project: bool = True

    def qk_size(self, j: int) -> int:
        return self.qk[j] if self.qk else self.size

    def v_size(self, j: int) -> int:
        return self.v[j] if self.v else self.size


def multi_head(x: Tensor, memory: Tensor, w: Weight, sizes: HeadSizes, mask: Tensor | None, c: Controls) -> Tensor:
    """Multi-head attention: queries from x, keys and values from memory (x itself: self-attention).

    x [d, T], memory [d, S], mask [S, T] → [d, T]. Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.
    """
    d_model = x.rows
    if memory is not x:
        memory = memory.named("memory")
        memory = with_ones(memory) if sizes.bias else memory
        x = with_ones(x) if sizes.bias else x
    else:
        x = memory = with_ones(x) if sizes.bias else x

    def z(j: int) -> Tensor:
        k = project("K", sizes.qk_size(j), memory, w).named("K", role="cache")
        q = project("Q", sizes.qk_size(j), x, w).named("Q")
        pattern = attend(q, k, mask, c)
        v = project("V", sizes.v_size(j), memory, w).named("V", role="cache")
        return (v @ pattern).named("z", role="mixed")

    return project_out(heads(range(sizes.count), z, c), w, d_model, sizes.bias_out, sizes.project)


def project_out(made: list[Tensor], w: Weight, d_model: int, bias: bool, project: bool = True) -> Tensor:
    """W_O · concat(heads): what the heads have made, one below the other, back to the width of the stream.

    Without `project` their values together are as wide as the stream, and are added to it as they are.
    """
    concat = stack(made).named("concat")
    if not project:
        return concat
    inputs = with_ones(concat) if bias else concat
    return (w("W_O", d_model, inputs.rows, axes=("d_model", "")) @ inputs).named("attention", role="attention")
