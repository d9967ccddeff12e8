"""Inputs that atheris makes by looking at which code they reach: decoding, bodies, and texts.

    python -m fuzz.guided FOLDER [libFuzzer's options]

FOLDER is the corpus, begun with small documents and bodies. What breaks the rule of `entrances` is left as a file
`crash-…`; so is what takes more than 2 GiB, or longer than `-timeout` says.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gateway", "PIL", "python_multipart", "starlette"]):
    from fuzz.entrances import CONTENT_TYPES, drawn, seeds, submitted, told

DOORS = b"dbt"
SMALL = 4096
BODIES = (
    b'{"image": "AAAA", "pages": "1-3,7", "layout": false, "task": "table"}',
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nAAAA\r\n--B--\r\n',
    b'{"url": "http://[::ffff:127.0.0.1]:8080/a?b#c", "language": "rus"}',
)


def one(data: bytes) -> None:
    """The first byte chooses the door, for a body the second its type."""
    match DOORS[data[0] % len(DOORS)] if data else None:
        case 0x64:
            drawn(data[1:])
        case 0x62:
            submitted(CONTENT_TYPES[data[1] % len(CONTENT_TYPES)] if len(data) > 1 else b"", data[2:])
        case 0x74:
            told(data[1:].decode("utf-8", "surrogateescape"))


def begin(corpus: Path) -> None:
    """Write what to start from."""
    corpus.mkdir(exist_ok=True)
    for number, data in enumerate(seeds().values()):
        if len(data) < SMALL:
            (corpus / f"document{number}").write_bytes(b"\0" + data)
    for number, body in enumerate(BODIES):
        (corpus / f"body{number}").write_bytes(bytes((1, number % 2)) + body)


def main() -> None:
    begin(Path(sys.argv[1]))
    atheris.Setup([sys.argv[0], f"-max_len={SMALL}", "-timeout=20", "-print_final_stats=1", *sys.argv[1:]], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
