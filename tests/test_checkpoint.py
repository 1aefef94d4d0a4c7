"""Checkpoints of every model type in many sizes, the ways they may be stored, and those that are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import goldens
import ml_dtypes
import numpy as np
import openpyxl
import pytest
from helpers import BARE, build, cells_of, needs, sheetgen
from safetensors.numpy import load_file, save_file

from sheetgen.base.errors import InputError
from sheetgen.huggingface import convert as convert_module
from sheetgen.huggingface.architectures import ARCHITECTURES, Settings
from sheetgen.huggingface.convert import cell_words, convert
from sheetgen.huggingface.files import open_checkpoint
from sheetgen.model.families import run
from sheetgen.model.given import Given
from sheetgen.trace.ops import Array

LLAMA, GPT2, MIXTRAL, SCOUT = (goldens.FOLDER / name for name in ("llama1", "gpt2", "mixtral", "llama4_scout"))


def settings_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return found


def copied(
    golden: Path,
    target: Path,
    settings: dict[str, Any] | None = None,
    tensors: Callable[[dict[str, Array]], dict[str, Array]] | None = None,
) -> Path:
    """A golden checkpoint with some settings (None: taken away) and tensors changed."""
    folder = target / "changed"
    shutil.copytree(golden, folder)
    merged = settings_of(folder) | (settings or {})
    kept = {name: value for name, value in merged.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(kept), encoding="utf-8")
    if tensors is not None:
        changed = tensors(load_file(folder / "model.safetensors"))
        save_file({name: np.ascontiguousarray(t) for name, t in changed.items()}, folder / "model.safetensors")
    return folder


def logits(folder: Path, tokens: str = "3,1,4,1,5,9", **cuts: Any) -> Array:
    made = convert(folder, Given(tokens=[int(t) for t in tokens.split(",")]), **cuts)
    return run(made.request.config, made.source)["logits"].value


def refused(folder: Path, *told: str, options: tuple[str, ...] = ()) -> None:
    """`build --from` ends with code 2 and one line that tells this."""
    result = sheetgen("build", "--from", folder, "-o", folder / "never.xlsx", *options)
    assert result.code == 2, result.out
    assert result.err.count("\n") == 1, result.err
    for word in told:
        assert word in result.err, result.err
    assert not (folder / "never.xlsx").exists()


# --- other sizes -------------------------------------------------------------------------------------------------


def random_checkpoint(kind: str, seed: int, folder: Path) -> Path:
    """A tiny model of this type with sizes drawn from the seed."""
    random = np.random.default_rng(seed)

    def any_of(*values: Any) -> Any:
        return values[random.integers(len(values))]

    heads, layers = int(random.integers(1, 5)), int(random.integers(1, 4))
    size = any_of(2, 4, 6)
    experts = int(random.integers(1, 7))
    settings = {
        "model_type": kind,
        "vocab_size": int(random.integers(5, 18)),
        "hidden_size": heads * int(random.integers(1, 5)),
        "intermediate_size": int(random.integers(3, 10)),
        "intermediate_size_mlp": int(random.integers(3, 10)),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": any_of(*(k for k in range(1, heads + 1) if heads % k == 0)),
        "head_dim": size,
        "rope_theta": any_of(100.0, 10000),
        "sliding_window": any_of(2, 3, 4, 5, None),
        "use_sliding_window": any_of(True, False),
        "max_window_layers": int(random.integers(0, layers + 1)),
        "num_local_experts": experts,
        "num_experts_per_tok": int(random.integers(1, min(experts, 3) + 1)),
        "attention_chunk_size": any_of(2, 3, 4),
        "interleave_moe_layer_step": any_of(1, 2),
        "no_rope_layer_interval": any_of(1, 2, 4),
        "use_qk_norm": any_of(True, False),
        "floor_scale": 2,
        "attention_bias": any_of(True, False),
        "mlp_bias": any_of(True, False),
        "tie_word_embeddings": any_of(True, False),
    }
    if kind == "nemotron":
        settings["partial_rotary_factor"] = 1.0 if size == 2 else 0.5 if size == 4 else 2 / 3
    if kind == "gpt2":
        settings |= {"n_embd": settings["hidden_size"], "n_layer": layers, "n_head": heads, "n_positions": 7}
        settings |= {"n_inner": any_of(None, 5)}
    if kind == "vit":
        patch = any_of(1, 2, 3)
        settings |= {"patch_size": patch, "image_size": [patch * any_of(1, 2), patch * any_of(2, 3)]}
        settings |= {"num_channels": any_of(1, 3), "qkv_bias": any_of(True, False)}
        settings |= {"id2label": {str(i): f"class {i}" for i in range(any_of(1, 2, 5))}}
    architecture = ARCHITECTURES[kind]
    (folder / "config.json").write_text(
        json.dumps({"model_type": kind, architecture.inner: settings} if architecture.inner else settings)
    )
    fields = architecture.fields(Settings(folder / "config.json", settings, architecture.defaults))
    parts = architecture.parts(architecture.family(**fields), ())
    shapes = {part.tensor: part.shape for part in parts.values()}
    shapes |= {part.bias: (part.outputs,) for part in parts.values() if part.bias}
    tensors = {name: random.normal(size=shape).astype(any_of("f4", "f2")) for name, shape in shapes.items()}
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_other_sizes_are_built_and_equal(kind: str, seed: int, tmp_path: Path) -> None:
    folder = random_checkpoint(kind, seed * 1000 + len(kind), tmp_path)
    path = build(tmp_path / "book.xlsx", "--from", folder, *BARE, *(["--formulas", "cells"] if seed % 2 else []))
    result = sheetgen("check", path)
    assert result.code == 0, result.out + result.err
    assert "tensors equal" in result.out


# --- spellings ---------------------------------------------------------------------------------------------------


def test_spellings_of_transformers_4(tmp_path: Path) -> None:
    llama31 = goldens.FOLDER / "llama31"
    scaling = settings_of(llama31)["rope_parameters"]
    theta = scaling.pop("rope_theta")
    for number, name in enumerate(("rope_type", "type")):
        old = {name: scaling["rope_type"]} | {k: v for k, v in scaling.items() if k != "rope_type"}
        at = tmp_path / str(number)
        folder = copied(llama31, at, {"rope_parameters": ..., "rope_theta": theta, "rope_scaling": old})
        assert np.array_equal(logits(folder), logits(llama31))


def test_defaults_of_the_class(tmp_path: Path) -> None:
    absent = {"head_dim": ..., "num_key_value_heads": ..., "hidden_act": ..., "attention_bias": ..., "mlp_bias": ...}
    folder = copied(LLAMA, tmp_path, absent | {"rope_parameters": ..., "tie_word_embeddings": ..., "rms_norm_eps": ...})
    assert np.array_equal(logits(folder), logits(LLAMA))


def test_null_means_the_default(tmp_path: Path) -> None:
    nothing = {"head_dim": None, "num_key_value_heads": None, "rope_scaling": None, "rope_parameters": None}
    assert np.array_equal(logits(copied(LLAMA, tmp_path, nothing)), logits(LLAMA))


@pytest.mark.parametrize("spelling", [{"hidden_act": "gelu"}, {"hidden_activation": "gelu_pytorch_tanh"}])
def test_gelu_of_old_gemma_is_tanh(tmp_path: Path, spelling: dict[str, str]) -> None:
    gemma = goldens.FOLDER / "gemma"
    assert np.array_equal(logits(copied(gemma, tmp_path, spelling)), logits(gemma))


@pytest.mark.parametrize("prefix", ["", "language_model.model.", "model.language_model."])
def test_prefixes(tmp_path: Path, prefix: str) -> None:
    def renamed(tensors: dict[str, Array]) -> dict[str, Array]:
        return {prefix + n.removeprefix("model.") if n.startswith("model.") else n: t for n, t in tensors.items()}

    assert np.array_equal(logits(copied(LLAMA, tmp_path, {}, renamed)), logits(LLAMA))


def test_buffers_of_old_checkpoints_are_passed_over(tmp_path: Path) -> None:
    def with_masks(tensors: dict[str, Array]) -> dict[str, Array]:
        masks = {f"transformer.h.{i}.attn.bias": np.ones((1, 1, 8, 8), dtype=bool) for i in range(2)}
        last = {"transformer.h.0.attn.masked_bias": np.array(-1e4, dtype="f4")}
        return tensors | masks | last | {"lm_head.weight": tensors["transformer.wte.weight"]}

    assert np.array_equal(logits(copied(GPT2, tmp_path, {}, with_masks)), logits(GPT2))


@pytest.mark.parametrize("block", ["mlp", "block_sparse_moe"])
def test_fused_experts(tmp_path: Path, block: str) -> None:
    def fused(tensors: dict[str, Array]) -> dict[str, Array]:
        found = {n: t for n, t in tensors.items() if "block_sparse_moe" not in n}
        for i in range(2):
            old, new = f"model.layers.{i}.block_sparse_moe", f"model.layers.{i}.{block}"
            w1, w2, w3 = (np.stack([tensors[f"{old}.experts.{e}.w{n}.weight"] for e in range(4)]) for n in (1, 2, 3))
            found[f"{new}.gate.weight"] = tensors[f"{old}.gate.weight"]
            found[f"{new}.experts.gate_up_proj"] = np.concatenate([w1, w3], axis=1)
            found[f"{new}.experts.down_proj"] = w2
        return found

    assert np.array_equal(logits(copied(MIXTRAL, tmp_path, {}, fused)), logits(MIXTRAL))


def test_text_model_of_llama4(tmp_path: Path) -> None:
    def both(tensors: dict[str, Array]) -> dict[str, Array]:
        text = {f"language_model.{name}": tensor for name, tensor in tensors.items()}
        return text | {"vision_model.class_embedding": np.ones(3), "multi_modal_projector.linear_1.weight": np.ones(3)}

    wrapped = {"model_type": "llama4", "text_config": settings_of(SCOUT) | {"no_rope_layers": []}}
    folder = copied(SCOUT, tmp_path, dict.fromkeys(settings_of(SCOUT), ...) | wrapped, both)
    assert np.array_equal(logits(folder), logits(SCOUT))
    assert "vision" in convert(folder, Given()).cut


def test_lists_and_steps_of_llama4(tmp_path: Path) -> None:
    maverick = goldens.FOLDER / "llama4_maverick"
    folder = copied(maverick, tmp_path, {"no_rope_layers": None, "moe_layers": None, "layer_types": None})
    assert np.array_equal(logits(folder), logits(maverick))


@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_number_formats(tmp_path: Path, kind: Any) -> None:
    folder = copied(LLAMA, tmp_path, {}, lambda tensors: {n: t.astype(kind) for n, t in tensors.items()})
    rounded = load_file(folder / "model.safetensors")["lm_head.weight"].astype(float)
    made = convert(folder, Given())
    assert np.array_equal(run(made.request.config, made.source)["W_U"].value, rounded)


def sharded(folder: Path, **files: str) -> Path:
    """The checkpoint in two shards with an index; `files` are other names for them."""
    tensors = load_file(folder / "model.safetensors")
    names = {0: "model-00001-of-00002.safetensors", 1: "model-00002-of-00002.safetensors"}
    for part, file in names.items():
        save_file({name: t for i, (name, t) in enumerate(tensors.items()) if i % 2 == part}, folder / file)
    where = {name: files.get(names[i % 2], names[i % 2]) for i, name in enumerate(tensors)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    (folder / "model.safetensors").unlink()
    return folder


def test_shards(tmp_path: Path) -> None:
    assert np.array_equal(logits(sharded(copied(LLAMA, tmp_path))), logits(LLAMA))


def test_linear_rope_scaling_is_a_slower_position(tmp_path: Path) -> None:
    folder = copied(LLAMA, tmp_path, {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}})
    made = convert(folder, Given())
    trace = run(made.request.config, made.source)
    frequency = 10000.0 ** (-np.array([0, 1, 0, 1]) / 2)
    assert np.allclose(trace["rope.angle"].value, frequency[:, None] * np.arange(6) / 2, rtol=1e-15)


@pytest.mark.parametrize(("first", "window", "start"), [(0, 3, 0), (1, 3, 1), (2, 0, 0)])
def test_window_of_the_last_layers(tmp_path: Path, first: int, window: int, start: int) -> None:
    qwen = goldens.FOLDER / "qwen2"
    settings = {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": first, "layer_types": ...}
    config: Any = convert(copied(qwen, tmp_path, settings), Given()).request.config
    assert (config.window, config.window_from) == (window, start)


# --- cutting down ------------------------------------------------------------------------------------------------


def test_fewer_layers_and_words(tmp_path: Path) -> None:
    options = ("--tokens", "3,1,4,1", "--layers", "1", "--keep-vocab", "4, 3 9,1")
    path = build(tmp_path / "cut.xlsx", "--from", LLAMA, *options)
    book = openpyxl.load_workbook(path)
    config = {row[0].value: row[1].value for row in book["Config"].iter_rows()}
    assert config["cut"] == "layers 1 of 2, vocabulary 4 of 12"
    assert config["n_layers"] == 1
    assert config["preset"] == "llama"
    assert [row[0].value for row in cells_of(book, "vocabulary")] == ["t4", "t3", "t9", "t1"]
    assert "layer_1__out" not in book.defined_names
    assert sheetgen("check", path).code == 0
    made = convert(LLAMA, Given(tokens=[3, 1, 4, 1]), layers=1)
    whole = run(made.request.config, made.source)
    cut = convert(LLAMA, Given(tokens=[3, 1, 4, 1]), layers=1, keep="4 3 9 1")
    kept = run(cut.request.config, cut.source)
    assert np.array_equal(kept["tokens"].value, [[1, 3, 0, 3]])
    assert np.allclose(kept["logits"].value, whole["logits"].value[[4, 3, 9, 1]], rtol=1e-14)
    assert np.array_equal(kept["W_E"].value, whole["W_E"].value[[4, 3, 9, 1]])


def test_words_that_name_ids_are_kept() -> None:
    assert convert(LLAMA, Given(), keep="t3 t1").request.texts["vocabulary"] == ["t3", "t1"]


def test_a_whole_checkpoint_says_so() -> None:
    assert convert(LLAMA, Given()).cut == "nothing is cut: the whole checkpoint"


def test_no_sentence_gives_the_first_words() -> None:
    assert convert(LLAMA, Given()).request.texts["words"] == ["t0", "t1", "t2", "t3", "t4", "t5"]
    assert convert(LLAMA, Given(), keep="7 2").request.texts["words"] == ["t7", "t2"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--layers", "3"), "2 layers: choose 1 to 2"),
        (("--layers", "0"), "choose 1 to 2"),
        (("--keep-vocab", "1,12"), "choose 0 to 11"),
        (("--keep-vocab", ""), "--keep-vocab is empty"),
        (("--keep-vocab", "cat"), "tokenizer.json is missing"),
        (("--keep-vocab", "1,2", "--tokens", "1,3"), "leaves out id 3 ('t3')"),
        (("--tokens", "1,12"), "choose 0 to 11"),
        (("--tokens", ""), "empty"),
        (("--tokens", "1", "--text", "a"), "choose one"),
        (("--text", "the cat"), "tokenizer.json is missing"),
        (("--heads", "2"), "--heads cannot be given with --from"),
        (("--set", "rope_theta=5"), "--set cannot be given with --from"),
        (("--seed", "0"), "--seed cannot be given with --from"),
        (("--weights", "byhand"), "--weights cannot be given with --from"),
        (("--pixels", "none.npy"), "none.npy"),
        (("--target", "a"), "does not read --target"),
        (("llama1",), "both name a model"),
    ],
)
def test_refused_options(options: tuple[str, ...], told: str, tmp_path: Path) -> None:
    refused(copied(LLAMA, tmp_path), told, options=options)


def test_cutting_needs_a_checkpoint(tmp_path: Path) -> None:
    for arguments in (("llama1", "--keep-vocab", "1"), ()):
        result = sheetgen("build", *arguments, "-o", tmp_path / "never.xlsx")
        assert result.code == 2
        assert "--from" in result.err


def test_too_large_says_what_would_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied(LLAMA, tmp_path)
    monkeypatch.setattr(convert_module, "LARGEST", 3000)
    refused(folder, "--layers 1 would fit")
    assert convert(folder, Given(), layers=1).cut
    monkeypatch.setattr(convert_module, "LARGEST", 100)
    refused(folder, "not even one layer of it fits")
    monkeypatch.setattr(convert_module, "TOKENS", 2)
    monkeypatch.setattr(convert_module, "LARGEST", 2000)
    with pytest.raises(InputError, match=r"--keep-vocab with at most (\d+) words would fit") as caught:
        convert(folder, Given())
    most = int(str(caught.value).split("at most ")[1].split()[0])
    assert convert(folder, Given(), keep=",".join(map(str, range(most)))).cut
    with pytest.raises(InputError):
        convert(folder, Given(), keep=",".join(map(str, range(most + 1))))


def test_more_tokens_than_positions(tmp_path: Path) -> None:
    refused(copied(GPT2, tmp_path), "9 tokens", "8 positions", options=("--tokens", ",".join("123456789")))


# --- words -------------------------------------------------------------------------------------------------------


def tokenizer(folder: Path) -> Path:
    """A tokenizer of whole words; two differ in case only, one is a formula, one cannot be shown."""
    words = ["[UNK]", "the", "The", "cat", "=1+1", "\u200b", "http://a.b", "t0", "two words", "sat", "ﬁ", "fi"]
    data: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {w: i for i, w in enumerate(words)}, "unk_token": "[UNK]"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    return folder


@needs("tokenizers")
def test_text_through_the_tokenizer(tmp_path: Path) -> None:
    folder = tokenizer(copied(LLAMA, tmp_path))
    path = build(tmp_path / "book.xlsx", "--from", folder, "--text", "The cat sat =1+1 http://a.b the dog")
    book = openpyxl.load_workbook(path)
    shown = [cell.value for cell in cells_of(book, "words")[0]]
    assert shown == ["The", "cat", "sat", "=1+1", "http://a.b", "the", "[UNK]"]
    assert all(cell.data_type == "s" and cell.hyperlink is None for cell in cells_of(book, "words")[0])
    vocabulary = [row[0].value for row in cells_of(book, "vocabulary")]
    assert vocabulary == ["[UNK]", "the", "The", "cat", "=1+1", "t5", "http://a.b", "t0", "t8", "sat", "ﬁ", "fi"]
    result = sheetgen("check", path)
    assert result.code == 0, result.out + result.err


@needs("tokenizers")
def test_keep_words_of_the_tokenizer(tmp_path: Path) -> None:
    folder = tokenizer(copied(LLAMA, tmp_path))
    assert convert(folder, Given(text="cat the"), keep="the cat sat the").request.texts["vocabulary"] == [
        "the",
        "cat",
        "sat",
    ]


def test_words_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    folder = tokenizer(copied(LLAMA, tmp_path))
    refused(folder, "sheetgen[hf]", options=("--text", "the cat"))
    assert convert(folder, Given(tokens=[3, 9])).request.texts["words"] == ["cat", "sat"]


def test_broken_tokenizer(tmp_path: Path) -> None:
    folder = copied(LLAMA, tmp_path)
    for content in ("{", "[]", "null"):
        (folder / "tokenizer.json").write_text(content)
        refused(folder, "tokenizer.json")
    (folder / "tokenizer.json").write_text('{"model": 3, "added_tokens": [4, {"id": "x"}]}')
    assert convert(folder, Given()).request.texts["words"][0] == "t0"


def test_words_differ_in_case_and_form() -> None:
    words = cell_words({0: "a", 1: "A", 2: "t7", 3: "ª", 4: "straße", 5: "strasse", 6: "x" * 60, 8: "a"}, 9)
    assert words == ["a", "A", "t7", "ª", "straße", "strasse", "t6", "t7_7", "a_8"]


def test_the_name_of_a_folder_is_text(tmp_path: Path) -> None:
    folder = tmp_path / '=HYPERLINK("http:evil")'
    shutil.copytree(LLAMA, folder)
    path = build(tmp_path / "book.xlsx", "--from", folder)
    for sheet in openpyxl.load_workbook(path).worksheets:
        for row in sheet.iter_rows():
            for cell in row:
                if isinstance(cell.value, str) and "HYPERLINK" in cell.value:
                    assert cell.data_type == "s"
                    assert cell.hyperlink is None


# --- refused checkpoints -----------------------------------------------------------------------------------------

YARN = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4}


@pytest.mark.parametrize(
    ("golden", "settings", "told"),
    [
        ("llama1", {"model_type": "bert"}, ("'bert' is not supported", "gemma", "qwen3")),
        ("llama1", {"model_type": ...}, ("is not supported",)),
        ("llama1", {"model_type": ["llama"]}, ("is not supported",)),
        ("llama1", {"rope_parameters": YARN}, ("rope_type 'yarn'",)),
        ("llama1", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, ("'dynamic'",)),
        ("llama1", {"rope_parameters": {"full_attention": {"rope_theta": 1e4}}}, ("rope_parameters",)),
        ("llama1", {"rope_parameters": 3}, ("rope_parameters 3",)),
        ("llama31", {"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}, ("low_freq_factor",)),
        ("phi3", {"rope_scaling": {"type": "longrope", "short_factor": [1.0]}}, ("'longrope'",)),
        ("llama1", {"partial_rotary_factor": 0.5}, ("partial_rotary_factor 0.5",)),
        ("llama1", {"hidden_act": "mish"}, ("hidden_act 'mish'",)),
        ("llama1", {"hidden_act": ["silu"]}, ("hidden_act",)),
        ("llama1", {"hidden_size": "8"}, ("hidden_size '8'",)),
        ("llama1", {"hidden_size": -8}, ("hidden_size -8",)),
        ("llama1", {"num_attention_heads": 0}, ("num_attention_heads 0",)),
        ("llama1", {"rms_norm_eps": "small"}, ("rms_norm_eps 'small'",)),
        ("llama1", {"rms_norm_eps": True}, ("rms_norm_eps True",)),
        ("llama1", {"tie_word_embeddings": "yes"}, ("tie_word_embeddings 'yes'",)),
        ("llama1", {"num_key_value_heads": 3}, ("n_kv_heads 3",)),
        ("llama1", {"head_dim": 5}, ("head_dim 5 is odd",)),
        ("llama1", {"quantization_config": {"bits": 4}}, ("quantization_config",)),
        ("llama1", {"num_hidden_layers": 10**9}, ("num_hidden_layers 1000000000",)),
        ("llama1", {"num_hidden_layers": 10**4, "num_attention_heads": 10**4}, ("heads and experts",)),
        ("llama1", {"vocab_size": 10**7}, ("12×8 instead of 10000000×8",)),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, ("scale_attn_by_inverse_layer_idx True",)),
        ("gpt2", {"scale_attn_weights": False}, ("scale_attn_weights False",)),
        ("gpt2", {"add_cross_attention": True}, ("add_cross_attention True",)),
        ("gpt2", {"n_head": 3}, ("n_head 3",)),
        ("gemma", {"use_bidirectional_attention": True}, ("use_bidirectional_attention True",)),
        ("gemma", {"hidden_activation": "silu"}, ("hidden_activation 'silu'",)),
        ("qwen2", {"layer_types": ["sliding_attention", "full_attention"]}, ("layer_types",)),
        ("qwen2", {"layer_types": ["full_attention", "sliding_attention"]}, ("use_sliding_window",)),
        ("qwen2", {"layer_types": "full_attention"}, ("layer_types",)),
        ("llama4_scout", {"no_rope_layers": [0, 1, 1, 0]}, ("no_rope_layers [0, 1, 1, 0]",)),
        ("llama4_scout", {"moe_layers": [0, 2]}, ("moe_layers [0, 2]",)),
        ("llama4_scout", {"moe_layers": [0, None]}, ("moe_layers",)),
        ("llama4_scout", {"layer_types": ["full_attention"] * 4}, ("layer_types",)),
        ("llama4_scout", {"attention_chunk_size": None}, ("attention_chunk_size None",)),
        ("llama4_scout", {"model_type": "llama4"}, ("text_config",)),
        ("mixtral", {"num_experts_per_tok": 5}, ("top_k 5",)),
        ("vit", {"image_size": [4, 6, 1]}, ("image_size",)),
    ],
)
def test_refused_settings(golden: str, settings: dict[str, Any], told: tuple[str, ...], tmp_path: Path) -> None:
    refused(copied(goldens.FOLDER / golden, tmp_path, settings), *told)


def test_missing_surplus_and_wrong_tensors_are_named(tmp_path: Path) -> None:
    def broken(tensors: dict[str, Array]) -> dict[str, Array]:
        found = {n: t for n, t in tensors.items() if not n.endswith("0.mlp.up_proj.weight")}
        found["model.layers.1.self_attn.q_proj.weight"] = np.zeros((8, 7), dtype="f4")
        return found | {"model.layers.0.self_attn.q_proj.bias": np.zeros(8, dtype="f4")}

    folder = copied(LLAMA, tmp_path, {}, broken)
    wrong = "model.layers.1.self_attn.q_proj.weight is 8×7 instead of 8×8"
    surplus = "surplus: model.layers.0.self_attn.q_proj.bias"
    refused(folder, "missing: model.layers.0.mlp.up_proj.weight", surplus, wrong)


def test_many_wrong_tensors_are_counted(tmp_path: Path) -> None:
    refused(copied(LLAMA, tmp_path, {"num_hidden_layers": 1}), "and 4 more")


def test_a_second_name_for_a_tensor(tmp_path: Path) -> None:
    def doubled(tensors: dict[str, Array]) -> dict[str, Array]:
        return tensors | {"norm.weight": tensors["model.norm.weight"]}

    refused(copied(LLAMA, tmp_path, {}, doubled), "are the same tensor")


def test_a_tied_head_must_be_the_embedding(tmp_path: Path) -> None:
    refused(copied(LLAMA, tmp_path, {"tie_word_embeddings": True}), "lm_head.weight differs from")


def test_no_lm_head(tmp_path: Path) -> None:
    def headless(tensors: dict[str, Array]) -> dict[str, Array]:
        return {name: tensor for name, tensor in tensors.items() if name != "lm_head.weight"}

    refused(copied(LLAMA, tmp_path, {}, headless), "missing: lm_head.weight")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_no_cell_can_hold(tmp_path: Path, value: float) -> None:
    def spoiled(tensors: dict[str, Array]) -> dict[str, Array]:
        tensors["model.norm.weight"][2] = value
        return tensors

    refused(copied(LLAMA, tmp_path, {}, spoiled), "model.norm.weight", "not finite")


def test_a_signalling_nan_is_refused_without_a_warning(tmp_path: Path) -> None:
    def spoiled(tensors: dict[str, Array]) -> dict[str, Array]:
        tensors["model.norm.weight"] = np.full(tensors["model.norm.weight"].shape, 0x7F800001, np.uint32).view(
            np.float32
        )
        return tensors

    refused(copied(LLAMA, tmp_path, {}, spoiled), "model.norm.weight", "not finite")


def test_unknown_number_format(tmp_path: Path) -> None:
    folder = copied(LLAMA, tmp_path, {}, lambda tensors: tensors | {"lm_head.weight": np.zeros((12, 8), dtype="i1")})
    refused(folder, "lm_head.weight is stored as I8")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        open_checkpoint(tmp_path / "none")
    with pytest.raises(InputError, match="is a file"):
        open_checkpoint(LLAMA / "config.json")


@pytest.mark.parametrize("content", ["{", "[1]", "3", "", "\ud800", '{"a": ' * 100_000])
def test_broken_config(tmp_path: Path, content: str) -> None:
    folder = copied(LLAMA, tmp_path)
    (folder / "config.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    refused(folder, "config.json")


def test_no_config(tmp_path: Path) -> None:
    folder = copied(LLAMA, tmp_path)
    (folder / "config.json").unlink()
    refused(folder, "config.json is missing", "save_pretrained")
    (folder / "config.json").mkdir()
    refused(folder, "config.json cannot be read")


def test_no_weights(tmp_path: Path) -> None:
    folder = copied(LLAMA, tmp_path)
    (folder / "model.safetensors").unlink()
    refused(folder, "no weights", "model.safetensors")
    (folder / "pytorch_model.bin").touch()
    refused(folder, "only pytorch_model.bin", "save_pretrained")


def test_cut_off_weights(tmp_path: Path) -> None:
    folder = copied(LLAMA, tmp_path)
    whole = (folder / "model.safetensors").read_bytes()
    for length in (0, 7, 100, len(whole) - 1):
        (folder / "model.safetensors").write_bytes(whole[:length])
        refused(folder, "model.safetensors", "cut off")


def test_missing_shard(tmp_path: Path) -> None:
    folder = sharded(copied(LLAMA, tmp_path))
    (folder / "model-00002-of-00002.safetensors").unlink()
    refused(folder, "model-00002-of-00002.safetensors, which is missing")


@pytest.mark.parametrize("name", ["../other.safetensors", "/etc/other.safetensors", "a\\b.safetensors", "..", "x.bin"])
def test_shards_outside_the_folder_are_not_read(tmp_path: Path, name: str) -> None:
    save_file({"a": np.zeros(1)}, tmp_path / "other.safetensors")
    folder = sharded(copied(LLAMA, tmp_path), **{"model-00001-of-00002.safetensors": name})
    refused(folder, "only .safetensors files beside it are read")


@pytest.mark.parametrize("content", ["{}", '{"weight_map": {}}', '{"weight_map": {"a": 3}}', '{"weight_map": [1]}'])
def test_broken_index(tmp_path: Path, content: str) -> None:
    folder = sharded(copied(LLAMA, tmp_path))
    (folder / "model.safetensors.index.json").write_text(content)
    refused(folder, "weight_map")


def test_a_tensor_in_two_shards(tmp_path: Path) -> None:
    folder = sharded(copied(LLAMA, tmp_path))
    for file in folder.glob("model-*.safetensors"):
        save_file(load_file(file) | {"double": np.zeros(1)}, file)
    refused(folder, "double stands both in")
