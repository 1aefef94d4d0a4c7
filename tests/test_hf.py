"""Random tiny models that Hugging Face transformers builds itself, in float64, against what sheetgen makes of them.

The seed changes with every run; pytest prints it at the start. SHEETGEN_SEED=… repeats a run.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import goldens
import numpy as np
import pytest
from helpers import sheetgen

from sheetgen.huggingface.architectures import ARCHITECTURES
from sheetgen.huggingface.convert import convert
from sheetgen.model.families import run
from sheetgen.model.given import Given
from sheetgen.trace.ops import Array

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors.torch")
transformers = pytest.importorskip("transformers")

pytestmark = [pytest.mark.hf, pytest.mark.filterwarnings("ignore")]  # their warnings are not ours

SEED = int(os.environ.get("SHEETGEN_SEED", "0"))  # set by conftest.py
MODELS = 6  # of each type
KINDS = [kind for kind in ARCHITECTURES if kind != "llama4"]  # that one is llama4_text with a vision part around it


@contextmanager
def float64() -> Iterator[None]:
    """Everything that transformers does on purpose in float32 (norms, softmax, RoPE) is done in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    with (
        mock.patch.object(torch.Tensor, "float", torch.Tensor.double),
        mock.patch.object(torch, "float", torch.float64),
        mock.patch.object(torch, "float32", torch.float64),
    ):
        yield
    torch.set_default_dtype(before)


def sizes(kind: str, random: np.random.Generator) -> dict[str, Any]:
    """A configuration of this type."""

    def any_of(*values: Any) -> Any:
        return values[random.integers(len(values))]

    heads, layers, experts = (int(random.integers(1, high)) for high in (5, 4, 7))
    head_dim = any_of(2, 4, 6)
    rope = {"rope_type": "default", "rope_theta": any_of(10.0, 1e4)}
    if kind == "nemotron":
        rope["partial_rotary_factor"] = 1.0 if head_dim == 2 else 0.5 if head_dim == 4 else 2 / 3
    if kind in ("llama", "llama4_text", "qwen3", "mistral") and any_of(True, False):
        llama3 = {"low_freq_factor": 1.0, "high_freq_factor": any_of(1.0, 4.0)}
        llama3["original_max_position_embeddings"] = any_of(4, 16, 64)
        rope |= any_of({"rope_type": "linear"}, {"rope_type": "llama3"} | llama3) | {"factor": any_of(2.0, 8.0)}
    common = {
        "vocab_size": int(random.integers(5, 18)),
        "hidden_size": heads * int(random.integers(1, 5)),
        "intermediate_size": int(random.integers(3, 10)),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": any_of(*(k for k in range(1, heads + 1) if heads % k == 0)),
        "head_dim": head_dim,
        "max_position_embeddings": 64,
        "rope_parameters": rope,
        "tie_word_embeddings": any_of(True, False),
        "attention_bias": any_of(True, False),
        "mlp_bias": any_of(True, False),
        "pad_token_id": None,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    eps = {"norm_eps" if kind == "nemotron" else "rms_norm_eps": any_of(1e-6, 1e-5, 1e-2)}
    window = {"sliding_window": any_of(None, 2, 3, 4, 5)}
    every_expert = {"num_local_experts": experts, "num_experts_per_tok": int(random.integers(1, min(3, experts) + 1))}
    if kind == "gpt2":
        ends = {"bos_token_id": None, "eos_token_id": None}
        common = ends | {"vocab_size": common["vocab_size"], "n_embd": common["hidden_size"], "n_layer": layers}
        return common | {"n_head": heads, "n_positions": 9, "n_inner": any_of(None, 5), "layer_norm_epsilon": 1e-4}
    if kind == "vit":
        patch = any_of(1, 2, 3)
        common = {
            n: common[n] for n in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
        }
        image = {"image_size": [patch * any_of(1, 2), patch * any_of(2, 3)], "num_channels": any_of(1, 3)}
        return common | image | {"patch_size": patch, "qkv_bias": any_of(True, False), "num_labels": any_of(2, 3, 5)}
    if kind in ("mistral", "phi3"):
        return common | eps | window
    if kind == "mixtral":
        return common | eps | window | every_expert
    if kind in ("qwen2", "qwen3"):
        first = int(random.integers(0, layers + 1))
        return (
            common | eps | {"use_sliding_window": any_of(True, False), "max_window_layers": first, "sliding_window": 3}
        )
    if kind == "llama4_text":
        layer = {"interleave_moe_layer_step": any_of(1, 2), "no_rope_layer_interval": any_of(1, 2, 4)}
        late = {"attn_temperature_tuning": any_of(True, False), "floor_scale": 2, "attn_scale": 0.5}
        chunk = {"attention_chunk_size": any_of(2, 3, 4), "use_qk_norm": any_of(True, False)}
        return common | eps | every_expert | layer | late | chunk | {"intermediate_size_mlp": any_of(3, 7)}
    return common | eps


def saved(kind: str, random: np.random.Generator, folder: Path) -> dict[str, Array]:
    """A model with random weights in the folder, and what it computes in float64."""
    torch.manual_seed(int(random.integers(2**31)))
    config = transformers.AutoConfig.for_model(kind, **sizes(kind, random))
    config._experts_implementation = "eager"  # the others cannot compute in float64
    stored = (torch.float32, torch.float16, torch.bfloat16)[random.integers(3)]
    image = kind == "vit"
    auto = transformers.AutoModelForImageClassification if image else transformers.AutoModelForCausalLM
    auto.from_config(config)  # loads the modules that it needs, which shall not see the change
    with float64(), torch.no_grad():
        model = auto.from_config(config, attn_implementation="eager").double().eval()
        for parameter in model.parameters():
            values = torch.randn(parameter.shape) * 0.5 + (0.7 if parameter.ndim == 1 else 0.0)
            parameter.copy_(values.to(stored).to(torch.float64))
        given: dict[str, Any]
        if image:
            shape = (1, config.num_channels, *config.image_size)
            given = {"pixel_values": torch.randn(shape)}
        else:
            count = int(random.integers(1, 8))
            given = {"input_ids": torch.randint(config.vocab_size, (1, count)), "use_cache": False}
        found = model(**given, output_hidden_states=True, output_attentions=True)
    copy.deepcopy(model).to(stored).save_pretrained(folder)
    answer = {name: value.numpy() for name, value in given.items() if name != "use_cache"}
    answer |= {f"hidden_{i}": state.numpy() for i, state in enumerate(found.hidden_states)}
    answer |= {f"attn_{i}": pattern.numpy() for i, pattern in enumerate(found.attentions)}
    return answer | {"logits": found.logits.numpy()}


@pytest.mark.parametrize("number", range(MODELS))
@pytest.mark.parametrize("kind", KINDS)
def test_random_models(kind: str, number: int, tmp_path: Path) -> None:
    random = np.random.default_rng([SEED, KINDS.index(kind), number])
    folder = tmp_path / kind
    answer = saved(kind, random, folder)
    print(f"SHEETGEN_SEED={SEED}", (folder / "config.json").read_text())  # noqa: T201 - pytest shows it on failure
    tokens = [int(token) for token in answer["input_ids"][0]] if "input_ids" in answer else None
    made = convert(folder, Given(tokens=tokens, pixels=answer["pixel_values"][0] if tokens is None else None))
    trace = run(made.request.config, made.source)
    goldens.same_as(made.request.config, answer, lambda path: trace[path].value)
    if number == 0:
        path = goldens.workbook(tmp_path, folder, answer)
        goldens.same_as(made.request.config, answer, goldens.recalculated(path))
        assert sheetgen("check", path).code == 0
