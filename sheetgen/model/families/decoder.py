"""Decoder-only language models: one definition for GPT-2, every Llama, Mistral, Gemma, Phi, Qwen, OLMo and Nemotron.

What distinguishes them are settings; what needs other equations is a family of other parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sheetgen.model.families.feed_forward import FeedForward
from sheetgen.model.families.grouped_query import GroupedQuery


@dataclass(frozen=True, kw_only=True)
class Decoder(GroupedQuery, FeedForward):
    """A decoder of grouped-query attention and dense feed-forward blocks.

    Equations as Hugging Face transformers computes them (models/{gpt2,llama,mistral,gemma,phi3,nemotron,qwen2,
    qwen3,olmo2}/modeling_*.py).
    """

    family: ClassVar[str] = "decoder"
