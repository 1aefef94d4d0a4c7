"""The kinds of workbook: one model, two side by side, a lecture.

Each knows how it is made, and how it is made once more from a file; what a single sheet looks like is told elsewhere.
"""
