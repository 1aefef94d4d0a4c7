"""Colours as numbers: how light they are, how well a text is read on them, what lies between two."""

from __future__ import annotations

import functools

WHITE = "#FFFFFF"
READABLE = 4.5  # least contrast of a text to what is behind it (WCAG 2, level AA)


def luminance(colour: str) -> float:
    """Relative luminance of #RRGGBB, 0 (black) to 1 (white), as WCAG 2 defines it."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """Contrast of two colours as WCAG 2 defines it: 1 (the same) to 21 (black on white)."""
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)


@functools.cache
def mix(a: str, b: str, share: float) -> str:
    """A colour between: `share` of a, the rest of b."""
    both = ((int(a[i : i + 2], 16), int(b[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(share * x + (1 - share) * y):02X}" for x, y in both)
