"""What both servers are asked: documents of all kinds and sizes, with the fields of the request varied."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from parity.layouts import Kind, picture

SIZES = ((827, 1169), (1169, 827), (620, 877), (1000, 1000), (1240, 1754), (1654, 2339))

TOKENS = "".join(f"<fcel>[F{number}] here<nl>" for number in (2, 3, 4, 5, 6, 7, 8, 22, 23))
"""What stands for pictures in tables, so that every picture comes back in its table."""

WITHIN_BUDGET = (500, 700)
"""A page that is no larger than what the model looks at: the size of the crop chooses the stand-in's answer, and crops
that are larger are scaled here, by the model there."""

ANSWERS = {
    "OCR:": [
        "The quick brown fox jumps over the lazy dog.",
        "Invoice No. 2024/117\nDate: 12 March 2024\nTotal due: 1 284,50 EUR",
        "3.2 Experimental set-up\nSamples were kept at 4 °C until measured.",
        "Where \\( a^2 + b^2 = c^2 \\) holds, the triangle is right-angled.",
        "Қазақстан Республикасының заңы",
        "Договор № 45 от 01.02.2024",
        "• first\n• second\n• third",
        "<b>not markup</b> & 5 < 6",
        "第一章 緒論",
        "page 7 of 12",
        "1.2.3 Method",
        "2024年",
        "(一) 绪论",
        "IV. Results.",
        "A. Appendix",
        "Abstract We show that",
        "References\n[1] A. B. See there.",
        "soft-\nhyphen\nand\n\na paragraph",
        "\nlines around\n",
        "costs $5 where \\(x\\) is \\[\\[y\\]\\]",
        "again and " * 40,
        "\n".join(["the same line"] * 20),
        "",
    ],
    "Table Recognition:": [
        f"<fcel>Item<fcel>Qty<fcel>Price<nl><fcel>Bolt M8<fcel>12<fcel>3.40<nl>{TOKENS}",
        f"<fcel>Region<fcel>2023<lcel><nl><ucel><fcel>H1<fcel>H2<nl><fcel>North<fcel>10<fcel>12<nl>{TOKENS}",
        f"<fcel>A<lcel><fcel>C<nl><ucel><xcel><fcel>D & E<nl><fcel>1<fcel>2<fcel><3><nl>{TOKENS}",
        f"<fcel>Name<fcel>Value<nl><fcel>\\( x_1 \\)<fcel>0.5<nl><ecel><ecel><nl>{TOKENS}",
        f"{TOKENS}<fcel>one cell<nl>",
    ],
    "Formula Recognition:": [
        "\\[ E = mc^2 \\]",
        "\\[ \\int_0^\\infty e^{-x^2} \\, dx = \\frac{\\sqrt{\\pi}}{2} \\]",
        "\\( \\sum_{i=1}^{n} i \\)",
        "\\[ a < b \\tag{3} \\]",
        "x + 1",
    ],
    "Chart Recognition:": ["Year | Sales\n2021 | 10\n2022 | 14", "Label | Share\nA | 0.4\nB | 0.6", "flat"],
    "Seal Recognition:": ["ACME LTD · APPROVED", "有限公司\n专用章"],
    "Spotting:": [
        "Hello" + "".join(f"<|LOC_{n}|>" for n in (100, 100, 300, 100, 300, 140, 100, 140)),
        "Hello" + "".join(f"<|LOC_{n}|>" for n in (100, 100, 300, 100, 300, 140, 100, 140)) + "\nWorld"
        + "".join(f"<|LOC_{n}|>" for n in (100, 200, 300, 200, 300, 240, 100, 240)),
        "nothing placed",
    ],
}  # fmt: skip
"""What the stand-in says to each prompt, chosen by the size of the crop."""


@dataclass(frozen=True)
class Case:
    """One request. `stored`: its pages go through `/restructure-pages` after, with these fields."""

    name: str
    document: bytes
    fields: dict[str, Any]
    stored: dict[str, Any] | None = None


def cases(kind: Kind, amount: int) -> Iterator[Case]:
    """So many documents, more pages: single pictures with one choice each, then documents of several pages."""
    draw = random.Random(f"parity {kind}")
    for index in range(amount):
        fields = {"visualize": False, **VARIED[index % len(VARIED)]}
        size = SIZES[index % len(SIZES)] if "useLayoutDetection" not in fields else WITHIN_BUDGET
        if index % 3 < 2:
            form = ("PNG", "JPEG", "PNG", "WEBP", "BMP")[index % 5]
            page = picture(draw.randrange(255), size, "L" if index % 7 == 0 and form == "PNG" else "RGB")
            yield Case(f"{index} {form} {size}", _encoded([page], form), fields | {"fileType": 1})
            continue
        form = "TIFF" if index % 4 == 2 else "PDF"
        pages = [picture(draw.randrange(255), size) for _ in range(draw.randint(2, 4))]
        fields |= {"fileType": 0 if form == "PDF" else 1, "restructurePages": draw.random() < 0.5}
        fields |= {"mergeTables": draw.random() < 0.7, "relevelTitles": draw.random() < 0.7}
        stored = {"concatenatePages": draw.random() < 0.5, "prettifyMarkdown": draw.random() < 0.7}
        yield Case(f"{index} {form} {size} x {len(pages)}", _encoded(pages, form), fields, stored)


VARIED: Sequence[dict[str, Any]] = (
    {},
    {"useChartRecognition": True},
    {"useSealRecognition": True, "prettifyMarkdown": False},
    {"useOcrForImageBlock": True},
    {"useChartRecognition": True, "useSealRecognition": True, "useOcrForImageBlock": True},
    {"prettifyMarkdown": False},
    {"showFormulaNumber": True},
    {"mergeLayoutBlocks": False},
    {"markdownIgnoreLabels": []},
    {"markdownIgnoreLabels": ["text", "number"]},
    {"formatBlockContent": True},
    {"layoutShapeMode": "rect"},
    {"layoutShapeMode": "poly"},
    {"layoutShapeMode": "quad"},
    {"layoutThreshold": 0.6},
    {"layoutThreshold": 0.2, "layoutMergeBboxesMode": "large"},
    {"layoutMergeBboxesMode": "small"},
    {"layoutUnclipRatio": 1.1},
    {"useLayoutDetection": False},
    {"useLayoutDetection": False, "promptLabel": "table"},
    {"useLayoutDetection": False, "promptLabel": "formula"},
    {"useLayoutDetection": False, "promptLabel": "chart"},
    {"useLayoutDetection": False, "promptLabel": "seal"},
    {"useLayoutDetection": False, "promptLabel": "spotting"},
    {"minPixels": 147384, "maxPixels": 2822400, "temperature": 0, "topP": 1, "repetitionPenalty": 1},
    {"returnMarkdownImages": False},
)
"""One choice a document, in turn."""


def _encoded(pages: Sequence[Image.Image], form: str) -> bytes:
    file = io.BytesIO()
    more: dict[str, Any] = {"save_all": True, "append_images": pages[1:]} if form in ("PDF", "TIFF") else {}
    if form == "PDF":
        more["resolution"] = 144.0
    if form == "WEBP":
        more["lossless"] = True
    pages[0].save(file, form, **more)
    return file.getvalue()
