"""`sheetgen check`: rebuild the model from a workbook, recompute, compare, explain, mark.

It is called `proof` since the function `sheetgen.check` has the other name. Nothing here writes a new workbook.
"""
