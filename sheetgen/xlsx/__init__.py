"""The file format: writing, reading, guarding against hostile files, sealing, replacing a file in one step.

The only room that knows Excel libraries and XML. It never decides what a workbook says.
"""
