"""Families: the sizes a model may have, and its forward pass. A family is one frozen dataclass (see `base.Config`)."""

from sheetgen.models.attention import Attention
from sheetgen.models.base import MOST, Config, as_sizes, divisors, fit_a_worksheet, run
from sheetgen.models.decoder import Decoder
from sheetgen.models.formats import NumberFormats
from sheetgen.models.mixture import Llama4, Mixture
from sheetgen.models.nsa import Nsa, NsaLecture
from sheetgen.models.seq2seq import Seq2Seq
from sheetgen.models.serving import ChunkedPrefill, PackedPrompts, ReceptiveField, RollingBuffer
from sheetgen.models.vit import Vit

FAMILIES: dict[str, type[Config]] = {
    family.family: family
    for family in (
        *(Attention, Decoder, Mixture, Llama4, Nsa, NsaLecture, Seq2Seq, Vit),
        *(ReceptiveField, RollingBuffer, ChunkedPrefill, PackedPrompts, NumberFormats),
    )
}

__all__ = [
    "FAMILIES",
    "MOST",
    "Config",
    "Decoder",
    "Llama4",
    "Mixture",
    "Vit",
    "as_sizes",
    "divisors",
    "fit_a_worksheet",
    "run",
]
