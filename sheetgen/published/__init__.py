"""Sizes and counts of published models, and the equations that count any model from its sizes.

Knows traces and configs, but no sheet and no file format: the sheet Scale shows it, and so does the terminal.
"""
