"""Models whose heads, layers or experts differ in size: values, parameter counts, workbooks, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import BARE, Made, build, far, ids, sheetgen
from limited import limited
from reference import forward

from sheetgen.model import options, presets
from sheetgen.model.families import run
from sheetgen.model.given import Given
from sheetgen.model.settings import Sizes, read
from sheetgen.model.weights import Drawn
from sheetgen.proof.check import check
from sheetgen.published.models import Toy, sizes_of
from sheetgen.published.table import model_table

# Options as people write them, and shapes that follow.
LLAMAS = {
    "llama2 --value-dims 5,3,3": {"layer_0.head_0.z": (5, 7), "layer_0.W_O": (8, 11), "layer_1.head_2.V": (3, 7)},
    "llama1 --qk-dim 6,4": {"layer_0.head_0.Q": (6, 7), "layer_0.head_1.K": (4, 7), "layer_0.head_0.V": (4, 7)},
    "llama1 --qk-dim 2": {"layer_0.head_0.Q": (2, 7), "layer_1.head_1.KT": (7, 2), "layer_0.W_O": (8, 8)},
    "llama3 --heads 4 --kv-heads 2 --value-dims 6,2": {"layer_0.head_1.z": (6, 7), "layer_0.head_2.z": (2, 7)},
    "llama1 --heads-per-layer 1,3 --ffn-per-layer 4,12": {"layer_1.concat": (12, 7), "layer_1.ffn.h": (12, 7)},
    "llama1 --heads 2 --head-dim 4 --no-output-projection": {"layer_0.concat": (8, 7)},
    "llama4 --expert-widths 4,4,7 --expert-outputs 8,8,11": {
        "layer_0.expert_2.h": (7, 7), "layer_0.expert_2.down": (11, 7), "layer_1.expert_2.W_back": (8, 11),
    },
    "llama4 --layers 4 --moe-every 2 --expert-outputs 6,8,8": {"layer_1.expert_0.W_back": (8, 6)},
}  # fmt: skip
OTHERS = ["vit --value-dims 5,3,3 --qk-dim 4", "vit --no-output-projection", "mixtral --expert-outputs 5,8,8,9"]


def model(command: str, given: Given) -> Made:
    """The model of a preset with options, as the command line reads them."""
    name, settings = options.parse(command)
    request = presets.request(presets.find(name), settings, given)
    return Made(request, run(request.config, Drawn(0, "byhand", request.texts, request.arrays)))


@pytest.mark.parametrize("command", LLAMAS)
def test_uneven_llamas_equal_plain_numpy(command: str) -> None:
    made = model(command, Given(tokens=ids(7)))
    for path, shape in LLAMAS[command].items():
        assert made.trace[path].shape == shape, path
    for path, value in forward(made.request.config, made.weights, ids(7)).items():
        assert far(made.values[path], value) <= 1e-12, path


@pytest.mark.parametrize("command", [*LLAMAS, *OTHERS])
def test_scale_counts_the_red_cells(command: str) -> None:
    made = model(command, Given())
    toy = Toy(sizes_of(made.request.config), made.trace.parameters())
    table = model_table(made.request.preset.published, [toy]).trace
    assert table["scale.total"].value[-2, 0] == pytest.approx(made.trace.parameters())


@pytest.mark.parametrize("command", [
    "llama1 --dim 1000000000", "llama1 --head-dim 100000", "llama1 --ffn 1000000000", "llama1 --vocab 1000000",
    "llama1 --layers 1000000 --heads 1000000 --kv-heads 1", "llama1 --layers 1000000 --heads 1 --kv-heads 1",
    "llama1 --heads-per-layer 1000000000,1", "llama1 --value-dims 1000000000", "llama1 --qk-dim 1000000000",
    "llama1 --ffn-per-layer 1000000000,1", "mixtral --set n_experts=1000000", "mixtral --set expert_widths=1000000000",
    "mixtral --set expert_outputs=1000000000", "nsa --set head_dim=20000 --set phi=mean", "vit --set n_labels=1000000",
    "vit --dim 1000000000", "transformer --dim 1000000000", "attention --set head_dim=1000000000",
])  # fmt: skip
def test_a_gigantic_model_is_refused_at_once(command: str, tmp_path: Path) -> None:
    """Before its numbers are drawn: there is neither the time nor the memory for them."""
    result = limited("build", *command.split(), "-o", tmp_path / "book.xlsx")
    assert result.code == 2, result.err
    assert "choose smaller sizes" in result.message


@pytest.mark.parametrize("command", ["llama1 --heads-per-layer 1,1 --heads 90000 --kv-heads 1", "mixtral --layers 1"])
def test_what_nobody_counts_is_not_refused(command: str) -> None:
    assert model(command, Given()).trace.blocks


@pytest.mark.slow
@pytest.mark.parametrize("command", [*LLAMAS, *OTHERS, "gpt2 --no-bias", "transformer --no-bias", "llama1 --bias"])
def test_the_workbook_is_equal(command: str, tmp_path: Path) -> None:
    preset, *options = command.split()
    report = check(build(tmp_path / "book.xlsx", preset, *options, *BARE))
    assert report.difference is None, report.difference


@pytest.mark.parametrize(("command", "message"), [
    ("llama1 --qk-dim 3", "qk_dims 3 is odd, but RoPE turns pairs: choose 4"),
    ("llama1 --value-dims 5,3,3 --heads 2", "value_dims has 3 sizes, but there are 2 key/value heads"),
    ("llama1 --value-dims 5,0", "write whole numbers from 1 on, such as 5,3,3"),
    ("llama1 --value-dims wide", "value_dims 'wide' is not a list of sizes"),
    ("llama1 --no-output-projection --head-dim 6", "the values of all heads must be d_model 8 wide"),
    ("vit --no-output-projection --dim 9", "the values of all heads must be d_model 9 wide"),
    ("llama3 --heads-per-layer 4,3", "the 3 heads of layer 1 cannot share n_kv_heads 2"),
    ("llama1 --heads-per-layer 1,2,3 --layers 2", "heads_by_layer has 3 sizes, but there are 2 layers"),
    ("nsa --heads-per-layer 4", "heads_by_layer is not for native sparse attention"),
    ("llama4 --ffn-per-layer 3,4", "d_ff_by_layer is for models without experts"),
    ("attention --bias", "attention has no setting 'bias'"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(command: str, message: str, tmp_path: Path) -> None:
    result = sheetgen("build", *command.split(), "-o", tmp_path / "book.xlsx")
    assert result.code == 2
    assert message in result.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("written", "sizes"), [
    ("5,3,3", (5, 3, 3)), ("5 3 3", (5, 3, 3)), ("5; 3", (5, 3)), ("alike", ()), (5.0, (5,)), ([5, 3], (5, 3)),
    ("five", "five"), ((1, 2), (1, 2)), (2.5, 2.5), (True, True),
])  # fmt: skip
def test_how_lists_are_written(written: object, sizes: object) -> None:
    assert read(Sizes, written) == sizes
