"""Images that a model is given: numbers in the shape [channels, height, width], perhaps from a .npy file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sheetgen.base.errors import InputError
from sheetgen.base.files import opened
from sheetgen.model.given import MOST_PIXELS
from sheetgen.trace.ops import Array


def read(path: Path) -> Array:
    """The image in a file that `numpy.save` has written; raises InputError for any other."""
    try:
        with opened(path):
            found = np.load(path, allow_pickle=False, mmap_mode="r")  # so that a file cannot ask for more than it has
    except OSError as error:
        raise InputError(f"--pixels {path}: {error.strerror or error}; save an array by numpy.save") from error
    except Exception as error:  # whatever a damaged header makes NumPy raise; nothing of ours runs
        raise InputError(f"--pixels {path}: it is no .npy file of numbers; save an array by numpy.save") from error
    return checked(found, f"--pixels {path}")


def checked(found: Any, name: str) -> Array:
    """The array as numbers; raises InputError, beginning with the name, where they make no image."""
    if not isinstance(found, np.ndarray) or found.ndim != 3 or found.size == 0 or found.dtype.kind not in "fiub":
        raise InputError(f"{name}: it must hold numbers in the shape [channels, height, width]")
    if found.size > MOST_PIXELS:
        raise InputError(f"{name}: the image has {found.size:,} numbers: choose at most {MOST_PIXELS:,}")
    if not np.isfinite(found.astype(float)).all():
        raise InputError(f"{name}: it holds infinite numbers or none (NaN): a cell cannot show them")
    return found.astype(float)
