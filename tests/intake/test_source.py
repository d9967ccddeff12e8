from __future__ import annotations

import base64

import documents
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.document import Kind
from gateway.errors import EmptyDocument, InvalidBase64, InvalidRequest, TooManyPages, Unsupported
from gateway.intake.source import decode_base64, kind_of, select_pages


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (documents.png(), Kind.PNG),
        (documents.jpeg(), Kind.JPEG),
        (documents.encode(documents.corners(), "WEBP"), Kind.WEBP),
        (documents.encode(documents.corners(), "BMP"), Kind.BMP),
        (documents.encode(documents.corners(), "GIF"), Kind.GIF),
        (documents.tiff(), Kind.TIFF),
        (documents.tiff(big_tiff=True), Kind.TIFF),
        (b"MM\0*\0\0\0\x08", Kind.TIFF),
        (b"MM\0+\0\x08\0\0", Kind.TIFF),
        (documents.pdf(), Kind.PDF),
        (b"\xef\xbb\xbf junk before the header \n" + documents.pdf(), Kind.PDF),
        (b"x" * 1019 + b"%PDF-1.4", Kind.PDF),
        (b"BM", Kind.BMP),
    ],
)
def test_kind_is_told_from_the_bytes(head: bytes, kind: Kind) -> None:
    """Each kind is known by its signature, BigTIFF and a PDF header after other bytes included."""
    assert kind_of(head[:1024]) is kind


@pytest.mark.parametrize(
    "head", [b"hello", b"\0" * 64, b"RIFF\0\0\0\0WAVEfmt ", b"BMW drives on and on", b"<svg/>", b"x" * 1020 + b"%PDF-"]
)
def test_unknown_bytes_are_unsupported(head: bytes) -> None:
    """What has no known signature is refused as unsupported, look-alikes included."""
    with pytest.raises(Unsupported):
        kind_of(head)


def test_no_bytes_are_an_empty_document() -> None:
    """An empty document has an error of its own."""
    with pytest.raises(EmptyDocument):
        kind_of(b"")


@given(st.binary(max_size=200), st.sampled_from(["", "data:image/png;base64,", "DATA:;BASE64,"]), st.booleans())
def test_base64_comes_back(data: bytes, prefix: str, padded: bool) -> None:
    """Base64 is decoded with line breaks, as a data: URL, and without its padding."""
    text = base64.encodebytes(data).decode("ascii")
    assert decode_base64(prefix + (text if padded else text.rstrip("=\n"))) == data


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AAAAA",
        "AA=A",
        "AA===",
        "=",
        "AAA*",
        "AAAA****",
        "ÄÄÄÄ",
        "AA-_",
        "data:image/png,AAAA",
        "data:;base64",
        "data:",
        "AA\0A",
    ],
)
def test_what_is_not_base64_is_refused(text: str) -> None:
    """Letters outside the alphabet, impossible lengths and data: URLs that are not base64 are no document."""
    with pytest.raises(InvalidBase64):
        decode_base64(text)


def test_selection_is_in_document_order_and_without_repeats() -> None:
    """Pages come once each and in the document's order, however they are written; nothing written means all."""
    assert select_pages("7, 1-3,2 - 4,7", 9, 100) == (1, 2, 3, 4, 7)
    assert select_pages("", 3, 100) == (1, 2, 3)
    assert select_pages("  ", 1, 1) == (1,)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 5)), min_size=1, max_size=20), st.integers(1, 60))
def test_selection_is_the_set_of_what_is_written(parts: list[tuple[int, int]], limit: int) -> None:
    """The pages selected are those of the ranges, and only they count against the limit."""
    expression = ",".join(f"{first}-{first + more}" for first, more in parts)
    wanted = {number for first, more in parts for number in range(first, first + more + 1)}
    if len(wanted) > limit:
        with pytest.raises(TooManyPages):
            select_pages(expression, 45, limit)
    else:
        assert select_pages(expression, 45, limit) == tuple(sorted(wanted))


@pytest.mark.parametrize(
    "expression",
    [
        "0",
        "4",
        "1-4",
        "3-1",
        "1-999999999",
        "9" * 5000,
        "1,",
        ",",
        "-",
        "1-",
        "-3",
        "a",
        "1;2",
        "1.5",
        "²",
        "1--2",
        "+1",
    ],
)
def test_malformed_or_absent_pages_are_named(expression: str) -> None:
    """A selection that is malformed or not in the document is the caller's mistake, and `pages` is named."""
    with pytest.raises(InvalidRequest, match=r"^pages: "):
        select_pages(expression, 3, 1000)


def test_limit_counts_the_selection() -> None:
    """A few pages of a document longer than the limit are served; all of them are not."""
    assert select_pages("1-2", 5_000_000, 2) == (1, 2)
    for expression in ("", "1-3", "1-5000000"):
        with pytest.raises(TooManyPages):
            select_pages(expression, 5_000_000, 2)


def test_overlapping_ranges_cost_no_more_than_one() -> None:
    """Thousands of overlapping ranges are merged before they are counted out."""
    assert len(select_pages(",".join(["1-1000"] * 50_000), 1000, 1000)) == 1000
