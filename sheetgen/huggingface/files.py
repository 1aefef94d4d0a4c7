"""A Hugging Face checkpoint folder as it lies on disk: config.json and the tensors of its safetensors files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401 - teaches NumPy bfloat16, which safetensors asks it for
import numpy as np
from safetensors import SafetensorError, safe_open

from sheetgen.base.errors import InputError
from sheetgen.base.files import opened
from sheetgen.trace.ops import Array

CONFIG, SINGLE, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
DTYPES = ("F64", "F32", "F16", "BF16")
LARGEST_JSON = 1 << 28  # bytes; a tokenizer.json of 256,000 words has 35 million


@dataclass(frozen=True)
class Checkpoint:
    """A folder that has been opened: its settings and, of each tensor, the shape and the file."""

    folder: Path
    settings: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    files: Mapping[str, Path]
    _opened: dict[Path, Any] = field(default_factory=dict)

    def read(self, name: str, where: tuple[slice, ...] = (), only: Sequence[int] | None = None) -> Array:
        """A tensor as float64, or the part `where` of it, or `only` these rows; the rest stays on disk."""
        tensor = self._opened[self.files[name]].get_slice(name)
        if tensor.get_dtype() not in DTYPES:
            raise InputError(
                f"{self.files[name]}: {name} is stored as {tensor.get_dtype()}, but this reads {', '.join(DTYPES)}: "
                "save the model in one of them"
            )
        parts = [where] if only is None else [(slice(row, row + 1),) for row in only]
        with np.errstate(invalid="ignore"):  # of a signalling NaN; it is refused below
            found = np.concatenate([np.asarray(tensor[part or (slice(None),)], dtype=float) for part in parts])
        if not np.isfinite(found).all():
            raise InputError(f"{self.files[name]}: {name} holds a number that is not finite: no cell can show it")
        return found


def open_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint in a folder: config.json with model.safetensors, or with an index and its shards.

    Raises InputError, naming the file and the remedy, for what is missing, broken or outside the folder.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise InputError(f"{folder} {what}: give the folder of a checkpoint, with {CONFIG} and {SINGLE}")
    settings = read_json(folder / CONFIG, "save the model with save_pretrained, which writes it")
    opened = {}
    shapes: dict[str, tuple[int, ...]] = {}
    files: dict[str, Path] = {}
    for file in _weight_files(folder):
        opened[file] = _open(file)
        for name in opened[file].keys():  # noqa: SIM118 - no dict
            if name in files:
                raise InputError(f"{folder}: {name} stands both in {files[name].name} and in {file.name}: keep one")
            shapes[name] = tuple(opened[file].get_slice(name).get_shape())
            files[name] = file
    return Checkpoint(folder, settings, shapes, files, opened)


def read_json(file: Path, remedy: str) -> dict[str, Any]:
    """A JSON file that holds an object; raises InputError, with the remedy, when there is none."""
    try:
        with opened(file) as stream:
            content = stream.read(LARGEST_JSON + 1)
        if len(content) > LARGEST_JSON:
            raise InputError(f"{file} is larger than {LARGEST_JSON >> 20} MiB: it is not read")
        found = json.loads(content.decode("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file} is missing: {remedy}") from None
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is no JSON ({str(error)[:100]}): {remedy}") from None
    if not isinstance(found, dict):
        raise InputError(f"{file} holds a {type(found).__name__} instead of fields with values: {remedy}")
    return found


def _weight_files(folder: Path) -> list[Path]:
    if (folder / SINGLE).exists():
        return [folder / SINGLE]
    if not (folder / INDEX).exists():
        others = sorted(file.name for pattern in ("*.bin", "*.pt", "*.gguf") for file in folder.glob(pattern))
        held = f"only {others[0]}" if others else "no weights"
        raise InputError(
            f"{folder} holds {held}, but {SINGLE} or {INDEX} is read: save the model again with save_pretrained"
        )
    index = folder / INDEX
    shards = read_json(index, "save the model again with save_pretrained").get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(isinstance(name, str) for name in shards.values()):
        raise InputError(f"{index} has no weight_map from tensors to files: save the model again with save_pretrained")
    for name in shards.values():
        if name != Path(name.replace("\\", "/")).name or not name.endswith(".safetensors"):
            raise InputError(f"{index} names the file {name!r}, but only .safetensors files beside it are read")
        if not (folder / name).is_file():
            raise InputError(f"{index} names {name}, which is missing: put it into {folder}")
    return [folder / name for name in sorted(set(shards.values()))]


def _open(file: Path) -> Any:
    try:
        with opened(file):  # an ordinary file: safe_open would wait for a pipe
            return safe_open(file, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file} is no safetensors file, or it is cut off ({error}): copy or save it again") from error
