"""sheetgen: live Excel workbooks of transformer architectures, and the proof that they are right.

>>> import sheetgen
>>> book = sheetgen.build("llama4", n_heads=4, n_experts=3)
>>> book.tensors["layer_0.head_1.pattern"].shape
(6, 6)
>>> _ = book.save("llama4.xlsx", force=True)
>>> sheetgen.check("llama4.xlsx").equal
True

The functions stand in `sheetgen.api`, which is imported when the first of them is asked for.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sheetgen.api import Model, Workbook, build, check, compare, load, tour
    from sheetgen.base.errors import InputError
    from sheetgen.engines import EngineError
    from sheetgen.proof.report import Difference, Report
    from sheetgen.xlsx.guard import BookError

__version__ = version("sheetgen")
__all__ = [
    "BookError",
    "Difference",
    "EngineError",
    "InputError",
    "Model",
    "Report",
    "Workbook",
    "__version__",
    "build",
    "check",
    "compare",
    "load",
    "tour",
]

_HOMES = {
    "sheetgen.api": ("Model", "Workbook", "build", "check", "compare", "load", "tour"),
    "sheetgen.base.errors": ("InputError",),
    "sheetgen.engines": ("EngineError",),
    "sheetgen.proof.report": ("Difference", "Report"),
    "sheetgen.xlsx.guard": ("BookError",),
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """What the library offers, imported when it is asked for."""
        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(home), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
