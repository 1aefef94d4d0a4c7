"""Draws every preset's Map and Model into this folder and writes its README.md: `make gallery`.

With names of presets only those are drawn anew.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import sheetgen
from sheetgen.cli.picture import draw
from sheetgen.model.presets import Preset, all_presets, find

HERE = Path(__file__).parent
RESOLUTIONS = {"Map": 72, "Model": 36}  # a Map is read here, a Model seen as a whole
HEAD = """# Gallery

Every preset as it is built without options: its Map, and below it the whole sheet Model (a click shows it larger).
Rebuilt by `make gallery`, drawn by `sheetgen picture`.
"""


def rebuild(preset: Preset) -> None:
    """The pictures of one preset."""
    with tempfile.TemporaryDirectory() as folder:
        book = Path(folder) / f"{preset.name}.xlsx"
        sheetgen.build(preset.name).save(book)
        for sheet, dpi in RESOLUTIONS.items():
            draw(book, HERE / f"{preset.name}-{sheet}.png", [sheet], dpi)


def section(preset: Preset) -> str:
    """What the README shows of one preset."""
    name, title = preset.name, preset.title
    return f"""
## {title}

`sheetgen build {name}`: {preset.summary} {preset.paper}

![Map of {title}]({name}-Map.png)

[<img src="{name}-Model.png" width="300" alt="Sheet Model of {title}">]({name}-Model.png)
"""


def main() -> None:
    """Draw, then list what is there."""
    wanted = [find(name) for name in sys.argv[1:]] or list(all_presets().values())
    for preset in wanted:
        rebuild(preset)
    drawn = [preset for preset in all_presets().values() if (HERE / f"{preset.name}-Model.png").exists()]
    (HERE / "README.md").write_text(HEAD + "".join(map(section, drawn)), encoding="utf-8")
    size = sum(file.stat().st_size for file in HERE.glob("*.png"))
    print(f"{len(drawn)} presets, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
