"""Checkpoints of Hugging Face: files, settings, names of tensors, vocabularies → a request to build, and weights.

What a folder holds is translated here into the terms of `model`; nothing else knows their names.
"""
