"""What knows nothing of models: errors, languages, cell addresses, files, numbers as text.

Everything may import from here; nothing here imports from another room.
"""
