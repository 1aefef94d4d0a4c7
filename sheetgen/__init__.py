"""sheetgen: live Excel workbooks of transformer architectures, and the proof that they are right."""

from importlib.metadata import version

__version__ = version("sheetgen")
