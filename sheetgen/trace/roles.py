"""What a block means, where code acts on it: its `role`, which the equations say when they name it.

Whoever draws a stream, counts a cache or colours a pattern asks for the role, never for the name; a family may call its
blocks what it likes. What a reader is told of a block and how it is shown is no role, but a row of `text.blocks`.
"""

from __future__ import annotations

from typing import Literal

Role = Literal[
    "sentence",  # the words that the model reads, one per token
    "table",  # the vectors of the words that it knows
    "image",  # the pixels that it reads
    "embedding",  # the residual stream where it begins
    "stream",  # … inside a layer
    "layer",  # … behind a layer
    "memory",  # … behind an encoder, where the decoder looks at it
    "skip",  # … carried past a part
    "attention",  # what attention adds to it
    "cache",  # keys or values, which a cache keeps
    "pattern",  # how much each query takes from each key
    "mixed",  # the values of a head, mixed by its pattern
    "gate",  # the weight of each expert for each token
    "chosen",  # 1 for the experts that a token goes to
    "logits",  # the score of each choice
    "probabilities",  # of each word to come next, or of each label
    "prediction",  # the most probable of them …
    "confidence",  # … and its probability
    "result",  # what comes out at the end, where it is no prediction
    "asked",  # the only column that the head reads, where it does not read all
]
ON_STREAM: frozenset[Role | None] = frozenset({"stream", "layer", "memory"})  # the residual stream behind its beginning
