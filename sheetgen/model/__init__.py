"""The models: equations, families, settings, controls, presets, weights, and the format that numbers are rounded to.

Running one leaves a trace. Nothing here knows where a tensor stands on a sheet, or that there is a sheet.
"""
