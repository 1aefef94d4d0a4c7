"""The sheets around the model: Map, Config, Contents, charts, Baseline, published sizes.

Each page says which cells hold what; none writes a file.
"""
