"""Operations (value, formula, words) and tensors that remember how they were made.

One entry in one table says all about an operation. No sizes, no equations of models, no cells.
"""
