"""Vision transformer: an image is cut into patches, which enter the layers like words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sheetgen.base.errors import InputError
from sheetgen.model import nn
from sheetgen.model.config import (
    Config,
    declare_layers,
    declare_output,
    declare_softmax,
    divisors,
    setting,
)
from sheetgen.model.controls import Controls, times
from sheetgen.model.given import IMAGE, Inputs
from sheetgen.model.settings import Sizes, each
from sheetgen.trace.recorder import Trace, scope, section
from sheetgen.trace.tensor import Tensor, join, likeliest, max_rows, numbers, patches, text, weight


@dataclass(frozen=True, kw_only=True)
class Vit(Config):
    """Patches, a class token, learned positions; pre-norm layers without a mask; the class token gives the label.

    Source: Dosovitskiy et al. 2021, arXiv:2010.11929; transformers/models/vit/modeling_vit.py.
    """

    family: ClassVar[str] = "vit"
    inputs: ClassVar[Inputs] = IMAGE

    d_model: int = setting(8, "Width of the residual stream: numbers per token.")
    n_layers: int = setting(2, "Number of layers, one below the other.")
    n_heads: int = setting(2, "Attention heads per layer.")
    head_dim: int = setting(4, "Length of one query, key or value.")
    qk_dims: Sizes = setting(
        (), "Lengths of queries and keys, one for each head; empty: all head_dim.", counted_by=("n_heads",)
    )
    value_dims: Sizes = setting(
        (), "Lengths of the values, one for each head; empty: all head_dim.", counted_by=("n_heads",)
    )
    output_projection: bool = setting(True, "W_O mixes the heads; without it their values together are d_model wide.")
    d_ff: int = setting(16, "Hidden width of the feed-forward block.")
    image_size: int = setting(9, "Height of the image in pixels, and its width unless image_width says otherwise.")
    image_width: int = setting(9, "Width of the image in pixels.")
    patch_size: int = setting(3, "Height and width of a patch; divides the image's.")
    channels: int = setting(1, "Numbers per pixel: 1 for grey, 3 for colours; they stand one below the other.")
    n_labels: int = setting(4, "Classes that the image may belong to.")
    norm_eps: float = setting(1e-12, "Added under the root of each norm; a control, live in the sheet.", low=0)
    qkv_bias: bool = setting(True, "Whether queries, keys and values add a bias.", bias=(False, True))
    activation: nn.Activation = setting(
        "gelu", "Curve of the feed-forward block: gelu as Hugging Face, gelu_tanh as the original code."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("image_size", "image_width"):
            if getattr(self, name) % self.patch_size:
                fitting = ", ".join(map(str, divisors(getattr(self, name))))
                raise InputError(
                    f"{name} {getattr(self, name)} cannot be cut into patches of {self.patch_size}: "
                    f"choose a patch_size that divides it ({fitting})"
                )

        each(self.qk_dims, "qk_dims", self.n_heads, "heads")
        each(self.value_dims, "value_dims", self.n_heads, "heads")
        if not self.output_projection and sum(map(self.heads.v_size, range(self.n_heads))) != self.d_model:
            raise InputError(
                f"without output_projection the values of all heads must be d_model {self.d_model} wide: "
                "choose other heads, head_dim or value_dims"
            )

    @property
    def heads(self) -> nn.HeadSizes:
        """The heads of every layer."""
        return nn.HeadSizes(
            count=self.n_heads,
            size=self.head_dim,
            bias=self.qkv_bias,
            bias_out=True,
            qk=self.qk_dims,
            v=self.value_dims,
            project=self.output_projection,
        )

    @property
    def n_patches(self) -> int:
        return (self.image_size // self.patch_size) * (self.image_width // self.patch_size)

    def more_sizes(self) -> dict[str, float]:
        heads, d, usual = self.heads, self.d_model, self.n_heads * self.head_dim
        qk, v = (sum(map(size, range(self.n_heads))) for size in (heads.qk_size, heads.v_size))
        inputs = (2 * qk + v - 3 * usual) * (d + self.qkv_bias)
        extra = inputs + (d * (v - usual) if self.output_projection else -d * (usual + 1))
        return {
            "attention_extra": extra,
            "n_channels": self.channels,
            "n_patches": self.n_patches,
            "n_classes": self.n_labels,
        }

    def layer_cells(self, tokens: int) -> int:
        heads = self.n_heads * (8 * self.head_dim + 6 * tokens)
        return tokens * (12 * self.d_model + heads + 4 * self.d_ff)

    def prediction(self, trace: Trace) -> str:
        label, p = (trace[path].value[0, 0] for path in ("label", "label_prob"))
        return f"image → {label} ({p:.2f})"

    def declare(self, c: Controls) -> None:
        c.group = "Attention"
        declare_softmax(c)
        c.switch("added_positions")
        declare_output(c, "layer", self.norm_eps)
        c.switch("activation", self.activation, tuple(nn.CURVES), extra=True)
        declare_layers(c, [self.n_heads] * self.n_layers)

    def forward(self, c: Controls) -> None:
        """Pixels → class probabilities."""
        with section("Input: an image"):
            image = numbers("image", self.channels * self.image_size, self.image_width, role="image")
        with section("Patches as tokens"):
            x = self.embed(image, c)
        for i in range(self.n_layers):
            with scope(f"layer_{i}"):
                x = self.layer(x, c)
        with section("Output: class probabilities"):
            x = nn.layer_norm(x, weight, c, "final_norm")
            self.classify(x.slice_columns(0, 1).named("class_token", role="asked"), c)

    def embed(self, image: Tensor, c: Controls) -> Tensor:
        """[class; W_patch·patches + b] + positions. [channels · height, width] → [d, 1 + patches]."""
        columns = text("column_names", 1 + self.n_patches, across=True).axes[1]
        cut = patches(image, self.channels, self.patch_size)
        flat = nn.with_ones(cut.named("patches", starts_at=1, axes=("", columns)))
        tokens = weight("W_patch", self.d_model, flat.rows, axes=("d_model", "")) @ flat
        tokens = tokens.named("patch_embed", starts_at=1)
        first = weight("W_class", self.d_model, 1, axes=("d_model", columns), where="below")
        x = join([first, tokens]).named("with_class")
        places = weight("W_pos", *x.shape, axes=("d_model", columns), where="below")
        return (x + times(places, c.factor("added_positions"))).named("embed", role="embedding")

    def layer(self, x: Tensor, c: Controls) -> Tensor:
        """One layer: every token sees every other. [d, T] → [d, T]."""
        with section("Attention"):
            h = nn.layer_norm(x, weight, c, "norm_1")
            y = nn.multi_head(h, h, weight, self.heads, None, c)
            x = nn.add_back(x, y, c, "1").named("mid", role="stream")
        with section("Feed-forward"):
            h = nn.layer_norm(x, weight, c, "norm_2")
            with scope("ffn", "Feed-forward network"):
                y = nn.mlp(h, weight, self.d_ff, self.activation, c, bias=True)
            return nn.add_back(x, y, c, "2").named("out", role="layer")

    def classify(self, x: Tensor, c: Controls) -> None:
        """Logits of the labels from the class token alone, their softmax, the most probable label. [d, 1]."""
        x = nn.with_ones(x)
        labels = text("labels", self.n_labels, across=False, where="left")
        head = weight("W_head", self.n_labels, x.rows, axes=("labels", "d_model"))
        logits = (head @ x).named("logits", role="logits")
        probs = nn.softmax(logits, "probs", c, c.made.get("output_temperature"), "probabilities")
        likeliest(probs, labels).named("label", role="prediction")
        max_rows(probs).named("label_prob", role="confidence")
