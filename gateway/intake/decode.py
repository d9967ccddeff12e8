"""What runs inside a worker process: count a document's pages, draw one of them.

Imports as little as it can, so `kind` is the word of a `gateway.document.Kind` and not the enum (whose module needs
numpy). The libraries' errors become the house's here, in one place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from gateway.errors import BadDocument, GatewayError


class OpenDocument(Protocol):
    """A document of one kind, opened in this process."""

    @property
    def count(self) -> int: ...

    def draw(self, number: int, dpi: int, max_pixels: int, out_path: str) -> tuple[int, int, int]: ...

    def close(self) -> None: ...


_Identity = tuple[str, int, int, int]
_last: tuple[_Identity, OpenDocument] | None = None  # this process's own: page after page of one document is the rule


def inspect(path: str, kind: str, max_pixels: int) -> int:
    """How many pages the document at `path` has, told from its headers.

    Raises `BadDocument` and `EncryptedDocument`, and `TooManyPixels` for a picture that says it is larger than that.
    """
    with _blaming(kind):
        return _opened(path, kind, max_pixels).count


def render(path: str, kind: str, number: int, dpi: int, max_pixels: int, out_path: str) -> tuple[int, int, int]:
    """Draw page `number` (from 1) upright and write it over the file `out_path`: returns its width and height, and the
    byte at which it starts.

    From there on stand height x width x 3 bytes of RGB, rows from the top; old content may follow. `dpi` is
    for PDF pages: one that would have more than `max_pixels` is drawn smaller, down to 72 dpi.
    Raises `BadDocument` and `TooManyPixels`, the latter before any pixel is decoded.
    """
    with _blaming(kind):
        return _opened(path, kind, max_pixels).draw(number, dpi, max_pixels, out_path)


@contextmanager
def _blaming(kind: str) -> Iterator[None]:
    """Decoders raise nearly anything at broken content; what they said goes into a note, for the log alone."""
    try:
        yield
    except (GatewayError, MemoryError):
        _forget()
        raise
    except Exception as exc:
        _forget()
        error = BadDocument(f"the {kind} is damaged or cut off")
        error.add_note(f"{type(exc).__name__}: {exc}")
        raise error from exc


def _opened(path: str, kind: str, max_pixels: int) -> OpenDocument:
    global _last
    stat = os.stat(path)
    identity = (path, stat.st_dev, stat.st_ino, stat.st_mtime_ns)
    if _last is None or _last[0] != identity:
        _forget()
        _last = identity, _open(path, kind, max_pixels)
    return _last[1]


def _forget() -> None:
    global _last
    if _last is not None:
        _last[1].close()
        _last = None


def _open(path: str, kind: str, max_pixels: int) -> OpenDocument:
    if kind == "pdf":
        from gateway.intake.pdf import Pdf

        return Pdf(path)
    if kind == "tiff":
        from gateway.intake.tiff import Tiff

        return Tiff(path)
    from gateway.intake.picture import Picture

    return Picture(path, kind, max_pixels)
