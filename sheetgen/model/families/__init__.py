"""Families: the sizes a model may have, and its forward pass; each is one frozen dataclass (see `model.config`)."""

from sheetgen.model.config import Config, divisors, run
from sheetgen.model.families.attention import Attention
from sheetgen.model.families.decoder import Decoder
from sheetgen.model.families.llama4 import Llama4
from sheetgen.model.families.mixture import Mixture
from sheetgen.model.families.nsa import Nsa
from sheetgen.model.families.nsa_lecture import NsaLecture
from sheetgen.model.families.number_formats import NumberFormats
from sheetgen.model.families.seq2seq import Seq2Seq
from sheetgen.model.families.serving import ChunkedPrefill, PackedPrompts, ReceptiveField, RollingBuffer
from sheetgen.model.families.vit import Vit

FAMILIES: dict[str, type[Config]] = {
    family.family: family
    for family in (
        *(Attention, Decoder, Mixture, Llama4, Nsa, NsaLecture, Seq2Seq, Vit),
        *(ReceptiveField, RollingBuffer, ChunkedPrefill, PackedPrompts, NumberFormats),
    )
}

__all__ = [
    "FAMILIES",
    "Config",
    "Decoder",
    "Llama4",
    "Mixture",
    "Vit",
    "divisors",
    "run",
]
