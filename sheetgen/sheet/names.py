"""What the sheets are called: links, formulas and `check` find them by these names, the same in every language."""

MODEL = "Model"
MAP = "Map"
CONFIG = "Config"
CONTENTS = "Contents"
SCALE = "Scale"
PICTURES = "Pictures"
BASELINE = "Baseline"
CHANGES = "What changes"  # between two models
STEPS = "Steps"  # of a lecture
