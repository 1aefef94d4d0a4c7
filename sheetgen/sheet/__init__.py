"""Tensors → addresses and formulas, and the pages around the model.

Knows cells, but no file format and no Excel library: what is laid out here is written by `xlsx`.
"""
