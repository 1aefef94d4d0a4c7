"""The one exception a user may cause: printed as a line, exit code 2."""


class InputError(Exception):
    """What is wrong, where, and how to mend it."""
