"""Words that one may choose from, each list said once; without NumPy, so that the command line's help is quick."""

from __future__ import annotations

from typing import Literal

Weights = Literal["byhand", "normal", "zeros"]  # how the numbers of a fresh model are drawn
Style = Literal["blocks", "cells"]  # an array formula for each block, or a formula for each cell
Format = Literal["bf16", "fp16", "fp32"]  # of numbers, as real models keep them
Precision = Literal["full", Format]  # full: no rounding
