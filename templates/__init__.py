"""Presets: one TOML file for each, found through `importlib.resources` wherever sheetgen is installed."""
