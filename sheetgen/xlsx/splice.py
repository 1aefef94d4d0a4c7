"""Changes the XML of a part in a few places and leaves all other bytes as they are.

expat tells where elements stand among the bytes. To write a parsed tree anew would rename the prefixes that
`mc:Ignorable` names.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Container, Iterator
from functools import cache
from typing import NamedTuple

from sheetgen.xlsx.guard import plain_parser
from sheetgen.xlsx.parts import local

CHUNK = 1 << 16  # bytes that are parsed at once
_TAG = re.compile(rb"""(?:[^>"']|"[^"]*"|'[^']*')*>""")  # to its end; a value may hold a >


class Element(NamedTuple):
    """An element, and where it stands: `<tag …>` from `begin` to `opened`, `</tag>` from `closing` to `end`.

    `<tag/>` has its contents and its end tag, both empty, at its end.
    """

    tag: str
    attributes: dict[str, str]
    begin: int
    xml: bytes
    ended: int  # where expat says that it ends: at its end tag, or somewhere in `<tag/>`

    @property
    def name(self) -> str:
        """The tag without its prefix."""
        return local(self.tag)

    @property
    def opened(self) -> int:
        return _after_tag(self.xml, self.begin)

    @property
    def closing(self) -> int:
        return max(self.opened, self.ended)

    @property
    def end(self) -> int:
        opened = self.opened
        return opened if self.xml[opened - 2 : opened] == b"/>" else _after_tag(self.xml, self.ended)


def elements(xml: bytes, names: Container[str] | None = None, deepest: int = sys.maxsize) -> Iterator[Element]:
    """The elements with one of these names (or all), down to so many levels below the root, each when it ends.

    Raises ExpatError for what is no XML, ValueError for an encoding whose signs are not single bytes.
    """
    if b"\0" in xml[:4]:
        raise ValueError("a part in UTF-16")
    parser = plain_parser()
    opened: list[tuple[dict[str, str], int]] = []
    ended: list[Element] = []
    depth = 0

    @cache
    def wanted(tag: str) -> bool:
        return names is None or local(tag) in names

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        if depth <= deepest and wanted(tag):
            opened.append((attributes, parser.CurrentByteIndex))
        depth += 1

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        if depth <= deepest and wanted(tag):
            ended.append(Element(tag, *opened.pop(), xml, parser.CurrentByteIndex))

    parser.StartElementHandler, parser.EndElementHandler = start, end
    for first in range(0, len(xml), CHUNK):
        parser.Parse(xml[first : first + CHUNK])
        yield from ended
        ended.clear()
    parser.Parse(b"", True)
    yield from ended


def _after_tag(xml: bytes, begin: int) -> int:
    found = _TAG.match(xml, begin)
    assert found  # expat has met this tag, and reads no encoding whose tags are not as in ASCII, but UTF-16
    return found.end()


class Splice:
    """Bytes of which pieces are replaced, from the front to the back."""

    def __init__(self, xml: bytes) -> None:
        self._xml = xml
        self._pieces: list[bytes] = []
        self._position = 0

    def put(self, first: int, last: int, new: bytes = b"") -> None:
        """`new` instead of the bytes from `first` to `last`."""
        self._pieces += self._xml[self._position : first], new
        self._position = last

    def done(self) -> bytes:
        """All bytes, with what was put in."""
        return b"".join([*self._pieces, self._xml[self._position :]])
