"""Where the numbers of a model come from: drawn from a seed, each element by itself; or those it has run with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sheetgen.model.choices import Weights
from sheetgen.trace.limits import Limits, Live
from sheetgen.trace.ops import Array
from sheetgen.trace.recorder import Trace

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Drawn:
    """Weights as a function of (seed, path, row, column) alone (a `recorder.Source`).

    So growing a size, adding a head, a layer or an expert leaves every number that both models have unchanged.
    byhand: one decimal, −0.9 … 0.9 (gains ±0.2 about theirs). normal: mean 0, deviation 0.02, as before training.
    zeros: 0. Gains are what they vary about in the last two. `texts` and `arrays`: what the model is given, by path.
    """

    seed: int
    style: Weights
    texts: Mapping[str, list[str]]
    arrays: Mapping[str, Array] = field(default_factory=dict)

    def weight(self, path: str, shape: tuple[int, int], around: float | None) -> Array:
        if self.style == "byhand":
            reach = 9 if around is None else 2
            steps = np.floor(uniform(self.seed, path, shape) * (2 * reach + 1)) - reach
            return np.asarray(np.round((around or 0) + steps / 10, 1)) + 0.0
        if self.style == "normal" and around is None:
            radius = np.sqrt(-2 * np.log(1 - uniform(self.seed, path, shape)))
            angle = 2 * np.pi * uniform(self.seed, path + "/angle", shape)
            return np.asarray(np.round(0.02 * radius * np.cos(angle), 4)) + 0.0  # no minus zero
        return np.full(shape, around or 0.0)

    def control(self, path: str, default: Live, limits: Limits) -> Live:
        return default

    def text(self, path: str, count: int) -> list[str]:
        return self.texts[path]

    def numbers(self, path: str, shape: tuple[int, int]) -> Array:
        return self.arrays[path].reshape(shape)


@dataclass(frozen=True)
class Kept:
    """The numbers and words that a model has run with (a `recorder.Source`)."""

    trace: Trace

    def weight(self, path: str, shape: tuple[int, int], around: float | None) -> Array:
        return self.trace[path].value

    def control(self, path: str, default: Live, limits: Limits) -> Live:
        value: Live = self.trace[path].value.item()
        return value

    def text(self, path: str, count: int) -> list[str]:
        return [str(word) for word in self.trace[path].value.flat]

    def numbers(self, path: str, shape: tuple[int, int]) -> Array:
        return self.trace[path].value


def uniform(seed: int, path: str, shape: tuple[int, int]) -> Array:
    """Numbers in [0, 1) [rows, columns], each a hash of (seed, path, row, column): splitmix64 over a keyed counter."""
    key = np.uint64(int.from_bytes(hashlib.blake2b(f"{seed}|{path}".encode(), digest_size=8).digest(), "big"))
    row = np.arange(shape[0], dtype=np.uint64)[:, None]
    column = np.arange(shape[1], dtype=np.uint64)[None]
    with np.errstate(over="ignore"):
        bits = _mix(_mix(key + row * GOLDEN) + column * GOLDEN)
    return np.asarray((bits >> np.uint64(11)).astype(float) * 2.0**-53)


def _mix(x: Array) -> Array:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
