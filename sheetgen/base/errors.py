"""The one exception a user may cause: printed as a line, exit code 2."""


class InputError(Exception):
    """What is wrong, where, and how to mend it."""


def printable(text: str) -> str:
    """A line that a terminal can only show: no breaks, no signs that steer it, none that turn the reading around."""
    return "".join(sign if sign.isprintable() else "?" for sign in " ".join(text.split()))
