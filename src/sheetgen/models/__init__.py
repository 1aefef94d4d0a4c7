"""Families: the sizes a model may have, and its forward pass. A family is one frozen dataclass (see `base.Config`)."""

from sheetgen.models.base import Config, divisors, run
from sheetgen.models.decoder import Decoder, Llama4, Mixture

FAMILIES: dict[str, type[Config]] = {family.family: family for family in (Decoder, Mixture, Llama4)}

__all__ = ["FAMILIES", "Config", "Decoder", "Llama4", "Mixture", "divisors", "run"]
