"""Native sparse attention: against the stored answers, an independent loop, and the lecture's form by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import BARE, build, by_libreoffice, cells_of, edited, in_both_styles, right_in_both, sheetgen

from sheetgen.base.errors import InputError
from sheetgen.engines.values import Values
from sheetgen.model import presets
from sheetgen.model.families import run
from sheetgen.model.families.nsa import Nsa
from sheetgen.model.families.nsa_lecture import NsaLecture
from sheetgen.model.given import Given
from sheetgen.model.weights import Drawn
from sheetgen.trace.limits import Limits, Live
from sheetgen.trace.ops import Array
from sheetgen.trace.recorder import Trace

pytestmark = pytest.mark.xdist_group("nsa")  # its workbooks are built once

GOLDEN = Path(__file__).parent / "golden" / "other"
NAMES = ("nsa_byhand", "nsa_6tok", "nsa")


class Golden:
    """A stored model under our paths: its settings, its weights (a `recorder.Source`) and its answer."""

    def __init__(self, name: str) -> None:
        stored = np.load(GOLDEN / f"{name}.npz")
        self.stored = {key: value.astype(float) for key, value in stored.items() if key[:2] == "w/"}
        self.tokens = stored["input_ids"][0].tolist()
        self.logits = stored["logits64"][0].T
        c = json.loads(str(stored["config_json"]))
        self.head_dim = c["dh"]
        fields = {"V": "vocab_size", "D": "d_model", "L": "n_layers", "H": "n_heads", "KV": "n_kv_heads"}
        fields |= {"dh": "head_dim", "F": "d_ff", "l": "block", "d": "stride", "l2": "select_block", "n": "n_select"}
        fields |= {"w": "window", "init": "n_initial", "local": "n_local", "eps": "norm_eps"}
        fields |= {"share_phi": "phi_shared", "pe": "block_positions"}
        self.settings: dict[str, Any] = {ours: c[theirs] for theirs, ours in fields.items()}
        self.settings |= {"rope_theta": float(c["theta"])} if c["theta"] else {"positions": "none"}
        self.texts = presets.request(presets.find("nsa"), self.settings, Given(tokens=self.tokens)).texts

    def weight(self, path: str, shape: tuple[int, int], _around: float | None) -> Array:
        *scopes, name = path.split(".")
        top = {"W_E": "embed", "W_U": "lm_head", "w_final_norm": "norm"}
        if name in top:
            return np.asarray(self.stored[f"w/{top[name]}"].reshape(shape))
        part = {"w_norm_1": "norm1", "w_norm_2": "norm2", "W_gate": "gate", "W_up": "up", "W_down": "down"}
        part |= {"W_O": "wo", "phi_K": "phi_k", "phi_V": "phi_v", "block_positions": "pe"}
        part |= {"W_Q": "wq", "W_K": "wk", "W_V": "wv", "W_branch": "wg"}
        found = self.stored[f"w/layers.{scopes[0].removeprefix('layer_')}.{part[name]}"]
        if name in ("W_Q", "W_K", "W_V", "W_branch"):
            head, size = int(scopes[1].rpartition("_")[2]), 3 if name == "W_branch" else self.head_dim
            found = found[head * size : (head + 1) * size]
        return np.asarray(found.reshape(shape))

    def control(self, _path: str, default: Live, _limits: Limits) -> Live:
        return default

    def text(self, path: str, _count: int) -> list[str]:
        return self.texts[path]

    def numbers(self, path: str, _shape: tuple[int, int]) -> Array:
        raise AssertionError(path)

    def run(self, **changes: Any) -> Trace:
        return run(Nsa(n_tokens=len(self.tokens), **{**self.settings, **changes}), self)


@pytest.mark.parametrize("name", NAMES)
def test_equals_the_stored_answers(name: str) -> None:
    golden = Golden(name)
    assert golden.run()["logits"].value == pytest.approx(golden.logits, rel=1e-9, abs=1e-9)


def filled(folder: Path, name: str) -> dict[str, Path]:
    """The workbook in both styles with the stored weights."""
    golden = Golden(name)
    options = [f"--set={field}={json.dumps(value)}" for field, value in golden.settings.items()]
    tokens = ",".join(map(str, golden.tokens))
    weights = {key: tensor.value for key, tensor in golden.run().blocks.items() if tensor.kind == "weight"}

    def fill(book: Any) -> None:
        for key, value in weights.items():
            for cells, numbers in zip(cells_of(book, key.replace(".", "__")), value, strict=True):
                for cell, number in zip(cells, numbers, strict=True):
                    cell.value = number

    books = in_both_styles(folder, "nsa", "--tokens", tokens, *BARE, *options)
    # openpyxl saves no cached values: everything is computed anew
    return {style: edited(path, fill, f"{style}-filled.xlsx") for style, path in books.items()}


CHANGES = [
    {"window": 2},
    {"window": 4},
    {"n_select": 1, "n_local": 1},
    {"n_select": 3},
    {"n_local": 0},
    {"n_local": 2},
    {"n_initial": 1, "n_local": 0},
    {"stride": 4},
    {"select_block": 2},
    {"rope_blocks": "before"},
    {"rope_blocks": "none"},
    {"rope_pairing": "interleaved"},
    {"positions": "none"},
    {"phi": "mean"},
    {"phi_shared": True},
    {"block_positions": False},
    {"norm_eps": 1e-5},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_each_detail_matters(change: dict[str, Any]) -> None:
    golden = Golden("nsa")
    assert np.abs(golden.run(**change)["logits"].value - golden.logits).max() > 1e-9


# --- against a loop over tokens and blocks ----------------------------------------------------------------------------


def softmax(scores: Array) -> Array:
    e = np.exp(scores - scores.max())
    return np.asarray(e / e.sum())


def by_loops(config: Nsa, values: Mapping[str, Array], x: Array) -> Array:
    """What the attention of layer 0 adds, without RoPE, query by query, read off the equations of the paper."""
    t, h, size, stride = config.n_tokens, config.head_dim, config.block, config.stride
    group = config.n_heads // config.n_kv_heads
    starts = range(0, t - size + 1, stride)
    outputs = np.zeros((config.n_heads * h, t))
    for g in range(config.n_kv_heads):
        owner = f"layer_0.kv_{g}" if group > 1 else f"layer_0.head_{g}"
        k, v = (values[f"{owner}.W_{name}"] @ x for name in "KV")
        places = values[f"{owner}.block_positions"].reshape(size, h).T if config.block_positions else 0.0

        def phi(name: str, part: Array, owner: str = owner) -> Array:
            matrix = values.get(f"{owner}.phi_K" if config.phi_shared else f"{owner}.phi_{name}")
            return part.mean(axis=1) if config.phi == "mean" else np.asarray(matrix @ part.T.ravel())

        k_cmp = np.stack([phi("K", k[:, s : s + size] + places) for s in starts], axis=1)
        v_cmp = np.stack([phi("V", v[:, s : s + size]) for s in starts], axis=1)
        heads = range(g * group, (g + 1) * group)
        for i in range(t):
            queries = {j: values[f"layer_0.head_{j}.W_Q"] @ x[:, i] for j in heads}
            ended = [c for c, s in enumerate(starts) if s + size - 1 <= i]
            taken = {j: softmax(q @ k_cmp[:, ended] / np.sqrt(h)) if ended else np.zeros(0) for j, q in queries.items()}
            p = np.zeros(len(starts))
            for weights in taken.values():
                p[ended] += weights
            score = [
                sum(
                    p[c]
                    for m in range(config.select_block // stride)
                    for n in range(size // stride)
                    if 0 <= (c := config.select_block // stride * b + m - n) < len(p)
                )
                for b in range(-(-t // config.select_block))
            ]
            own = i // config.select_block
            forced = [b < config.n_initial or own - config.n_local < b <= own for b in range(len(score))]
            best = sorted(range(len(score)), key=lambda b: (not forced[b], -score[b], b))[: config.n_select]
            chosen = [s for s in range(i + 1) if s // config.select_block in best]
            latest = range(max(0, i + 1 - config.window) if config.window else 0, i + 1)
            for j, q in queries.items():
                branches = [v_cmp[:, ended] @ taken[j] if ended else np.zeros(h)]
                branches += [v[:, seen] @ softmax(q @ k[:, seen] / np.sqrt(h)) for seen in (chosen, list(latest))]
                gates = 1 / (1 + np.exp(-values[f"layer_0.head_{j}.W_branch"] @ x[:, i]))
                outputs[j * h : (j + 1) * h, i] = sum(
                    gate * branch for gate, branch in zip(gates, branches, strict=True)
                )
    return np.asarray(values["layer_0.W_O"] @ outputs)


SIZES: list[dict[str, Any]] = [
    {},
    {"n_heads": 4, "n_kv_heads": 2, "head_dim": 3},
    {"n_heads": 3, "n_kv_heads": 3, "phi_shared": True},
    {"block": 4, "stride": 2, "select_block": 2, "n_select": 3, "n_initial": 1},
    {"block": 2, "stride": 2, "select_block": 4, "n_select": 3, "n_initial": 1, "n_local": 2},
    {"block": 3, "stride": 1, "select_block": 4, "n_select": 1, "n_local": 0, "window": 0},
    {"block": 3, "stride": 3, "select_block": 3, "n_select": 1, "n_initial": 1, "n_local": 0},
    {"phi": "mean", "block_positions": False},
    {"phi": "mean", "block": 5, "stride": 5, "select_block": 5, "n_select": 9, "window": 7},
]
TEXT = "the cat sat on the mat and the dog ran to it"


@pytest.mark.parametrize("words", [6, 7, 12])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_equals_the_loop(sizes: dict[str, Any], words: int) -> None:
    given = Given(" ".join(TEXT.split()[:words]))
    request = presets.request(presets.find("nsa"), {"positions": "none"} | sizes, given)
    assert isinstance(request.config, Nsa)
    trace = run(request.config, Drawn(words, "byhand", request.texts))
    values = {path: tensor.value for path, tensor in trace.blocks.items()}
    expected = by_loops(request.config, values, values["layer_0.norm_1"])
    assert values["layer_0.attention"] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_rope_before_compression_is_the_mean_of_turned_keys() -> None:
    request = presets.request(presets.find("nsa"), {"rope_blocks": "before", "phi": "mean", "block_positions": False})
    trace = run(request.config, Drawn(0, "byhand", request.texts))
    turned = trace["layer_0.kv_0.K_rot"].value
    assert trace["layer_0.kv_0.K_cmp"].value == pytest.approx((turned[:, :-1] + turned[:, 1:]) / 2, abs=1e-12)


OPTIONS: list[tuple[object, ...]] = [
    ("--heads", 3, "--kv-heads", 3, "--layers", 2, "--dim", 5, "--head-dim", 2, "--ffn", 3, "--vocab", 9),
    ("--set=block=4", "--set=stride=2", "--set=n_initial=1", "--set=n_select=3", "--text", TEXT),
    ("--set=phi=mean", "--set=rope_blocks=before", "--set=window=0", "--set=attention_bias=all"),
    ("--set=rope_blocks=none", "--set=n_initial=1", "--set=n_local=0", "--set=qk_norm=head", "--weights=zeros"),
]
SENTENCES = {words: " ".join(TEXT.split()[:words]) for words in (6, 10)}
Recomputed = list[tuple[Path, Values | None]]  # the workbook in both styles, and as LibreOffice has it


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> dict[object, Recomputed]:
    """All workbooks of this module by what was asked for; LibreOffice is started once for all of them."""
    new = partial(tmp_path_factory.mktemp, "nsa")
    books: dict[object, dict[str, Path]] = {name: filled(new(), name) for name in NAMES}
    books |= {options: in_both_styles(new(), "nsa", *BARE, *options) for options in OPTIONS}
    for words, text in SENTENCES.items():
        books[words] = in_both_styles(new(), "nsa-lecture", *BARE, "--text", text)
    recomputed = by_libreoffice({(asked, style): path for asked in books for style, path in books[asked].items()})
    return {
        asked: [(path, recomputed.get((asked, style))) for style, path in styles.items()]
        for asked, styles in books.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_sheet_equals_the_stored_answers(sheets: dict[object, Recomputed], name: str) -> None:
    for path, recomputed in sheets[name]:
        for logits in right_in_both(path, recomputed).of("logits"):
            assert logits.astype(float) == pytest.approx(Golden(name).logits, rel=1e-9, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_sheet_follows_every_size(sheets: dict[object, Recomputed], options: tuple[object, ...]) -> None:
    for path, recomputed in sheets[options]:
        right_in_both(path, recomputed)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--set=stride=2", "--set=block=3"), "block 3 is no multiple of stride 2: choose 4, or a stride of 1 or 3"),
        (("--set=stride=2", "--set=select_block=1"), "select_block 1 is no multiple of stride 2"),
        (("--text", "hello"), "the sentence has 1 words, but a block has 2"),
        (("--set=n_initial=2",), "n_select 2 cannot hold n_initial 2 and n_local 1 blocks: choose at least 3"),
        (("--set=phi=mlp",), "phi 'mlp' is not known"),
        (("--heads", 3, "--kv-heads", 2), "n_kv_heads 2"),
        (("--head-dim", 3), "head_dim 3 is odd"),
        (("--experts", 2), "no setting 'n_experts'"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, options: tuple[object, ...], words: str) -> None:
    result = sheetgen("build", "nsa", *options, "-o", tmp_path / "nsa.xlsx")
    assert result.code == 2
    assert words in result.err


# --- the lecture's form --------------------------------------------------------------------------------------------


def lecture(words: int = 6, **sizes: Any) -> Trace:
    request = presets.request(presets.find("nsa-lecture"), sizes, Given(" ".join(TEXT.split()[:words])))
    return run(request.config, Drawn(0, "byhand", request.texts))


@pytest.mark.parametrize("words", [3, 6, 7, 10, 12])
def test_lecture_by_hand(words: int) -> None:
    trace = lecture(words)
    q, k, v = (trace[name].value for name in "QKV")
    linear, blocks = trace["compressed.W_C"].value, words // 3
    assert linear.shape == (3, 9)
    q_cmp, k_cmp, v_cmp = (
        np.stack([linear @ x[:, 3 * b : 3 * b + 3].T.ravel() for b in range(blocks)], axis=1) for x in (q, k, v)
    )
    expected = np.zeros((3, words))
    for i in range(words):
        b = i // 3
        if b < blocks:
            weights = softmax(q_cmp[:, b] @ k_cmp[:, : b + 1] / np.sqrt(3))
            expected[:, i] += v_cmp[:, : b + 1] @ weights
            best = int(np.argmax(weights))
            chosen = [s for s in range(3 * best, 3 * best + 3) if s <= i]
            expected[:, i] += v[:, chosen] @ softmax(q[:, i] @ k[:, chosen] / np.sqrt(3))
        latest = list(range(max(0, i - 2), i + 1))
        expected[:, i] += v[:, latest] @ softmax(q[:, i] @ k[:, latest] / np.sqrt(3))
    assert trace["three"].value == pytest.approx(expected, abs=1e-12)


def test_tokens_left_over_are_read_by_the_slide_alone() -> None:
    trace = lecture(10)
    assert trace["has_block"].value.tolist() == [[1.0] * 9 + [0.0]]
    for branch in ("compressed", "selected"):
        assert not trace[f"{branch}.z_branch"].value[:, 9].any()
    assert trace["window.z_branch"].value[:, 9].any()


@pytest.mark.slow
@pytest.mark.parametrize("words", SENTENCES)
def test_lecture_sheet(sheets: dict[object, Recomputed], words: int) -> None:
    for path, recomputed in sheets[words]:
        right_in_both(path, recomputed)


@pytest.mark.parametrize(
    "options", [("--head-dim", 2, "--dim", 5), ("--vocab", 9, "--set=block=2", "--set=window=1"), ("--set=block=1",)]
)
def test_lecture_sizes(tmp_path: Path, options: tuple[object, ...]) -> None:
    assert sheetgen("check", build(tmp_path / "nsa.xlsx", "nsa-lecture", *options, *BARE)).code == 0


def test_lecture_refuses_what_it_has_not() -> None:
    with pytest.raises(InputError, match="the sentence has 2 words, but a block has 3"):
        NsaLecture(n_tokens=2)
    assert "no setting 'n_layers'" in sheetgen("build", "nsa-lecture", "--layers", 2).err
