"""Presets: one TOML file for each, found by `base.files` wherever sheetgen is installed."""
