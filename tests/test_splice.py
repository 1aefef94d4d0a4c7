"""Elements are found among the bytes of a part, however they are written, and only what is told is changed."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sheetgen.engines.uncached import _without_cached_values
from sheetgen.xlsx.splice import CHUNK, Splice, elements

CELL = b"""<c r="A1" t="str"><f a="a>b'">B1</f><v>one</v></c>"""
XML = b"<?xml version='1.0'?><x:root a='>'>" + CELL + b"<c/><c  ></c>\xc3\xa4<c/></x:root>"


def test_elements_end_where_they_are_written_to_end() -> None:
    assert [
        (e.name, *(XML[i:j] for i, j in pairwise((e.begin, e.opened, e.closing, e.end)))) for e in elements(XML)
    ] == [
        ("f", b'<f a="a>b\'">', b"B1", b"</f>"),
        ("v", b"<v>", b"one", b"</v>"),
        ("c", b'<c r="A1" t="str">', b'<f a="a>b\'">B1</f><v>one</v>', b"</c>"),
        ("c", b"<c/>", b"", b""),
        ("c", b"<c  >", b"", b"</c>"),
        ("c", b"<c/>", b"", b""),
        ("root", b"<x:root a='>'>", CELL + b"<c/><c  ></c>\xc3\xa4<c/>", b"</x:root>"),
    ]


def test_only_those_that_are_asked_for() -> None:
    assert [e.name for e in elements(XML, ("v", "root"))] == ["v", "root"]
    assert [e.name for e in elements(XML, deepest=1)] == ["c", "c", "c", "c", "root"]
    assert [e.name for e in elements(XML, ("c", "f"), deepest=1)] == ["c", "c", "c", "c"]


def test_a_part_that_is_longer_than_what_is_parsed_at_once() -> None:
    xml = b"<r>" + b"<c><v>1</v></c>" * CHUNK + b"</r>"
    cells = list(elements(xml, ("c",)))
    assert len(cells) == CHUNK
    assert {xml[e.begin : e.end] for e in cells} == {b"<c><v>1</v></c>"}


def test_two_bytes_for_a_sign_are_refused() -> None:
    for encoding in ("utf-16", "utf-16-le"):
        with pytest.raises(ValueError, match="UTF-16"):
            list(elements("<?xml version='1.0' encoding='utf-16'?><r/>".encode(encoding)))


def test_pieces_are_replaced_from_the_front_to_the_back() -> None:
    splice = Splice(b"0123456789")
    splice.put(0, 0, b"a")
    splice.put(2, 4)
    splice.put(4, 6, b"b")
    splice.put(10, 10, b"c")
    assert splice.done() == b"a01b6789c"


@pytest.mark.parametrize(
    ("cells", "left"),
    [
        ('<c r="A1" s="3" t="str"><f>B1</f><v>text</v></c>', '<c t="n" r="A1" s="3"><f>B1</f></c>'),
        ("<c r='A1' t = 'str' s='3'><f>B1</f><v/></c>", "<c t=\"n\" r='A1' s='3'><f>B1</f></c>"),
        ('<c r="A1"><f/><v>1</v></c>', '<c t="n" r="A1"><f/></c>'),
        ('<c r="A1" t="s"><v>7</v></c>', '<c r="A1" t="s"><v>7</v></c>'),
        (
            '<c r="A1"><f t="array" ref="A1:B1">C1:D1</f><v>1</v></c><c r="B1" s="3" t="str"><v>x</v></c>',
            '<c t="n" r="A1"><f t="array" ref="A1:B1">C1:D1</f></c><c r="B1" s="3"></c>',
        ),
        ('<x:c r="A1" t="b"><x:f>B1</x:f><x:v>1</x:v></x:c>', '<x:c t="n" r="A1"><x:f>B1</x:f></x:c>'),
    ],
)
def test_of_a_cell_with_a_formula_only_the_formula_is_left(cells: str, left: str) -> None:
    sheet = '<worksheet xmlns:x="y"><sheetData><row>{}<c r="Z1"><v>3</v></c></row></sheetData></worksheet>'
    assert _without_cached_values(sheet.format(cells).encode()).decode() == sheet.format(left)
