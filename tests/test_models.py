"""The models: against an independent NumPy forward pass; their sizes; their growth."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from helpers import PRESETS, contract, far, ids, make
from reference import closed_formula, forward

from sheetgen.base.errors import InputError
from sheetgen.model import nn
from sheetgen.model.config import setting
from sheetgen.model.families import FAMILIES, Llama4, run
from sheetgen.model.families.heads import Heads
from sheetgen.model.families.mixture import Experts
from sheetgen.model.families.stack import ROWS, Context, Stack
from sheetgen.model.weights import Drawn
from sheetgen.trace.tensor import Tensor, sum_rows, weight

# --- against the independent forward pass ------------------------------------------------------------------------

SIZES: list[tuple[str, int, dict[str, Any]]] = [  # preset, tokens, sizes
    ("llama1", 6, {}),
    ("llama1", 1, {}),
    ("llama1", 24, {"n_layers": 1}),
    ("llama1", 5, {"n_heads": 3, "d_model": 5, "head_dim": 2, "d_ff": 7}),
    ("llama1", 7, {"n_heads": 1, "n_layers": 6, "rope_theta": 100.0}),
    ("llama2", 6, {}),
    ("llama2", 6, {"rope_pairing": "interleaved", "head_dim": 6}),
    ("llama2", 9, {"n_heads": 8, "n_kv_heads": 1, "norm_eps": 0.1}),
    ("llama3", 6, {}),
    ("llama3", 10, {"n_heads": 6, "n_kv_heads": 3, "vocab_size": 30}),
    ("llama3", 10, {"n_heads": 8, "n_kv_heads": 4, "rope_pairing": "interleaved"}),
    ("llama4", 6, {}),
    ("llama4", 1, {}),
    ("llama4", 24, {"attention_chunk_size": 5, "n_layers": 3}),
    ("llama4", 9, {"n_layers": 4, "nope_every": 4, "moe_every": 2}),
    ("llama4", 9, {"n_layers": 6, "nope_every": 3, "moe_every": 3, "d_ff_dense": 5, "n_heads": 3}),
    ("llama4", 6, {"n_experts": 1}),
    ("llama4", 6, {"n_experts": 8}),
    ("llama4", 8, {"n_experts": 5, "top_k": 3}),
    ("llama4", 8, {"n_experts": 2, "top_k": 2, "qk_norm": "none"}),
    ("llama4", 8, {"attn_scale": 0.5, "floor_scale": 2, "nope_every": 1}),
    ("llama4", 8, {"rope_pairing": "half", "head_dim": 6, "n_heads": 2, "n_kv_heads": 2}),
]


@pytest.mark.parametrize(("preset", "tokens", "sizes"), SIZES, ids=[f"{p} {t} {s}" for p, t, s in SIZES])
@pytest.mark.parametrize("weights", ["byhand", "normal"])
def test_every_tensor_equals_the_reference(preset: str, tokens: int, sizes: dict[str, Any], weights: Any) -> None:
    made = make(preset, tokens=ids(tokens, sizes.get("vocab_size", 12)), weights=weights, **sizes)
    expected = forward(made.request.config, made.weights, ids(tokens, sizes.get("vocab_size", 12)))
    assert {path: far(made.values[path], value) for path, value in expected.items()} == {
        path: pytest.approx(0, abs=1e-12) for path in expected
    }


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("sizes", [{}, {"n_heads": 6, "n_kv_heads": 2, "n_layers": 3}, {"n_heads": 1}])
def test_paths_and_shapes_of_the_contract(preset: str, sizes: dict[str, Any]) -> None:
    made = make(preset, **sizes)
    c: Any = made.request.config
    tokens = c.n_tokens
    shapes = {
        "tokens": (1, tokens), "Q": (c.head_dim, tokens), "K": (c.head_dim, tokens), "V": (c.head_dim, tokens),
        "pattern": (tokens, tokens), "logits": (c.vocab_size, tokens), "probs": (c.vocab_size, tokens),
    }  # fmt: skip
    for path in contract(c):
        assert made.trace[path].shape == shapes.get(path.rpartition(".")[2], (c.d_model, tokens)), path
    controls = {path: t for path, t in made.trace.blocks.items() if t.kind == "control"}
    assert controls
    assert all(path.startswith("control.") and t.shape == (1, 1) for path, t in controls.items())
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_.]*", path) for path in made.trace.blocks)


@pytest.mark.parametrize("preset", PRESETS)
def test_probabilities_and_patterns(preset: str) -> None:
    made = make(preset, tokens=ids(10))
    c: Any = made.request.config
    np.testing.assert_allclose(made.values["probs"].sum(axis=0), 1, atol=1e-12)
    for path, pattern in made.values.items():
        if path.endswith(".pattern"):
            layer = int(path.split(".")[0].removeprefix("layer_"))
            chunked = isinstance(c, Llama4) and (layer + 1) % c.nope_every != 0
            query, key = np.arange(10)[None], np.arange(10)[:, None]
            seen = (key <= query) & (not chunked or key // 4 == query // 4)
            assert ((pattern == 0) == ~seen).all(), path
            np.testing.assert_allclose(pattern.sum(axis=0), 1, atol=1e-12)


def test_llama4_has_all_that_makes_it_llama4() -> None:
    made = make("llama4")
    values = made.values
    assert {"layer_0.head_0.Q_norm", "layer_0.head_0.Q_rot", "layer_1.head_0.Q_temp"} <= set(values)
    assert "layer_1.head_0.Q_rot" not in values
    assert values["temperature"].max() > 1
    assert (values["mask"] != values["mask_chunked"]).any()
    for layer in range(2):
        g = values[f"layer_{layer}.router.g"]
        assert ((g > 0).sum(axis=0) == 1).all()
        assert len(set(g.argmax(axis=0))) > 1, "all tokens go to one expert: nothing to see"
        assert f"layer_{layer}.shared.down" in values


# --- how many parameters -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("preset", "tokens", "sizes"), SIZES, ids=[f"{p} {t} {s}" for p, t, s in SIZES])
def test_parameters_by_the_closed_formula(preset: str, tokens: int, sizes: dict[str, Any]) -> None:
    made = make(preset, tokens=ids(tokens), **sizes)
    config: Any = made.request.config
    assert made.trace.parameters() == closed_formula(config)


# --- growth ------------------------------------------------------------------------------------------------------

SMALL = {"n_layers": 2, "n_heads": 2, "n_kv_heads": 1, "d_ff": 4}
GROWTH: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    *((preset, SMALL, SMALL | {"n_layers": 5}) for preset in PRESETS),
    *((preset, SMALL, SMALL | {"n_heads": 3}) for preset in PRESETS),
    *((preset, SMALL, SMALL | {"d_ff": 9}) for preset in PRESETS),
    *((preset, SMALL, SMALL | {"vocab_size": 20}) for preset in PRESETS),
    *((preset, SMALL, SMALL | {"d_model": 11}) for preset in PRESETS),
    ("llama1", {}, {"n_heads": 3}),
    ("llama3", {}, {"n_heads": 8}),
    ("llama3", {"n_kv_heads": 1}, {"n_kv_heads": 2}),
    ("llama4", {}, {"n_heads": 8}),
    ("llama4", {}, {"n_experts": 4}),
    ("llama4", {"n_experts": 1}, {"n_experts": 8}),
    ("llama4", {"moe_every": 2}, {"moe_every": 2, "d_ff_dense": 20}),
]


@pytest.mark.parametrize("weights", ["byhand", "normal"])
@pytest.mark.parametrize(("preset", "sizes", "more"), GROWTH, ids=[f"{p} {a} {b}" for p, a, b in GROWTH])
def test_growth_leaves_weights_unchanged(
    preset: str, sizes: dict[str, Any], more: dict[str, Any], weights: Any
) -> None:
    small = make(preset, seed=3, weights=weights, **sizes).weights
    large = make(preset, seed=3, weights=weights, **more).weights
    assert set(small) <= set(large)
    assert sum(w.size for w in small.values()) < sum(w.size for w in large.values())
    for path, w in small.items():
        rows, columns = w.shape
        assert np.array_equal(large[path][:rows, :columns], w), path


@pytest.mark.parametrize("preset", PRESETS)
def test_a_longer_sentence_leaves_weights_and_words_unchanged(preset: str) -> None:
    short, long = make(preset, "the cat sat on the mat"), make(preset, "the cat sat on the mat and the cat slept")
    assert all(np.array_equal(w, long.weights[path]) for path, w in short.weights.items())
    grown = make(preset, "the cat sat on the mat", vocab_size=40).request.texts["vocabulary"]
    assert grown[:12] == short.request.texts["vocabulary"]


def test_another_seed_and_another_place_give_other_numbers() -> None:
    one, other = make("llama4").weights, make("llama4", seed=1).weights
    assert all(not np.array_equal(w, other[path]) for path, w in one.items())
    assert not np.array_equal(one["layer_0.head_0.W_Q"], one["layer_0.head_1.W_Q"])
    assert not np.array_equal(one["layer_0.head_0.W_Q"], one["layer_1.head_0.W_Q"])


def test_kinds_of_weights() -> None:
    byhand, normal, zeros = (make("llama3", weights=kind).weights for kind in ("byhand", "normal", "zeros"))
    for path, w in byhand.items():
        low, high = (0.8, 1.2) if ".w_" in f".{path}" else (-0.9, 0.9)
        assert ((low <= w) & (w <= high)).all()
        assert (np.round(w, 1) == w).all()
        assert not np.signbit(w[w == 0]).any(), "−0 would be shown as -0"
    spread = np.concatenate([w.ravel() for path, w in normal.items() if ".w_" not in f".{path}"])
    assert abs(spread.mean()) < 0.003
    assert abs(spread.std() - 0.02) < 0.002
    assert all((w == (1 if ".w_" in f".{path}" else 0)).all() for path, w in zeros.items())


# --- parts of a decoder -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Averaging(Heads):
    """Every head takes the mean of the values that it sees: an attention in one class, without queries and keys."""

    value_dim: int = setting(3, "Length of one value.")

    def attention(self, i: int, x: Tensor, context: Context) -> Tensor:
        mask = self.mask_of(i, context)

        def z(_j: int) -> Tensor:
            pattern = (mask / sum_rows(mask)).named("pattern")
            return (nn.project("V", self.value_dim, x, weight).named("V") @ pattern).named("z")

        return nn.project_out(nn.heads(range(self.n_heads), z, context.controls), weight, self.d_model, bias=False)


@dataclass(frozen=True, kw_only=True)
class Averager(Averaging, Experts):
    """With the experts that Mixtral has."""

    family: ClassVar[str] = "averager"


def test_another_attention_is_one_class() -> None:
    """It goes together with the parts there are, and has the settings of its parts only."""
    config = Averager(positions="none", n_heads=3, n_tokens=4, window=2)
    texts = {"words": list("abca"), "vocabulary": list("abcdefghijkl")}
    trace = run(config, Drawn(0, "byhand", texts, {}))
    values = {path: tensor.value for path, tensor in trace.blocks.items()}
    v, seen = values["layer_1.head_2.W_V"] @ values["layer_1.norm_1"], np.tri(4) - np.tri(4, k=-2)
    assert far(values["layer_1.head_2.z"], v @ (seen / seen.sum(axis=1, keepdims=True)).T) <= 1e-12
    assert "layer_1.expert_3.down" in values
    rows = [f.name for f in config.settings()]
    assert rows[:6] == ["controls", "precision", "d_model", "n_layers", "n_heads", "d_ff"]
    assert rows[-2:] == ["d_ff_dense", "value_dim"]
    assert not {"n_kv_heads", "head_dim", "qk_norm", "value_dims"} & set(rows)


def test_every_row_in_order_is_a_setting() -> None:
    decoders = [family for family in FAMILIES.values() if issubclass(family, Stack)]
    assert set(ROWS) <= {f.name for family in decoders for f in family.settings()}
    assert len(set(ROWS)) == len(ROWS)


# --- what a family refuses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"n_heads": 4, "n_kv_heads": 3}, "n_heads 4 cannot be shared among n_kv_heads 3: .*1, 2, 4"),
        ({"head_dim": 3}, "head_dim 3 is odd.*choose 4"),
        ({"n_layers": 0}, "n_layers 0 is too small"),
        ({"d_model": -1}, "d_model -1 is too small"),
        ({"d_ff": 1.5}, "d_ff 1.5 is not a number|d_ff 1.5 is not a whole number"),
        ({"n_layers": True}, "n_layers True is not a"),
        ({"norm_eps": -1.0}, "norm_eps -1.0 is too small"),
        ({"rope_theta": float("nan")}, "rope_theta nan"),
        ({"rope_theta": float("inf")}, "rope_theta inf"),
        ({"rope_pairing": "thirds"}, "rope_pairing 'thirds'.*half"),
        ({"top_k": 5}, "top_k 5 is more than n_experts 4"),
        ({"qk_norm": 1}, "qk_norm 1 is not known"),
        ({"tied": 1}, "tied 1 is not true or false"),
    ],
)
def test_sizes_that_are_refused(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Llama4(**sizes)
